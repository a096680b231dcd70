// Package nettest breaks networks for tests, on loopback ports.
//
// [RawServer] hands each connection to a function, which may read a whole
// request with [ReadRequest] and then answer half of it, nothing, or garbage, or
// [Reset] the connection. [Refused] is a port on which nobody listens,
// [Untrusted] a TLS server that no client believes. [Expiring] is a deadline that
// passes when the server has the request, and not a moment before or after. No
// test has to wait for a clock. A [Balancer] is the round-robin before several
// servers, which may die behind it. Only tests import this package.
package nettest
