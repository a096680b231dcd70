// Package twilio sends texts through Twilio's Messages API and reads what
// Twilio says of them later.
//
//	Send ── form by hand ── one POST ── answer ──> Receipt or *connector.Error
//	                          │
//	                          └ the request body tells whether it was read:
//	                            never read = never sent = safe to repeat
//
//	ParseStatus   signature, then form, then status: no I/O
//	Find, Fetch   GET: what Twilio has of a text whose answer was lost
//	Feedback      POST: the code was used, or not
//
// A text is posted once. Twilio's create call has no idempotency key, so a
// request that may have arrived is reported as [connector.OutcomeMaybe] and is
// repeated neither here nor by net/http. Redirects are not followed.
//
// What Twilio's error codes mean for a sender stands in one table, codes.go.
// Twilio's own words go into no error: they quote phone numbers.
package twilio
