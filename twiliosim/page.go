package twiliosim

import (
	_ "embed"
	"io"
	"net/http"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// pagePolicy lets the page load its own two files and talk to this server, and
// nothing else: a text is written by whoever sends it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// servePage answers the page and its files; false for any other path.
func servePage(w http.ResponseWriter, r *http.Request) bool {
	var body, kind string
	switch r.URL.Path {
	case "/sim":
		http.Redirect(w, r, "/sim/", http.StatusFound)
		return true
	case "/sim/":
		body, kind = pageHTML, "text/html; charset=utf-8"
	case "/sim/page.css":
		body, kind = pageCSS, "text/css; charset=utf-8"
	case "/sim/page.js":
		body, kind = pageJS, "text/javascript; charset=utf-8"
	default:
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		controlError(w, http.StatusMethodNotAllowed, "no such method here")
		return true
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	_, _ = io.WriteString(w, body) // a reader that left needs no page
	return true
}
