// Package postgres keeps verifications in a PostgreSQL database: the store of a
// service that runs in many replicas.
//
//	Do ──> queue ──> rows that are remembered are guessed to be still so;
//	                 those that cannot be guessed: BEGIN, the time, and all    0 or 1 round trip
//	                 of them locked and fetched
//	                 verify.Batch applies each operation
//	                 BEGIN, unless it was said; the changed rows, if they      1
//	                 and all that were guessed are what they were; COMMIT
//	       guessed wrong: all over again, with every row locked at first
//	Get, Due, Purge ──> a pool of connections
//
// One connection writes. It takes everything that waits as one transaction
// (package commit), with statements whose number does not depend on how many
// operations there are.
//
// Each row has a version. The writer remembers what it has written and read, as
// far back as there is room (recent.go), and decides on that; the server writes
// nothing unless every row that was read has the version that was remembered, and
// holds on to all of them until the COMMIT. So what is remembered may be wrong and
// no answer ever is. A row that another replica writes too is soon locked first
// (plan.go, memory.go).
//
// Rows are locked in one order of tables and keys, so that no replica waits for
// one that waits for it; who has guessed waits only for a moment. A row that is
// not there cannot be locked; who inserts it second is refused and runs its batch
// again, as after a deadlock or a broken connection.
//
// Where the connection breaks at the COMMIT, nobody knows whether it happened.
// Each writer's connection has a row with the number of its last batch; another
// connection asks for it, after the lost transaction's end, and bars it from
// beginning late. Do then returns the truth, or ErrUnavailable 10 s after the
// batch was sent: 13 s at most for a caller, who may have waited 3 s for the batch
// before.
//
// The time is the database's: it comes with every answer, is reckoned on for a
// second at most, and the server compares. Days of verifications are partitions,
// which Purge makes ahead and drops. docs/postgres.md says what a server must be
// able to do, ADR 19 why all this is so, and ADR 25 where its time goes.
package postgres
