package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// maxBody bounds a request in bytes. Supabase sends the whole user along, with
// whatever an app has kept there; the other servers that sign send a few hundred.
const (
	maxBody   = 256 << 10
	maxSigned = 32 << 10
)

// lateBy is for what knows its outcome just as the time is over.
const lateBy = 200 * time.Millisecond

// handler is one hook at work.
type handler struct {
	Hook
	kind    kind
	proof   proof
	options *Options
	now     func() time.Time
}

// reply is an answer: body is text, or a value that becomes JSON; nil is none.
type reply struct {
	status int
	body   any
	header map[string]string
}

// dropped marks a refusal that the server does not learn.
type dropped struct {
	Dropped Result `json:"dropped"`
}

func (h *handler) route() string { return "POST /hooks/" + h.Name }

// serve is the way that every order goes.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	until := time.Now().Add(h.AnswerWithin)
	o, err := h.receive(r)
	if err != nil {
		out := failure(err)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.Header().Set("Connection", "close") // the rest of the body is not waited for
		}
		h.tell(w, r, out)
		return
	}
	h.answer(w, r, &o, until)
}

// sent is what sending came to.
type sent struct {
	verify.Started
	err      error
	panicked any
}

// answer sends and answers, in time also where the store takes longer than it has:
// what a store has begun it brings to an end, whoever has stopped waiting. The
// domain, when it closes, waits for what is still under way then (verify.Service.Close).
func (h *handler) answer(w http.ResponseWriter, r *http.Request, o *order, until time.Time) {
	ctx, cancel := context.WithDeadline(r.Context(), until)
	var once claim
	done := make(chan sent, 1)
	go func() {
		defer cancel()
		var s sent
		defer func() {
			if s.panicked = recover(); s.panicked != nil { // in this goroutine nobody would catch it
				h.options.Log.LogAttrs(ctx, slog.LevelError, "hook panicked", slog.String("hook", h.Name), slog.String("stack", string(debug.Stack())))
			}
			done <- s
		}()
		s.Started, s.err = h.send(ctx, o, h.later(w, r, until, &once))
	}()
	timer := time.NewTimer(time.Until(until) + lateBy)
	defer timer.Stop()
	var s sent
	select {
	case s = <-done:
	case <-timer.C:
		if once.take() {
			h.tell(w, r, outcome{result: h.kind.late, advice: connector.AdviceOtherMethod, wait: againSoon, err: errSlowStore})
			return
		}
		s = <-done // the connection was let go a moment ago
	}
	switch {
	case s.panicked != nil:
		panic(s.panicked) // for edge.Wrap
	case !errors.Is(s.err, verify.ErrLater):
		h.tell(w, r, outcomeOf(s.Started, s.err))
	}
}

var errSlowStore = errors.New("hooks: the store did not answer in time")

// claim is the right to a request's connection: to answer it, or to let it go.
type claim struct{ taken atomic.Bool }

func (c *claim) take() bool { return !c.taken.Swap(true) }

// later lets a request's connection go while a provider takes its time, and has
// the server answered before it stops waiting.
func (h *handler) later(w http.ResponseWriter, r *http.Request, until time.Time, once *claim) verify.Later {
	return func() func(verify.Started, error) {
		if !once.take() {
			return nil // it was answered
		}
		d := edge.Detach(w, r)
		if d == nil {
			once.taken.Store(false)
			return nil
		}
		answer := func(o outcome) {
			d.Answer(func(w http.ResponseWriter, r *http.Request) { h.tell(w, r, o) }) // the first one counts
		}
		timer := time.AfterFunc(time.Until(until), func() { answer(outcome{result: ResultPending}) })
		return func(st verify.Started, err error) {
			timer.Stop()
			answer(outcomeOf(st, err))
		}
	}
}

// malformedError is a body that this server does not send. It quotes nothing.
type malformedError struct{ text string }

// Error says what is wrong.
func (e malformedError) Error() string { return "hooks: " + e.text }

var (
	errTooLarge = errors.New("hooks: the body is too large")
	errBroken   = errors.New("hooks: the body ended early or its encoding is broken")
)

// receive says who a request is from, and reads it: in this order, but for the
// bytes of a body that is signed.
func (h *handler) receive(r *http.Request) (order, error) {
	if !h.proof.signed {
		if err := h.prove(r, nil); err != nil {
			return order{}, err
		}
	}
	body, err := readBody(r, h.bodyCap())
	if err != nil {
		return order{}, err
	}
	if h.proof.signed {
		if err := h.prove(r, body); err != nil {
			return order{}, err
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return order{}, malformedError{"the body is compressed"}
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	o, err := h.kind.read(&h.Hook, body, media == "application/x-www-form-urlencoded")
	switch {
	case err != nil:
		return o, err
	case o.to == "":
		return o, malformedError{"the order has no number"}
	case o.code == "":
		return o, malformedError{"the order has no code; only texts with a code are sent"}
	}
	return o, nil
}

// proofError is a request from nobody known.
type proofError struct{ error }

// Unwrap returns which proof failed, and how.
func (e proofError) Unwrap() error { return e.error }

func (h *handler) prove(r *http.Request, body []byte) error {
	if err := h.proof.check(r.Header, body, h.now()); err != nil {
		return proofError{err}
	}
	return nil
}

// readBody reads the body once, whole.
func readBody(r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	var tooLarge *http.MaxBytesError
	switch {
	case int64(len(body)) > most, errors.As(err, &tooLarge):
		return nil, errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, err
	case err != nil:
		return nil, errBroken
	}
	return body, nil
}

// readJSON decodes one JSON value. Members that are not asked for are passed
// over: servers gain some with every release.
func readJSON(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return malformedError{"the body is not the JSON that this server sends"}
	}
	return nil
}

// failure is the outcome of a request that made no order.
func failure(err error) outcome {
	o := outcome{result: ResultMalformed, advice: connector.AdviceOurFault, err: err}
	var unproven proofError
	var malformed malformedError
	switch {
	case errors.As(err, &unproven):
		o.result, o.detail = ResultUnauthorized, "The secret or signature is missing or wrong, or too old."
	case errors.Is(err, errTooLarge):
		o.result, o.detail = ResultTooLarge, "The body is too large."
	case errors.As(err, &malformed):
		o.detail = "The request is not what this hook takes: " + malformed.text + "."
	default:
		o.detail = "The body ended early or took too long to arrive."
	}
	return o
}

// tell answers, and tells log and metrics.
func (h *handler) tell(w http.ResponseWriter, r *http.Request, o outcome) {
	edge.Note(r.Context(), o.notes(h.Name)...)
	h.options.Observe(h.Name, o.result)
	a := h.kind.reply(o)
	if _, ok := a.body.(dropped); ok {
		h.options.Log.LogAttrs(r.Context(), slog.LevelWarn, "order dropped; the person gets no text and is not told", o.notes(h.Name)...)
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	switch body := a.body.(type) {
	case nil:
		w.WriteHeader(a.status)
	case string:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, body) // a server that has gone is not our fault
	case edge.Problem:
		body.Write(w, r)
	default:
		edge.WriteJSON(w, a.status, "application/json", body)
	}
}

// retryAfter is the header of an answer that says when to come again.
func (o outcome) retryAfter() map[string]string {
	if o.wait <= 0 {
		return nil
	}
	return map[string]string{"Retry-After": strconv.Itoa(edge.Seconds(o.wait))}
}
