// Package sqlite keeps verifications in one SQLite file: the store of a service
// that runs on one machine. It needs no cgo.
//
//	Do ──> queue ──> writer: locks the files of the redo log
//	                   verify.Batch reads rows, applies each operation
//	                   all that changed is one entry of the log
//	                 sync, beside the next batch ──> every Do returns
//	keeper ──> rows of the log to their tables, a generation in one transaction
//	Get, Due, List ──> the log's rows as they are remembered, then a pool of
//	                   read-only connections
//
// The writer takes everything that waits as one batch (package commit), so that the
// disk's sync is paid once for many operations, and what Do has returned survives a
// kill and a power cut. Readers wait for a sync at most, unless another process has
// written what only the writer can find. The redo log is in two files beside the
// database (files.go, format.go, redo.go, docs/adr/0026).
//
// Other processes may open the same file, as the command line does while the
// service runs; elsewhere than on Unix nothing keeps them apart, and only one may. The
// writer remembers rows between batches and forgets them as soon as another connection
// has written; what another process left in the log comes to the tables first.
//
// When the disk is full or cannot be written, Do fails with
// verify.ErrUnavailable and works again once the disk does.
package sqlite
