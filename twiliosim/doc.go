// Package twiliosim is a Twilio that runs on a laptop: an http.Handler that
// answers the REST API of Twilio's Programmable Messaging, moves each message
// through its statuses, signs and posts the status callbacks, and shows the
// texts on a page with a phone. It sends nothing to anyone.
//
// The flow of one text:
//
//	POST /2010-04-01/Accounts/{AC}/Messages.json
//	  auth.go      who calls? AccountSid and token, or an API key
//	  faults.go    does a scripted fault hit this create?
//	  validate.go  Twilio's rules, in Twilio's order, with Twilio's codes
//	  create.go    kept, entered in the ledger, answered 201
//	progress.go    accepted -> queued -> sent -> delivered, one step at a time
//	callback.go    each step as a signed POST, retried as Twilio retries
//	page.go        and shown live on GET /sim/
//
// One handler serves every product: /2010-04-01/… is api.twilio.com, /v1/… is
// messaging.twilio.com, whatever the Host header says. /sim/… is the
// simulator's own control API (control.go lists it). Only JSON is spoken: a
// v2010 path without its .json suffix answers 404, where Twilio answers XML.
//
// Everything is in memory and bounded: Options.MaxMessages texts and as many
// ledger entries are kept, the oldest make room. The package imports only the
// standard library, so that its opinion of Twilio is independent of any client.
package twiliosim
