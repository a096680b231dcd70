// Package httpapi is the JSON API over HTTP: it says who calls, reads the
// request strictly, asks the domain, and writes the answer. It decides nothing.
//
//	caller ─> media type ─> Idempotency-Key ─> body, capped ─> strict JSON ─> schema ─> domain ─> answer
//	401 403   415           400                413 408    │    400            422     ↑ one row of errors.go
//	                                                      └── quick: plain texts ─────┘
//
// Nearly every body is one flat object of plain texts: the quick path reads and
// checks it at once (quick.go). It knows no errors: what it does not take goes the
// other way.
//
// An operation that sends waits a second for the provider on the connection's own
// goroutine. After that whoever has the outcome gives the answer (addSend,
// edge.Detach), and the connection ends with it.
//
// Two statuses tell bad requests apart: 400 is for one that cannot be read, 422
// for one that was read and says something impossible.
//
// Each operation is described once, beside its handler; from that and the Go
// types comes the OpenAPI 3.1 document, whose schemas are the ones that bodies
// are checked against. huma makes the schemas and the document. Its own request
// pipeline is not used: it takes field names in any case, repeats a refused
// body's values in its errors (a code among them), and has its error form in a
// variable that the whole process shares.
package httpapi
