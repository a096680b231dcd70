// Package twilioverify answers in the words of Twilio Verify v2, so that a
// program that speaks to Twilio changes an address and nothing else.
//
//	POST, GET /v2/Services                       make and list services
//	POST, GET /v2/Services/{VA}                  change and read one
//	POST      /v2/Services/{VA}/Verifications    a text for a number
//	GET, POST …/Verifications/{VE or number}     read one; cancel or approve it
//	POST      …/VerificationCheck                check a code
//	GET       /v2/Attempts, …/{VL}, …/Summary    the texts that were sent
//
// A request goes through one funnel (api.go): Basic authentication with an
// account's sid and token, the service, the form, held to the table of parameters
// (params.go), then the domain. Answers are rendered anew from records
// (render.go). Every error is one row of a table (errors.go).
//
// Sids are made of our ids and lead back to them without a table (sid.go). At a
// service a number has one verification at a time (verify.JoinRequest).
//
// What is honoured, accepted and refused stands in docs/twilio-verify.md, and a
// test holds that to this package's tables.
package twilioverify
