// Package costs guards what a call of the service costs: allocations, bytes, and
// what it asks of its store. Nothing that it measures is a time, so that a busy
// machine changes nothing. It has tests only.
//
//	one caller ──HTTP──> the whole service, as internal/app builds it ──> SQLite | PostgreSQL
//	                                │                                        │
//	                                └──HTTP──> a provider that answers       └── counted: every statement,
//	                                           at once                           commit, page, round trip
//	64 callers, as one batch ──> verify.Service ──> SQLite | PostgreSQL
//
// All of it is in this process, and caller, provider and counters allocate nothing:
// what is counted is the service's. TestCosts compares it with testdata/costs.txt,
// and fails on what costs more, and on what costs less: then the file is to be
// tightened. `make costs` writes the file. docs/performance.md says when.
package costs
