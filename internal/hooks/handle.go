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
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// maxBody bounds a request in bytes. Supabase sends the whole user along, with
// whatever an app has kept there.
const maxBody = 256 << 10

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
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	st, err := h.send(ctx, &o, h.later(w, r, until))
	if errors.Is(err, verify.ErrLater) {
		return
	}
	h.tell(w, r, outcomeOf(st, err))
}

// later lets a request's connection go while a provider takes its time, and has
// the server answered before it stops waiting.
func (h *handler) later(w http.ResponseWriter, r *http.Request, until time.Time) verify.Later {
	return func() func(verify.Started, error) {
		d := edge.Detach(w, r)
		if d == nil {
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
	body, err := readBody(r)
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
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case len(body) > maxBody, errors.As(err, &tooLarge):
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
		o.result, o.detail = ResultTooLarge, "The body is larger than "+strconv.Itoa(maxBody)+" bytes."
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
