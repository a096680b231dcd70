// Package verify is the domain: codes sent as texts, and what may be done with
// them. It reaches no database and no provider; both are ports, [Store] and
// [connector.Sender].
//
//	Start   policy (pure) ─> Store.Do: limits, verification, send "sending"   transaction 1
//	        ─> Sender.Send, under a context of its own
//	        ─> Store.Do: the send's outcome, by rank                          transaction 2
//	Resend  the same, for a verification that is pending
//	Check   Store.Do: count the try, compare, approve once or count a failure
//	Cancel  Store.Do: end it
//	Get     Store.Get
//
//	Join, CheckAt, FindAt, CancelAt, ApproveAt   by number, at a service (join.go)
//	List            Store.List
//
//	SendMessage     as Start, with a code that the caller made
//	RecordDelivery  Store.Do: what the provider says of a send
//	RecordReply     Store.Do: STOP and START
//	Run             Store.Due ─> claim ─> post, look or ask ─> Store.Do   (reconcile.go)
//
// A rule is a Decide function: handed a time, a [Subject] and a [Verification],
// it returns a [Decision] and changes nothing else. A store runs it through a
// [Batch], in one transaction, so that everything about one subject happens one
// after the other and all of it or nothing.
//
// Codes are derived from the server's key and the row, and kept nowhere
// (code.go). A caller who hangs up loses neither the text nor its outcome. A
// process that dies leaves its send "sending", with a lease that ends.
//
// The states of verifications and of sends are drawn in docs/states.md.
package verify
