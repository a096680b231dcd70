package connectortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// Harness is what Run has to know of a connector.
type Harness struct {
	// New makes a connector that speaks to the provider at baseURL, a loopback
	// address with http or https, by way of rt alone.
	New func(t testing.TB, baseURL string, rt http.RoundTripper) connector.Sender
	// Accept answers a send as the provider does when it takes the text.
	Accept func(w http.ResponseWriter, r *http.Request)
	// Secrets are the credentials that New gives the connector, each of 6
	// characters or more.
	Secrets []string

	// Statuses replaces rows of the table by HTTP status, where the provider
	// means something else by one. Say why beside each.
	Statuses map[int]Want

	// Callback returns a genuine callback that says delivered, for a connector
	// that is a StatusParser; its parts may be changed.
	Callback func(t testing.TB) connector.Inbound
	// Reply returns a genuine text from +14155550123 that says STOP, for a
	// connector that is a ReplyParser; its parts may be changed.
	Reply func(t testing.TB) connector.Inbound
	// ProviderID is an id as the provider makes them, for a connector that is a
	// Finder or a FeedbackSender.
	ProviderID string
}

// Want is what an error has to say.
type Want struct {
	Outcome connector.Outcome
	Kind    connector.Kind // "" for any
}

// defaultStatuses is what an HTTP status means for a send when the body says
// nothing: 429 and 4xx come from a provider that looked at the request and did
// not take it; a 5xx may come from one that took it and then fell, and a 3xx
// from anybody. Only 408 and 5xx are known to pass.
func defaultStatuses() map[int]Want {
	const (
		refused = connector.OutcomeRefused
		maybe   = connector.OutcomeMaybe
	)
	return map[int]Want{
		301: {maybe, ""}, 302: {maybe, ""}, 303: {maybe, ""}, 304: {maybe, ""}, 307: {maybe, ""}, 308: {maybe, ""},
		400: {refused, ""}, 401: {refused, connector.KindAuth}, 402: {refused, ""}, 403: {refused, ""},
		404: {refused, connector.KindSender}, 405: {refused, ""}, 408: {maybe, connector.KindTemporary},
		413: {refused, ""}, 418: {refused, ""}, 422: {refused, ""},
		429: {connector.OutcomeNotProcessed, connector.KindThrottled},
		500: {maybe, connector.KindTemporary}, 501: {maybe, connector.KindTemporary}, 502: {maybe, connector.KindTemporary},
		503: {maybe, connector.KindTemporary}, 504: {maybe, connector.KindTemporary}, 599: {maybe, connector.KindTemporary},
	}
}

// What every send of Run is about. The digits match nothing by chance.
const (
	number = "4155550123"
	code   = "8463921057"
)

// Run holds a connector to the contract.
func Run(t *testing.T, h Harness) {
	s := &suite{h: h}
	for _, p := range s.parts() {
		t.Run(p.name, p.run)
	}
}

type suite struct{ h Harness }

type part struct {
	name string
	run  func(*testing.T)
}

func (s *suite) parts() []part {
	return []part{
		{"accepts", s.accepts},
		{"statuses", s.statuses},
		{"answers without meaning", s.meaningless},
		{"lost answers", s.lostAnswers},
		{"never sent", s.neverSent},
		{"no replay", s.noReplay},
		{"callbacks", s.callbacks},
		{"replies", s.replies},
		{"finder", s.finder},
		{"feedback", s.feedback},
	}
}

// provider is a stand-in for the provider, and a connector that speaks to it.
type provider struct {
	sender   connector.Sender
	requests *atomic.Int64 // that the provider got
	carried  *atomic.Int64 // that the transport was given
}

func (s *suite) provider(t *testing.T, answer http.HandlerFunc) provider {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	sender, carried := s.sender(t, server.URL)
	return provider{sender: sender, requests: &requests, carried: carried}
}

// sender makes a connector whose requests are counted and stay on this machine.
func (s *suite) sender(t *testing.T, baseURL string) (connector.Sender, *atomic.Int64) {
	t.Helper()
	rt := &counter{rt: LoopbackOnly()}
	t.Cleanup((&http.Client{Transport: rt.rt}).CloseIdleConnections)
	sender := s.h.New(t, baseURL, rt)
	NoSecrets(t, sender, s.h.Secrets...)
	return sender, &rt.n
}

type counter struct {
	rt http.RoundTripper
	n  atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.rt.RoundTrip(r)
}

func message(t *testing.T) connector.Message {
	t.Helper()
	to, err := phone.Parse("+1" + number)
	if err != nil {
		t.Fatal(err)
	}
	return connector.Message{To: to, Body: secret.New("Your code is " + code + ".")}
}

