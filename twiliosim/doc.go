// Package twiliosim is a Twilio that runs on a laptop: an http.Handler that
// answers the REST API of Programmable Messaging, moves each message through
// its statuses, signs and posts the status callbacks, and shows the texts on a
// page with a phone. It sends nothing to anyone. api.go names every resource
// and takes each request to its handler. The flow of one text:
//
//	POST /2010-04-01/Accounts/{AC}/Messages.json
//	  auth.go      who calls? the account's token, or an API key
//	  faults.go    does a scripted fault hit this create?
//	  validate.go  Twilio's rules, with Twilio's codes (codes.go)
//	  create.go    kept (box.go), entered in the ledger, answered 201
//	progress.go    accepted -> queued -> sent -> delivered, a Step each
//	callback.go    each step as a signed POST, retried as Twilio retries
//	page.go        shown live on GET /sim/; control.go has the control API
//	reply.go       the way back: a person's text, handed on to the service's
//	               inbound request URL; STOP and START
//
// What that text is sent from is set up through the same API. A command that
// sets up an account, and any other Twilio client, searches for a number, buys
// it and puts it into a service, as here:
//
//	registry.go    what the account owns: one number in one service at first
//	available.go   search: a made-up stock of numbers in each country
//	numbers.go     buy and release; a purchase costs nothing
//	services.go    Messaging Services: make, change, delete
//	pool.go        a number joins one service; progress.go sends from the pool
//	account.go     the account itself, its balance, API keys, verified numbers
//
// One handler serves every product: /2010-04-01/… is api.twilio.com, /v1/… is
// messaging.twilio.com, whatever the Host header says. It speaks JSON only: a
// v2010 path without .json answers 404. All state is in memory and bounded.
//
// Where Twilio's documentation is silent or disagrees with itself, this is
// what the simulator does:
//
//   - A service without numbers: the create is accepted and the message fails
//     with 21704 a step later. Options.RefuseEmptyPool turns that into a 400.
//   - A validity period out of range is 21624, not 90007 or 30045.
//   - An unknown service is 400/21701, a malformed one 400/21705; good
//     credentials with another account in the path are 404/20404.
//   - A date filter of a list never matches a message that was not sent yet: a
//     client that looks for a lost text must not rely on the sent date.
//   - Feedback on a message that was sent without ProvideFeedback is 404/20404.
//   - Smart Encoding is off unless the message or its service asks for it.
//   - SendAt without a service is ignored and the text goes out at once.
//   - A callback's RawDlrDoneDate is in UTC; a retry comes without a pause, and
//     a TLS handshake that fails counts as a connection that failed.
//   - 429 carries Retry-After only if a fault asks for it.
//   - OptOutType comes with every default keyword, as from a service with
//     Advanced Opt-Out; STOP is not answered with a text, and a service's
//     opt-outs hold for its numbers too, however they are addressed.
//   - Retention parameters are checked and have no effect.
package twiliosim
