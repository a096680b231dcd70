package demo

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
)

//go:embed page.html
var pageHTML string

//go:embed demo.css
var pageCSS string

//go:embed demo.js
var pageJS string

// pagePolicy lets the page load its own two files, post its forms and fetch
// itself, and nothing else. No script may turn a string into markup: the texts
// are written by whoever sends them.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func parsePage() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{"spoken": spoken}).Parse(pageHTML)
}

// spoken has a code read digit by digit, where it is read aloud.
func spoken(code string) string { return strings.Join(strings.Split(code, ""), " ") }

// view is what the page shows.
type view struct {
	Run, Step, Typed, Usage string
	Rev                     int
	Notice, Fault, Field    string
	To                      string
	Tries                   int
	Wait                    int // seconds until another text may be asked for
	Texts                   []text
	Log                     []entry // the newest line first
	API                     string
}

// usageName is one usage type in words.
type usageName struct{ Type, Name string }

// Usages are those that the demo's connector has templates for.
func (view) Usages() []usageName {
	return []usageName{{usageSignIn, "sign in"}, {usageRegister, "sign up"}, {usageTest, "try the set-up"}}
}

// Moved reports that a form was sent: the focus then goes to what comes next.
func (v view) Moved() bool { return v.Rev > 0 }

// Title is the page's, for tabs and for who listens.
func (v view) Title() string {
	words := map[string]string{stepCode: "Type the code", stepDone: "Signed in", stepEnded: "Not signed in"}[v.Step]
	switch {
	case v.Fault != "" && words != "":
		return "Error: " + words + " – sixdigit demo"
	case words != "":
		return words + " – sixdigit demo"
	}
	return "sixdigit demo"
}

// Rev changes whenever a line of the log does.
func (e entry) Rev() string {
	if e.Text != nil {
		return fmt.Sprint(len(e.Text.Statuses))
	}
	return fmt.Sprint(e.Call.Status, e.Call.Failed)
}

func (d *Demo) view(ctx context.Context, s *session) view {
	s.mu.Lock()
	st := s.state
	v := view{
		Run: s.run, Rev: s.rev, Step: st.step, Typed: st.typed, Usage: st.usage, Notice: st.notice, Fault: st.fault, Field: st.field,
		To: st.v.To, Tries: st.v.AttemptsLeft, Log: slices.Clone(s.log), API: d.api.url,
	}
	s.mu.Unlock()
	slices.Reverse(v.Log)
	if left := time.Until(st.v.ResendAfter); left > 0 {
		v.Wait = edge.Seconds(left)
	}
	v.Texts, _ = d.phone.texts(ctx, v.To) // a simulator that was closed has no texts
	return v
}

func (d *Demo) servePage(w http.ResponseWriter, r *http.Request) {
	s := d.session(w, r)
	var page bytes.Buffer
	if err := d.page.Execute(&page, d.view(r.Context(), s)); err != nil {
		edge.Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "The page cannot be made."}.Write(w, r)
		return
	}
	pageHeaders(w.Header(), "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // a reader that left needs no page
}

func serveFile(text, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		pageHeaders(w.Header(), kind)
		_, _ = io.WriteString(w, text)
	}
}

func pageHeaders(h http.Header, kind string) {
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// cookieName holds the port: browsers send a cookie to every port of a host,
// and two demos may run.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil || strings.Trim(port, "0123456789") != "" {
		port = ""
	}
	return "sixdigit_demo_" + port
}

// session returns the browser's session, a new one if it has none.
func (d *Demo) session(w http.ResponseWriter, r *http.Request) *session {
	if s := d.known(r); s != nil {
		return s
	}
	s := d.sessions.open()
	setCookie(w, r, s)
	return s
}

func (d *Demo) known(r *http.Request) *session {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil
	}
	return d.sessions.get(c.Value)
}

// setCookie names the session to the browser: out of reach of scripts, and
// never sent along with another site's request. Secure is left out because the
// demo has no TLS and some browsers then drop the cookie, also on loopback.
func setCookie(w http.ResponseWriter, r *http.Request, s *session) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure: see above
		Name: cookieName(r), Value: s.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// serveEvents tells the page, as server-sent events, when something changed.
// It begins with one, so that a page that reconnects misses nothing.
func (d *Demo) serveEvents(w http.ResponseWriter, r *http.Request) {
	s := d.known(r)
	if s == nil {
		edge.Problem{Status: http.StatusNotFound, Code: "no_session", Detail: "Open the page first."}.Write(w, r)
		return
	}
	changed, stop := s.watch()
	if changed == nil {
		edge.Problem{Status: http.StatusServiceUnavailable, Code: "too_many_streams", Detail: "Close another tab.", RetryAfter: 5}.Write(w, r)
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	send := func(text string) bool {
		// A reader that stopped reading must not hold the stream for ever.
		_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, err := io.WriteString(w, text)
		return err == nil && rc.Flush() == nil
	}
	const news = "event: changed\ndata: {}\n\n"
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for ok := send(news); ok; {
		select {
		case <-r.Context().Done():
			return
		case <-d.ctx.Done():
			return
		case <-alive.C:
			ok = send(": alive\n\n")
		case <-changed:
			ok = send(news)
		}
	}
}