// fails sends once and holds the error to the contract.
func (s *suite) fails(t *testing.T, ctx context.Context, sender connector.Sender, want Want) *connector.Error {
	t.Helper()
	receipt, err := sender.Send(ctx, message(t))
	if err == nil {
		t.Fatalf("Send: receipt with status %q, want an error", receipt.Status)
	}
	if receipt != (connector.Receipt{}) {
		t.Errorf("Send returns a receipt beside its error")
	}
	e := s.checkError(t, err)
	if e == nil {
		return nil
	}
	if e.Outcome != want.Outcome {
		t.Errorf("outcome %q, want %q", e.Outcome, want.Outcome)
	}
	if want.Kind != "" && e.Kind != want.Kind {
		t.Errorf("kind %q, want %q", e.Kind, want.Kind)
	}
	return e
}

// checkError holds any error of a connector to the contract. It returns nil
// when err is no *connector.Error.
func (s *suite) checkError(t *testing.T, err error) *connector.Error {
	t.Helper()
	NoSecrets(t, err, append([]string{number, code}, s.h.Secrets...)...)
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Errorf("the error is a %T, want a *connector.Error", err)
		return nil
	}
	if !slices.Contains(connector.Kinds(), e.Kind) {
		t.Errorf("kind %q is none of the contract's", e.Kind)
	}
	if !slices.Contains(connector.Outcomes(), e.Outcome) {
		t.Errorf("outcome %q is none of the contract's", e.Outcome)
	}
	if !slices.Contains(connector.Advices(), e.Advice) {
		t.Errorf("advice %q is none of the contract's", e.Advice)
	}
	if e.Outcome == connector.OutcomeMaybe && e.Actions.Has(connector.ActRetry) {
		t.Error("the outcome is maybe and the actions ask for a retry")
	}
	if e.RetryAfter < 0 {
		t.Errorf("RetryAfter is %v", e.RetryAfter)
	}
	if e.Err == nil {
		t.Error("the error does not say what happened")
	}
	return e
}

func (s *suite) accepts(t *testing.T) {
	p := s.provider(t, s.h.Accept)
	const sends = 20
	var wg sync.WaitGroup
	for range sends {
		wg.Go(func() {
			receipt, err := p.sender.Send(t.Context(), message(t))
			if err != nil {
				t.Errorf("Send: %v", err)
				return
			}
			if receipt.ProviderID == "" {
				t.Error("the receipt has no id")
			}
			if receipt.Status != connector.StatusAccepted && receipt.Status != connector.StatusSent && receipt.Status != connector.StatusDelivered {
				t.Errorf("the receipt's status is %q", receipt.Status)
			}
			NoSecrets(t, receipt, append([]string{number, code}, s.h.Secrets...)...)
		})
	}
	wg.Wait()
	if got := p.requests.Load(); got != sends {
		t.Errorf("%d requests for %d sends", got, sends)
	}
	if got := p.carried.Load(); got != sends {
		t.Errorf("%d of %d requests went through the harness's transport", got, sends)
	}
}

// indiscreet quotes what providers quote: the number and the body.
const indiscreet = `{"message": "The 'To' number +1` + number + ` is not valid: Your code is ` + code + `."}`

func (s *suite) statuses(t *testing.T) {
	table := defaultStatuses()
	maps.Copy(table, s.h.Statuses)
	for status, want := range table {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			p := s.provider(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				if status != http.StatusNotModified {
					_, _ = io.WriteString(w, indiscreet)
				}
			})
			e := s.fails(t, t.Context(), p.sender, want)
			if e != nil && e.HTTPStatus != status {
				t.Errorf("HTTPStatus %d, want %d", e.HTTPStatus, status)
			}
			if got := p.requests.Load(); got != 1 {
				t.Errorf("%d requests, want 1: a send is made once, and redirects are not followed", got)
			}
		})
	}
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "soon": 0, "-5": 0} {
		t.Run(fmt.Sprintf("429 Retry-After %q", header), func(t *testing.T) {
			t.Parallel()
			p := s.provider(t, func(w http.ResponseWriter, _ *http.Request) {
				if header != "" {
					w.Header().Set("Retry-After", header)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			e := s.fails(t, t.Context(), p.sender, table[http.StatusTooManyRequests])
			if e != nil && e.RetryAfter != want {
				t.Errorf("RetryAfter %v, want %v", e.RetryAfter, want)
			}
		})
	}
}

// meaningless answers of 2xx leave open whether the text goes out: they may be
// a proxy's.
func (s *suite) meaningless(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "html": "<html>Welcome to the hotel's network</html>", "null": "null", "object": "{}", "array": "[]",
		"text": `"ok"`, "cut": `{"sid": "SM`, "quotes": indiscreet, "binary": "\x00\x01\xff", "long": strings.Repeat("x", 10<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.provider(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, body)
			})
			_ = s.fails(t, t.Context(), p.sender, Want{Outcome: connector.OutcomeMaybe})
			if got := p.requests.Load(); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	}
}
