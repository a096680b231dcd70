// Package edge is what every listener shares, whatever it serves.
//
//	Wrap    request id ─> security headers ─> body cap ─> the handler ─> one log line
//	        a panic becomes a 500, what no route matches a 404 or 405, as problem+json
//	Server  time-outs for slow clients; Serve ends when its context does, after
//	        what is in flight is finished
//	Detach  an answer that is long in coming waits without the connection's goroutine
//	Problem the one form of errors: RFC 9457
//
// The log line names the route's pattern, never the path: paths hold ids, and
// queries whatever a caller put there. A request id is always our own; one that
// a client sends proves nothing and could hold anything.
//
// What net/http refuses before any handler runs (a broken request line, headers
// that are too large) it answers itself, in plain text, and closes the
// connection.
package edge
