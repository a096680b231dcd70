// Package callback takes what providers tell us by themselves: how a text fares,
// and what a person texted back. It decides nothing.
//
//	POST /callbacks/{connector}/{send}    a status of one send           204
//	POST /inbound/{connector}             a reply, STOP and START above all    200, an empty TwiML document
//
// Both go the same way:
//
//	connector by name ─> body, capped, whole ─> the connector's parser ─> the domain
//	404                  413 408 400            403 400                   404 503
//
// The parser checks the signature before it reads a word, and nothing is asked
// of the store before it is content. The URL that the provider has signed is
// made from configuration and the request's own path and query, never from its
// Host: behind a proxy that is the proxy's business, and a stranger's words else.
//
// A callback comes more than once and in any order; that is for the domain to
// judge. What the store cannot take now is 503, for the provider to repeat.
package callback
