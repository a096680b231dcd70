package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// maxCallers is how many connections the load keeps.
const maxCallers = 1 << 14

// letter is a request of the load. A header that is empty is left out.
type letter struct {
	method, url   string
	kind          string // Content-Type
	authorization string
	signature     string // X-Twilio-Signature
	body          []byte
	want          int // the status of the answer
}

// jsonLetter is a POST to the API.
func jsonLetter(url, key string, body []byte, want int) letter {
	return letter{method: http.MethodPost, url: url, kind: jsonType, authorization: "Bearer " + key, body: body, want: want}
}

// send makes a request and decodes the answer into v, or passes over it.
func (w *world) send(ctx context.Context, l letter, v any) error {
	req, err := http.NewRequestWithContext(ctx, l.method, l.url, bytes.NewReader(l.body))
	if err != nil {
		return err
	}
	for _, h := range [...]struct{ name, value string }{{"Content-Type", l.kind}, {"Authorization", l.authorization}, {"X-Twilio-Signature", l.signature}} {
		if h.value != "" {
			req.Header.Set(h.name, h.value)
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != l.want {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return &statusError{resp.StatusCode, text}
	}
	if v != nil {
		return json.NewDecoder(resp.Body).Decode(v)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// statusError is an answer that was not wanted.
type statusError struct {
	status int
	text   []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }
