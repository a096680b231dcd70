package callback

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// retryAfter is for whoever reads it. Twilio repeats in its own time.
const retryAfter = time.Second

// emptyTwiML answers a reply with no text
// (https://www.twilio.com/docs/messaging/twiml).
const emptyTwiML = "<Response></Response>"

// Errors of the handler itself.
var (
	errNoConnector = errors.New("callback: no such connector")
	errTooLarge    = errors.New("callback: the body is too large")
	errSlow        = errors.New("callback: the body took too long to arrive")
	errBroken      = errors.New("callback: the body ended early or its encoding is broken")
)

// request is one request as far as its path tells.
type request struct {
	connector, kind string // as the metrics have them
	asked           string // the connector's name in the path, when there is no such connector
	source          Source
	send            string // of a status
}

func (c *Callbacks) status(w http.ResponseWriter, r *http.Request) {
	q := c.request(r, KindStatus)
	q.send = r.PathValue("send")
	c.handle(w, r, &q)
}

func (c *Callbacks) reply(w http.ResponseWriter, r *http.Request) {
	q := c.request(r, KindReply)
	c.handle(w, r, &q)
}

func (c *Callbacks) request(r *http.Request, kind string) request {
	name := r.PathValue("connector")
	source, known := c.options.Sources[name]
	q := request{connector: label(name, known), kind: kind, source: source}
	if !known {
		q.asked = shortened(name)
	}
	return q
}

// label keeps a client from choosing words for our metrics and log.
func label(name string, known bool) string {
	if !known {
		return ""
	}
	return name
}

// maxName is how long a connector's name can be.
const maxName = 32

// shortened is a name that a client chose, for the log: only one that could be a
// connector's is shown, and none with digits enough for a code or a number.
func shortened(name string) string {
	digits := 0
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r != '-' && (r < 'a' || r > 'z'):
			return "…"
		}
	}
	if len(name) > maxName || digits >= verify.MinCodeLength {
		return "…"
	}
	return name
}

// handle is the way that both kinds go.
func (c *Callbacks) handle(w http.ResponseWriter, r *http.Request, q *request) {
	ctx := r.Context()
	result := ResultUnavailable // of a panic, which edge answers
	defer func() {
		edge.Note(ctx, slog.String("connector", q.connector), slog.String("result", result))
		c.options.Observe(q.connector, q.kind, result)
	}()
	if err := c.serve(r, q); err != nil {
		result = c.refuse(w, r, q, err)
		return
	}
	result = ResultOK
	if q.kind == KindStatus {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(w, emptyTwiML) // a provider that has gone is not our fault
}

// serve reads and records. A connector without the parser is as none.
func (c *Callbacks) serve(r *http.Request, q *request) error {
	isStatus := q.kind == KindStatus
	if isStatus && q.source.Status == nil || !isStatus && q.source.Replies == nil {
		return errNoConnector
	}
	in, err := c.inbound(r)
	if err != nil {
		return err
	}
	var update connector.StatusUpdate
	var reply connector.Reply
	if isStatus {
		update, err = q.source.Status.ParseStatus(in)
	} else {
		reply, err = q.source.Replies.ParseReply(in)
	}
	if err != nil {
		return err
	}
	// Once a callback is known to be genuine it is recorded, whether or not the
	// provider still listens.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), deadline)
	defer cancel()
	if isStatus {
		err = c.options.Recorder.RecordDelivery(ctx, q.connector, q.send, update)
	} else {
		err = c.options.Recorder.RecordReply(ctx, q.connector, reply)
	}
	if err != nil {
		return recorderError{err}
	}
	if isStatus {
		edge.Note(ctx, slog.String("send", q.send)) // it exists, so the word is ours
	}
	return nil
}

// refuse answers with an error's problem and returns its result.
func (c *Callbacks) refuse(w http.ResponseWriter, r *http.Request, q *request, err error) string {
	problem, result := refusal(err)
	if result != ResultSignature {
		edge.Note(r.Context(), slog.String("error", err.Error()))
	}
	if q.asked != "" {
		// A connector that was renamed, or a URL in the provider's console that was not.
		c.options.Log.LogAttrs(r.Context(), slog.LevelWarn, "callback for an unknown connector", slog.String("asked", q.asked), slog.String("kind", q.kind))
	}
	if result == ResultUnknownStatus {
		// The provider has a status that came after this program.
		c.options.Log.LogAttrs(r.Context(), slog.LevelWarn, "callback not understood", slog.String("connector", q.connector))
	}
	if problem.Status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close") // the rest of the body is not waited for
	}
	problem.Write(w, r)
	return result
}

// inbound reads the request, whole.
func (c *Callbacks) inbound(r *http.Request) (connector.Inbound, error) {
	in := connector.Inbound{PublicURL: c.options.PublicURL + r.URL.EscapedPath(), Header: r.Header}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		in.PublicURL += "?" + r.URL.RawQuery
	}
	if r.ContentLength > maxBody {
		return in, errTooLarge
	}
	var err error
	in.Body, err = readBody(r.Body, r.ContentLength)
	return in, err
}

// commonBody is more than most requests have, in bytes.
const commonBody = 2 << 10

// readBody reads a body, whole. announced is its length, or negative.
func readBody(from io.Reader, announced int64) ([]byte, error) {
	room := announced + 1 // for the end to be seen
	if announced < 0 || room > commonBody {
		room = commonBody // what is announced has yet to come
	}
	body := make([]byte, 0, room)
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, bodyError(err)
		case len(body) == cap(body):
			body = slices.Grow(body, len(body))
		}
	}
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errBroken
}

// recorderError keeps an error of the domain apart from one of the parser.
type recorderError struct{ error }

// Unwrap returns the domain's error.
func (e recorderError) Unwrap() error { return e.error }

// refusal is the one place where errors become answers and results.
func refusal(err error) (edge.Problem, string) {
	var recorder recorderError
	switch {
	case errors.Is(err, errNoConnector), errors.As(err, &recorder) && errors.Is(err, verify.ErrNotFound):
		return edge.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such connector or send."}, ResultNotFound
	case errors.As(err, &recorder):
		return edge.Problem{
			Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "The service cannot take this now; try again.",
			RetryAfter: edge.Seconds(retryAfter),
		}, ResultUnavailable
	case errors.Is(err, errTooLarge):
		return edge.TooLarge(maxBody), ResultTooLarge
	case errors.Is(err, errSlow):
		return edge.Problem{Status: http.StatusRequestTimeout, Code: "body_timeout", Detail: "The body took too long to arrive."}, ResultMalformed
	case errors.Is(err, connector.ErrUnknownStatus):
		return edge.Problem{Status: http.StatusBadRequest, Code: "status_unknown", Detail: "The status is not one that this service knows."}, ResultUnknownStatus
	case errors.Is(err, connector.ErrMalformed), errors.Is(err, errBroken):
		return edge.Problem{Status: http.StatusBadRequest, Code: "callback_malformed", Detail: "The request is not what this provider sends."}, ResultMalformed
	}
	// What a parser says beyond its contract is no proof either.
	return edge.Problem{Status: http.StatusForbidden, Code: "signature_invalid", Detail: "The signature is missing or wrong."}, ResultSignature
}
