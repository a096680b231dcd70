// Package pgtest starts real PostgreSQL servers for tests.
//
//	Open ──> initdb ──> postgres, on a Unix socket in a folder of its own
//	           │
//	           ├─ Database   a new, empty database, as a URL
//	           ├─ Stop, Kill, Start   an outage, a crash, and the end of it
//	           └─ Proxy      a way to it that can be cut, or fall silent
//	OpenCluster ──> the same twice, one a standby of the other, on loopback
//	           ├─ Synchronous   no commit is confirmed without the standby
//	           └─ Promote, Rejoin   a failover, and what was the primary as the new standby
//
// The programs are those of Debian's postgresql package, or those on PATH. They
// refuse to run as root: then another user runs them. Commits are synced, as
// they are in earnest. Who comes by loopback needs a password. A server ends with the test's process, however that
// ends. A test that cannot have one is skipped with the reason; where
// SIXDIGIT_REQUIRE_POSTGRES or SIXDIGIT_TEST_ALL is set, it fails. Only tests
// import this package.
package pgtest
