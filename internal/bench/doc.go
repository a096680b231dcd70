// Command bench measures the service beside what no service can be faster than:
//
//	empty    a handler that answers at once
//	proxy    a handler that posts one text to the simulator
//	service  the service, durable as configured by default,
//	         on SQLite, and on a PostgreSQL server of its own
//
// Each is a process of its own, and so is the simulated Twilio. All share one
// machine with the load, so the figures that count are ratios of one run: the
// measured things take turns (A B A B … A), each turn of the service is compared
// with the floor's before and after it, and the tables show medians. Each goal
// stands beside its figure. What load and Twilio can do alone, and who used the
// processors meanwhile, are tables too. Last comes the program itself: how large
// it is, how soon it is ready, what it takes when it rests.
//
//	go run ./internal/bench                     all modes (modes.go), about eight minutes
//	go run ./internal/bench -only START,HOOK    some of them
//	go run ./internal/bench -slow 10s           checks, and memory, while Twilio is slow
//	go run ./internal/bench -replicas 1,2,4     several services on one database
//	go run ./internal/bench -hot                one block of numbers beside many
//	go run ./internal/bench -full 1000000       a full store beside an empty one
//	go run ./internal/bench -full 1000000 -purge     and a purge of it beside none
//	go run ./internal/bench -json               the same as JSON
package main
