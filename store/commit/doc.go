// Package commit turns many small operations into few large transactions: group
// commit. It knows nothing of what it commits.
//
//	Submit ─┐                                    ┌─> Submit returns
//	Submit ─┼─> waiting ──> one writer ──> run ──┼─> Submit returns
//	Submit ─┘               (a batch)            └─> Submit returns
//
// A disk makes a transaction durable a few thousand times a second, whatever
// the transaction's size. So callers queue, and one goroutine takes everything
// that waits, runs it as one batch and answers each caller. While one batch is
// written the next gathers by itself: nothing ever waits for company, and a
// lone caller is served at once. With a Sync of its own a batch is run while the
// one before is made durable; one Sync is for all that were run before it.
//
// An operation whose context ends before its batch begins is dropped, and its
// caller sees the context's error. One whose context ends later runs to its end,
// and its caller waits for the result: a batch is bounded in time. The error of
// a single operation is its own; an error of the batch is everybody's.
package commit
