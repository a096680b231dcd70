// Command bench measures the service beside what no service can be faster than:
//
//	empty    a handler that answers at once                    the floor of CHECK
//	proxy    a handler that posts one text to the simulator    the floor of START
//	service  the service, durable as configured by default,
//	         on SQLite, and on a PostgreSQL server of its own
//
// Each is a process of its own, and so is the simulated Twilio. All share one
// machine with the load, so the figures that count are ratios of one run: the
// measured things take turns (A B A B …), and the tables show medians. Who used
// the processors meanwhile is a table too.
//
//	go run ./internal/bench                     about three minutes
//	go run ./internal/bench -replicas 1,2,4     several services on one database
//	go run ./internal/bench -hot                one block of numbers beside many
//	go run ./internal/bench -full 1000000       a full store beside an empty one
//	go run ./internal/bench -full 1000000 -purge     and a purge of it beside none
//	go run ./internal/bench -json               the same as JSON
package main
