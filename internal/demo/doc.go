// Package demo plays an app that signs people in by text message, for a
// newcomer to watch: a form, the phone on which the text arrives, and below
// them every request that the app makes. The flow of one sign-in:
//
//	browser ── form ──> flow.go ── api.go, with the API key ──> the service
//	   ^                   │                                        │
//	   │                session.go                              connector
//	   │                   ^                                        v
//	   └─ page.go <────────┴──── phone.go <── events ──── simulated Twilio
//
// The browser holds a cookie that names its session, and never the API key:
// the verification's id, too, stays with the app. guard.go keeps other sites
// and other host names out. The page is whole without JavaScript; with it,
// server-sent events say that something changed, and page.js fetches the page
// and puts the parts that differ in place. transcript.go makes the same calls
// by itself and prints them.
//
// The package is handed what it shows: the service as a URL with a key, the
// simulator as an http.Handler.
package demo
