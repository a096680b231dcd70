// Package connector is the contract between sixdigit and the services that
// carry texts. It names no provider.
//
// A connector turns one [Message] into one text and says what became of it:
//
//	Send(ctx, Message) ── accepted ──> Receipt{ProviderID, Status}
//	                   └─ otherwise ─> *Error{Kind, Outcome, …}
//
// It only classifies. Whether a send is repeated, moved to another connector
// or shown to a person is decided by its caller, in one place, from what
// [Error] says. The field that matters most is [Outcome]: a send whose outcome
// is [OutcomeMaybe] may have reached a phone and must not be repeated blindly.
//
// More abilities are small interfaces of their own, which a connector may
// have: [StatusParser] reads the provider's callbacks, [ReplyParser] what people
// text back, [Finder] looks for a text whose answer was lost, [FeedbackSender]
// tells the provider that a code was used.
//
// To write a connector, read this package, then connector/twilio; run
// connectortest over yours.
package connector
