// Command bench measures the service beside what no service can be faster than:
//
//	empty    a handler that answers at once                    the floor of CHECK
//	proxy    a handler that posts one text to the simulator    the floor of START
//	service  the service, durable as configured by default
//
// Each is a process of its own, and so is the simulated Twilio. All share one
// machine with the load, so the figures that count are ratios of one run: the
// measured things take turns (A B A B …), and the table shows medians.
//
//	go run ./internal/bench            about two minutes
//	go run ./internal/bench -json      the same as JSON
package main
