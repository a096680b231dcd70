// Package hooks takes the requests by which auth servers have a text sent: they
// made the code, and check it. It decides nothing about sending.
//
//	POST /hooks/{name}
//
//	secret ─> body, capped ─> read ─> the domain ─> answer
//	401       413 408         400     a message     in the server's own words
//
// Where a server signs what it sends, the body is read first, as bytes, and
// parsed once the signature is known to be right; elsewhere nothing is read
// before the secret.
//
// Each kind of server is one row of kinds and one file: how it proves who it is,
// how it writes an order for a text, and what it makes of an answer. All else is
// shared: an order becomes a message (verify.Service.SendMessage) under an
// idempotency key that is made of the server's own id of the order or, where it
// has none, of what the order says (send.go). So an order that comes twice is one
// text, whichever replica gets it, and also after a restart.
//
// A server waits a few seconds and no more. What is not known by then is answered
// as a success: the order is written down and will be carried out, or looked for
// at the provider. "Try later" is said only where nothing was sent and nothing is
// owed, so that a repetition cannot be a second text.
package hooks
