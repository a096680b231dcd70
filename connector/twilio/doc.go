// Package twilio sends texts through Twilio's Messages API and reads what
// Twilio says of them later.
//
//	Send ── form by hand ── one POST ── answer ──> Receipt or *connector.Error
//	                          │
//	                          └ by a wire, HTTP/1.1 of our own, on the caller's
//	                            goroutine: not a byte written = never sent = safe to
//	                            repeat. Or by a RoundTripper: the body never read
//
//	ParseStatus   signature, then form, then status: no I/O
//	ParseReply    signature, then form, then STOP or START: no I/O
//	Find, Fetch   GET: what Twilio has of a text whose answer was lost
//	Feedback      POST: the code was used, or not
//
// A text is posted once. Twilio's create call has no idempotency key, so a
// request that may have arrived is reported as [connector.OutcomeMaybe] and is
// repeated neither by a wire nor by net/http. Redirects are not followed.
//
// What Twilio's error codes mean for a sender stands in one table, codes.go.
// Twilio's own words go into no error: they quote phone numbers.
package twilio
