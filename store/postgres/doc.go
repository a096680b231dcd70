// Package postgres keeps verifications in a PostgreSQL database: the store of a
// service that runs in many replicas.
//
//	Do ──> queue ──> BEGIN, the time, and every row foreseen, locked   1 round trip
//	                 verify.Batch applies each operation
//	                 what it asked for besides is fetched, and all     0 or 1
//	                 operations are applied anew
//	                 the changed rows, and COMMIT                      1
//	Get, Due, Purge ──> a pool of connections
//
// One connection writes. It takes everything that waits as one transaction
// (package commit), with statements whose number does not depend on how many
// operations there are. Replicas meet in the rows: each locks what it reads, in
// one order of tables and keys, so that none waits for one that waits for it. A
// row that is not there cannot be locked; who inserts it second is refused and
// runs its batch again, as after a deadlock or a broken connection.
//
// Where the connection breaks at the COMMIT, nobody knows whether it happened.
// Each writer's connection has a row with the number of its last batch; another
// connection asks for it, after the lost transaction's end. Do then returns the
// truth, after at most 10 s.
//
// The time is the database's. Days of verifications are partitions, which Purge
// makes ahead and drops. docs/postgres.md says what a server must be able to do,
// and ADR 19 why all this is so.
package postgres
