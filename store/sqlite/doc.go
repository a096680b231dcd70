// Package sqlite keeps verifications in one SQLite file: the store of a service
// that runs on one machine. It needs no cgo.
//
//	Do ──> queue ──> BEGIN IMMEDIATE
//	                   verify.Batch reads rows, applies each operation
//	                   all that changed is one value of the redo log
//	                   some rows of older transactions come to their tables
//	                 COMMIT, synced ──> every Do returns
//	Get, Due, List ──> the log's rows as they are remembered, then a pool of
//	                   read-only connections
//
// One connection writes. It takes everything that waits as one transaction
// (package commit), so that the disk's sync is paid once for many operations,
// and what Do has returned survives a kill and a power cut. Readers do not wait
// for the writer (WAL), unless another process has written what only it can find. The redo log (redo.go, docs/adr/0024) makes a transaction a
// page or two instead of one for each row.
//
// Other processes may open the same file, as the command line does while the
// service runs. The writer remembers rows between batches and forgets them as
// soon as another connection has written; what another process left in the log it
// brings to the tables first.
//
// When the disk is full or cannot be written, Do fails with
// verify.ErrUnavailable and works again once the disk does.
package sqlite
