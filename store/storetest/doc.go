// Package storetest is what every store must pass: the specification of
// verify.Store, as tests. Only tests import it.
//
//	Run ─┬─ rules    one by one: records, undo, idempotency, limits, due, purge …
//	     ├─ races    hundreds of goroutines on one id, one subject, one limit, one claim
//	     └─ model    random sequences of calls, on the store and on a naive
//	                 model side by side
//
// The model shares no code with verify.Batch, which the stores are built on: it
// keeps no rows, but what was done, and works the answers out from that.
package storetest
