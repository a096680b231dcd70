package edge

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// DefaultMaxBody bounds a request body where Options do not.
const DefaultMaxBody = 1 << 20

// Unmatched is the route of a request that no pattern matched.
const Unmatched = "unmatched"

// Options are Wrap's settings.
type Options struct {
	Log *slog.Logger // nil: silent
	// MaxBody bounds request bodies in bytes; 0 is DefaultMaxBody. A handler
	// may bound its own more tightly.
	MaxBody int64
	// Observe is told of every request when it is over; nil is nobody. route is
	// a pattern or Unmatched, so both it and method have few values.
	Observe func(method, route string, status int, took time.Duration)
}

// Wrap returns next as every listener serves it. The outermost ServeMux must
// get the request as Wrap hands it on, or the log cannot name the route.
func Wrap(next http.Handler, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Observe == nil {
		o.Observe = func(string, string, int, time.Duration) {}
	}
	return &wrapper{next, o}
}

type wrapper struct {
	next http.Handler
	Options
}

// ServeHTTP serves one request.
func (e *wrapper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &state{id: rand.Text()}
	s.notes = s.few[:0]
	rec := &recorder{ResponseWriter: w, request: r, wrapper: e, state: s, began: time.Now()}
	s.attach(r)
	setHeaders(w.Header(), s.id)
	defer func() {
		p := recover()
		if rec.detached != nil {
			if p != nil { // nobody may be left who would answer
				rec.detached.Answer(func(http.ResponseWriter, *http.Request) { panic(p) })
			}
			return
		}
		if p != nil && p != any(http.ErrAbortHandler) {
			e.panicked(rec, r, p)
		}
		e.done(rec, r, s, time.Since(rec.began))
		if p != nil && (p == any(http.ErrAbortHandler) || rec.torn) {
			// Half an answer must not look like a whole one.
			panic(http.ErrAbortHandler)
		}
	}()
	switch {
	case r.ContentLength > e.MaxBody:
		TooLarge(e.MaxBody).Write(rec, r)
	case !clean(r.URL.Path):
		// ServeMux would redirect, which no client of an API expects.
		notFound().Write(rec, r)
	default:
		if r.ContentLength < 0 && r.Body != nil { // net/http reads no more than was announced
			r.Body = http.MaxBytesReader(w, r.Body, e.MaxBody)
		}
		e.next.ServeHTTP(rec, r)
	}
}

// setHeaders sets what every answer carries. A page that shows more than JSON
// replaces the policy by its own. Transport security is the business of
// whatever ends TLS.
func setHeaders(h http.Header, id string) {
	values := [...]string{id, "no-store", "nosniff", "default-src 'none'; frame-ancestors 'none'", "no-referrer"}
	for i, name := range [...]string{
		"X-Request-Id", "Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy",
	} {
		h[name] = values[i : i+1 : i+1]
	}
}

// panicked answers 500 where nothing was answered yet. The panic's value may
// hold anything, so only its type is logged; a stack trace holds no values.
func (e *wrapper) panicked(rec *recorder, r *http.Request, p any) {
	Note(r.Context(), slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		rec.torn = true
		return
	}
	Problem{
		Status: http.StatusInternalServerError, Code: "internal", Detail: "Something is wrong on our side. The request's id finds it in the log.",
	}.Write(rec, r)
}

// done writes the request's log line.
func (e *wrapper) done(rec *recorder, r *http.Request, s *state, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	method, route := knownMethod(r.Method), routeOf(r)
	e.Observe(method, route, status, took)
	level := slog.LevelInfo
	if status >= 500 || rec.torn {
		level = slog.LevelError
	}
	ctx := r.Context()
	if !e.Log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 5+len(s.notes)),
		slog.String("request_id", s.id), slog.String("method", method), slog.String("route", route),
		slog.Int("status", status), slog.Duration("took", took))
	e.Log.LogAttrs(ctx, level, "request", append(attrs, s.notes...)...)
}

func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return Unmatched
	}
	return r.Pattern
}

// knownMethod keeps a client from choosing words for our log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodHead, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return "other"
}

// clean reports whether the path has neither empty nor dot segments.
func clean(path string) bool {
	return !strings.Contains(path, "//") && !strings.Contains(path, "/./") && !strings.Contains(path, "/../") &&
		!strings.HasSuffix(path, "/.") && !strings.HasSuffix(path, "/..")
}

// TooLarge is the problem of a body of more than limit bytes.
func TooLarge(limit int64) Problem {
	return Problem{
		Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
		Detail: fmt.Sprintf("The body is larger than %d bytes.", limit),
	}
}

func notFound() Problem {
	return Problem{Status: http.StatusNotFound, Code: "no_such_path", Detail: "Nothing is served at this path."}
}
