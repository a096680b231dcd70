package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// request is what arrives at Twilio, decoded.
type request struct {
	Method, Path, Query string
	Authorization       string
	ContentType         string
	Form                url.Values
}

// recorder stands in for Twilio: it keeps the requests and takes every message.
type recorder struct {
	*httptest.Server
	requests chan request
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{requests: make(chan request, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		form = url.Values{"the body is no form": {string(body)}}
	}
	r.requests <- request{q.Method, q.URL.EscapedPath(), q.URL.RawQuery, q.Header.Get("Authorization"), q.Header.Get("Content-Type"), form}
	account := strings.Split(q.URL.Path, "/")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"sid":"SM%032d","account_sid":%q,"status":"accepted","error_code":null}`, 0, account[min(3, len(account)-1)])
}

// take returns the one request that arrived since the last call, or nil.
func (r *recorder) take(t *testing.T) *request {
	t.Helper()
	if len(r.requests) > 1 {
		t.Fatalf("%d requests arrived for one message", len(r.requests))
	}
	select {
	case q := <-r.requests:
		return &q
	default:
		return nil
	}
}

// order is one message to send: a connector JSON and a caller's words, both as
// JSON, so that each side decodes them itself.
type order struct {
	Config   json.RawMessage
	To, Type string
	Payload  json.RawMessage
}

// refusal is why the published connector did not send; Code is "" if it did.
type refusal struct{ Code, Message string }

// sendTheirs has the published connector send.
func sendTheirs(r *referee, o order, baseURL string) (refusal, error) {
	var answer struct{ Refused refusal }
	err := r.tryAsk("logto.send", map[string]any{
		"config":  o.Config,
		"data":    map[string]any{"to": o.To, "type": o.Type, "payload": o.Payload},
		"baseURL": baseURL,
	}, &answer)
	return answer.Refused, err
}

// sendOurs sends as a program built of sixdigit's packages does; to baseURL,
// unless the connector JSON has one of its own. exact decodes the payload's
// numbers as they are written.
func sendOurs(t *testing.T, o order, baseURL string, options twilio.Options, exact bool) error {
	t.Helper()
	cfg, _, err := twilio.ReadConfig(o.Config)
	if err != nil {
		return err
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = baseURL
	}
	client, err := twilio.New(cfg, options)
	if err != nil {
		return err
	}
	defer client.Close()
	catalog, err := sms.NewCatalog(cfg.Templates)
	if err != nil {
		return err
	}
	to, err := phone.ParseDigits(o.To)
	if err != nil {
		return err
	}
	payload, err := decodePayload(o.Payload, exact)
	if err != nil {
		return err
	}
	locale, _ := payload["locale"].(string)
	template, err := catalog.Choose(sms.UsageType(o.Type), locale)
	if err != nil {
		return err
	}
	_, err = client.Send(t.Context(), connector.Message{To: to, Body: secret.New(sms.Render(template.Content, payload))})
	return err
}

// decodePayload decodes as encoding/json does by itself, or with numbers kept
// as they are written.
func decodePayload(data []byte, exact bool) (payload map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if exact {
		d.UseNumber()
	}
	return payload, d.Decode(&payload)
}

// TestPublishedConnector sends hundreds of messages with both connectors and
// compares what arrives. Where they differ on purpose, TestDifferences says so.
func TestPublishedConnector(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	twilioStandIn := newRecorder(t)
	g := generator{seeded(t)}
	const orders = 600
	failed := 0
	for i := range orders {
		payload := g.payload()
		o := order{g.encode(g.config(payload)), g.recipient(), g.usage(), g.encode(payload)}
		if refused, err := sendTheirs(r, o, twilioStandIn.URL); err != nil || refused.Code != "" {
			t.Fatalf("they refuse a generated order: %v %v\n%s %s %s\n%s", refused, err, o.To, o.Type, o.Payload, o.Config)
		}
		theirs := twilioStandIn.take(t)
		if err := sendOurs(t, o, twilioStandIn.URL, twilio.Options{}, i%2 == 0); err != nil {
			t.Fatalf("we refuse a generated order, which they send: %v\n%s %s %s\n%s", err, o.To, o.Type, o.Payload, o.Config)
		}
		if diff := cmp.Diff(theirs, twilioStandIn.take(t)); diff != "" {
			t.Errorf("(-theirs +ours):\n%s\n%s %s %s\n%s", diff, o.To, o.Type, o.Payload, o.Config)
			if failed++; failed == 3 {
				t.Fatal("and so on")
			}
		}
	}
	t.Logf("%d requests are equal", orders-failed)
}

// TestPlaceholders puts thousands of payloads into thousands of templates.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	g := generator{seeded(t)}
	type pair struct {
		Template json.RawMessage `json:"template"`
		Payload  json.RawMessage `json:"payload"`
	}
	pairs := make([]pair, 6000)
	for i := range pairs {
		payload := g.payload()
		pairs[i] = pair{g.encode(g.content(payload)), g.encode(payload)}
	}
	var theirs []string
	r.ask("logto.render", map[string]any{"pairs": pairs}, &theirs)
	failed := 0
	for i, p := range pairs {
		var content string
		if err := json.Unmarshal(p.Template, &content); err != nil {
			t.Fatal(err)
		}
		for _, exact := range []bool{false, true} {
			payload, err := decodePayload(p.Payload, exact)
			if err != nil {
				t.Fatal(err)
			}
			if got := sms.Render(content, payload); got != theirs[i] {
				t.Errorf("%s\nin %s\nis theirs %+q\nours %+q", p.Payload, p.Template, theirs[i], got)
				if failed++; failed == 3 {
					t.Fatal("and so on")
				}
			}
		}
	}
}
