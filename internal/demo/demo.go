package demo

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
)

// maxForm bounds a form in bytes: a number and a word.
const maxForm = 4 << 10

// actionTimeout outlasts a start that waits for its provider.
const actionTimeout = 30 * time.Second

// Options says what the demo shows.
type Options struct {
	API string        // the service's URL
	Key secret.String // an API key of the service, for the app that the demo plays
	// Simulator answers Twilio's API, and GET /sim/messages and /sim/events.
	Simulator http.Handler
}

// Demo is the app that the demo plays. Close ends it.
type Demo struct {
	api       *client
	phone     *phone
	simulator http.Handler
	sessions  *sessions
	page      *template.Template

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// New returns a demo that watches the simulator from now on.
func New(o Options) (*Demo, error) {
	page, err := parsePage()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	d := &Demo{
		api:       newClient(o.API, o.Key),
		phone:     &phone{simulator: o.Simulator},
		simulator: o.Simulator,
		sessions:  newSessions(),
		page:      page,
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.wg.Go(func() { d.phone.watch(d.ctx, d.sessions.arrived, d.resync) })
	return d, nil
}

// Close ends the event streams and the demo's own connections.
func (d *Demo) Close() {
	d.stop()
	d.wg.Wait()
	d.api.close()
}

// Handler serves the page and, beside it, the simulator.
func (d *Demo) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.servePage)
	mux.HandleFunc("GET /demo.css", serveFile(pageCSS, "text/css; charset=utf-8"))
	mux.HandleFunc("GET /demo.js", serveFile(pageJS, "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /events", d.serveEvents)
	mux.HandleFunc("POST /start", d.action(func(ctx context.Context, s *session, r *http.Request) {
		d.start(ctx, s, r.PostFormValue("to"), r.PostFormValue("usage"), clientIP(r))
	}))
	mux.HandleFunc("POST /check", d.action(func(ctx context.Context, s *session, r *http.Request) {
		d.check(ctx, s, r.PostFormValue("code"))
	}))
	mux.HandleFunc("POST /resend", d.action(func(ctx context.Context, s *session, r *http.Request) {
		d.resend(ctx, s, clientIP(r))
	}))
	mux.HandleFunc("POST /change", d.action(func(ctx context.Context, s *session, _ *http.Request) { d.change(ctx, s) }))
	mux.HandleFunc("POST /restart", d.action(func(ctx context.Context, s *session, _ *http.Request) { d.restart(ctx, s) }))

	own := edge.Wrap(mux, edge.Options{MaxBody: maxForm})
	return guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if simulated(r.URL.Path) {
			d.simulator.ServeHTTP(w, r)
			return
		}
		own.ServeHTTP(w, r)
	}))
}

// simulated reports a path of the simulator: its own page, and Twilio's API,
// which the connector calls.
func simulated(path string) bool {
	for _, prefix := range []string{"/sim/", "/2010-04-01/", "/v1/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return path == "/sim"
}

// action makes a handler of what one form does. Afterwards the browser is sent
// back to the page, so that to reload it repeats nothing.
func (d *Demo) action(do func(context.Context, *session, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			refuseForm(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
		defer cancel()
		s := d.session(w, r)
		if !s.begin(ctx) {
			return // the browser has gone, or another tab is at it for long
		}
		defer s.end()
		do(ctx, s, r)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func refuseForm(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		edge.TooLarge(maxForm).Write(w, r)
		return
	}
	edge.Problem{Status: http.StatusBadRequest, Code: "malformed_form", Detail: "The body is not a form."}.Write(w, r)
}
