package edge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ProblemType is the media type of a Problem (RFC 9457).
const ProblemType = "application/problem+json"

// typePrefix makes a problem's type from its code. It is a name, not an address.
const typePrefix = "urn:sixdigit:problem:"

// Problem is an error as clients see it. Code is stable and for programs; Detail
// is for the developer who reads it and quotes nothing that the client sent.
type Problem struct {
	Type       string       `json:"type" doc:"The code as a URI, urn:sixdigit:problem: and the code."`
	Title      string       `json:"title" doc:"The status in words."`
	Status     int          `json:"status" doc:"The HTTP status."`
	Code       string       `json:"code" doc:"What went wrong, for programs. Codes are stable."`
	Detail     string       `json:"detail,omitempty" doc:"What went wrong and what to do, for developers."`
	RequestID  string       `json:"request_id,omitempty" doc:"The request's id, as in X-Request-ID and in the service's log."`
	RetryAfter int          `json:"retry_after,omitempty" doc:"In how many seconds to try again, as in Retry-After."`
	Errors     []FieldError `json:"errors,omitempty" nullable:"false" doc:"The fields at fault."`
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field  string `json:"field" doc:"The field's name, with dots where it is nested."`
	Detail string `json:"detail" doc:"What is wrong with it."`
}

// Seconds is a wait in whole seconds, rounded up and at least one: whoever comes
// back at the time told must not be early.
func Seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// Complete fills in what follows from the request and from other fields.
func (p *Problem) Complete(r *http.Request) {
	p.Type = typePrefix + p.Code
	p.Title = http.StatusText(p.Status)
	p.RequestID = RequestID(r.Context())
}

// Write answers the request with the problem.
func (p Problem) Write(w http.ResponseWriter, r *http.Request) {
	p.Complete(r)
	WriteProblem(w, &p, &p)
}

// WriteProblem answers with body, a problem that may have members of its own;
// p is the Problem inside, complete.
func WriteProblem(w http.ResponseWriter, p *Problem, body any) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	WriteJSON(w, p.Status, ProblemType, body)
}

// typicalAnswer is the size of most answers in bytes, so that most are encoded
// into one allocation. Buffers for larger ones than maxKept are not kept.
const (
	typicalAnswer = 1 << 10
	maxKept       = 16 << 10
)

// An Appender writes itself as JSON, as encoding/json would write it without
// escapes for HTML.
type Appender interface {
	AppendJSON(b []byte) []byte
}

var answers = sync.Pool{New: func() any {
	b := make([]byte, 0, typicalAnswer)
	return &b
}}

// WriteJSON answers with v as JSON. A v that cannot be encoded is a bug and
// panics, before anything is written.
func WriteJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	kept := answers.Get().(*[]byte)
	b := (*kept)[:0]
	if a, ok := v.(Appender); ok {
		b = append(a.AppendJSON(b), '\n')
	} else {
		buf := bytes.NewBuffer(b)
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false) // the answers are no HTML, and nosniff says so
		if err := enc.Encode(v); err != nil {
			panic(err)
		}
		b = buf.Bytes()
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone is not our fault
	if cap(b) <= maxKept {
		*kept = b
		answers.Put(kept)
	}
}

// Unavailable answers every request with 503: while the service starts, stops
// or is under maintenance.
func Unavailable(detail string, retryAfter time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Problem{
			Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: detail, RetryAfter: Seconds(retryAfter),
		}.Write(w, r)
	})
}
