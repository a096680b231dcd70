package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/secret"
)

// maxAnswer bounds an answer of the service in bytes.
const maxAnswer = 1 << 20

// client calls the service as an app's back end does.
type client struct {
	url  string
	key  secret.String
	http *http.Client
}

func newClient(url string, key secret.String) *client {
	return &client{url: strings.TrimSuffix(url, "/"), key: key, http: &http.Client{
		Transport:     &http.Transport{}, // no proxy: the service is on this machine
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// exchange is a request and its answer, as they are shown. The API key is not
// in it; the code that was typed is: it stands on the phone beside it.
type exchange struct {
	Method, Path string
	Request      string // JSON, or ""
	Status       int    // 0: no answer yet, or none at all
	RetryAfter   string
	Answer       []byte // JSON
	Took         time.Duration
	Failed       bool // there is no answer
}

// StatusText is the status in words.
func (x exchange) StatusText() string { return http.StatusText(x.Status) }

// OK reports a good answer.
func (x exchange) OK() bool { return x.Status >= 200 && x.Status < 300 }

// PrettyRequest is the request's JSON over several lines.
func (x exchange) PrettyRequest() string { return pretty([]byte(x.Request)) }

// PrettyAnswer is the answer's JSON over several lines.
func (x exchange) PrettyAnswer() string { return pretty(x.Answer) }

// Brief is the answer without the verification that the answer to a check
// repeats.
func (x exchange) Brief() string {
	text := x.PrettyAnswer()
	head, rest, found := strings.Cut(text, "\n  \"verification\": {")
	if !found {
		return text
	}
	_, tail, _ := strings.Cut(rest, "\n  }")
	return head + "\n  \"verification\": {…}" + tail
}

// Shortened reports that Brief leaves something out.
func (x exchange) Shortened() bool { return x.Brief() != x.PrettyAnswer() }

func pretty(data []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(data), "", "  "); err != nil {
		return "(not JSON)"
	}
	return b.String()
}

// newExchange prepares a call; send makes it.
func newExchange(method, path string, body any) (exchange, error) {
	x := exchange{Method: method, Path: path}
	if body == nil {
		return x, nil
	}
	data, err := json.Marshal(body)
	x.Request = string(data)
	return x, err
}

// send makes the call and returns the exchange with its answer.
func (c *client) send(ctx context.Context, x exchange) exchange {
	start := time.Now()
	err := c.post(ctx, &x)
	x.Took, x.Failed = time.Since(start), err != nil
	return x
}

func (c *client) post(ctx context.Context, x *exchange) error {
	req, err := http.NewRequestWithContext(ctx, x.Method, c.url+x.Path, strings.NewReader(x.Request))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	if x.Request != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = errors.New("demo: the answer is too long")
	}
	if err != nil {
		return err
	}
	x.Status, x.Answer, x.RetryAfter = resp.StatusCode, answer, resp.Header.Get("Retry-After")
	return nil
}

// startRequest is the body of POST /v1/verifications.
type startRequest struct {
	To        string `json:"to"`
	UsageType string `json:"usage_type"`
	ClientIP  string `json:"client_ip,omitempty"`
	Session   string `json:"session"`
}

type resendRequest struct {
	ClientIP string `json:"client_ip,omitempty"`
}

type checkRequest struct {
	Code string `json:"code"`
}

// verification is what the app reads of the service's verification.
type verification struct {
	ID           string    `json:"id"`
	To           string    `json:"to"`
	Status       string    `json:"status"`
	AttemptsLeft int       `json:"attempts_left"`
	ResendAfter  time.Time `json:"resend_after"`
	Joined       bool      `json:"joined"`
	Sends        []struct {
		ProviderID string `json:"provider_id"`
		Status     string `json:"status"`
	} `json:"sends"`
}

// newestStatus is the service's word on the newest text, or "".
func (v *verification) newestStatus() string {
	if len(v.Sends) == 0 {
		return ""
	}
	return v.Sends[len(v.Sends)-1].Status
}

// newestText is the provider's id of the newest text, or "".
func (v *verification) newestText() string {
	if len(v.Sends) == 0 {
		return ""
	}
	return v.Sends[len(v.Sends)-1].ProviderID
}

type checkAnswer struct {
	Valid        bool         `json:"valid"`
	Verification verification `json:"verification"`
}

// problem is what the app reads of an error (RFC 9457).
type problem struct {
	Code       string `json:"code"`
	Detail     string `json:"detail"`
	Advice     string `json:"advice"`
	RetryAfter int    `json:"retry_after"` // seconds
}

// codeNoAnswer is our own: the service did not answer, or not in its words.
const codeNoAnswer = "no_answer"

// read decodes a good answer into v, or returns the problem.
func (x exchange) read(v any) *problem {
	var p problem
	switch {
	case x.Failed:
	case x.OK() && json.Unmarshal(x.Answer, v) == nil:
		return nil
	case !x.OK() && json.Unmarshal(x.Answer, &p) == nil && p.Code != "":
		return &p
	}
	return &problem{Code: codeNoAnswer}
}
