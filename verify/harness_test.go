package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testClock is a clock that tests turn.
type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fakeSender is a connector.Sender; its function stands for the provider.
type fakeSender struct {
	mu       sync.Mutex
	messages []connector.Message
	send     func(ctx context.Context, m connector.Message) (connector.Receipt, error)
}

func (f *fakeSender) Send(ctx context.Context, m connector.Message) (connector.Receipt, error) {
	f.mu.Lock()
	f.messages = append(f.messages, m)
	n, send := len(f.messages), f.send
	f.mu.Unlock()
	if send != nil {
		return send(ctx, m)
	}
	return connector.Receipt{ProviderID: fmt.Sprintf("SM%d", n), Status: connector.StatusAccepted}, nil
}

func (f *fakeSender) answer(send func(context.Context, connector.Message) (connector.Receipt, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.send = send
}

func (f *fakeSender) fail(outcome connector.Outcome, kind connector.Kind) {
	f.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
		return connector.Receipt{}, &connector.Error{Kind: kind, ProviderCode: "21211", Outcome: outcome, Advice: connector.AdviceCheckNumber}
	})
}

func (f *fakeSender) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.messages)
}

var codePattern = regexp.MustCompile(`\d{6,10}`)

// lastCode reads the code off the last text.
func (f *fakeSender) lastCode() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.messages) == 0 {
		return ""
	}
	return codePattern.FindString(f.messages[len(f.messages)-1].Body.Reveal())
}

// counts is an Observer that writes down what it is told.
type counts struct {
	mu    sync.Mutex
	lines []string
}

func (c *counts) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

func (c *counts) has(line string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.lines, line)
}

func (c *counts) Started(app string, usage sms.UsageType, country string) {
	c.add("started %s %s %s", app, usage, country)
}

func (c *counts) SendDone(name, country string, status connector.Status, kind connector.Kind, _ time.Duration) {
	c.add("send %s %s %s %s", name, country, status, kind)
}

func (c *counts) Checked(app string, usage sms.UsageType, country string, valid bool, status Status) {
	c.add("checked %s %s %s %t %s", app, usage, country, valid, status)
}

func (c *counts) LimitHit(name string) { c.add("limit %s", name) }

func (c *counts) SendStatus(name, country string, status connector.Status, kind connector.Kind) {
	c.add("status %s %s %s %s", name, country, status, kind)
}

func (c *counts) Retried(name string, kind connector.Kind) { c.add("retried %s %s", name, kind) }

func (c *counts) Looked(name string, result LookResult) { c.add("looked %s %s", name, result) }

func (c *counts) ConnectorOpen(name string, open bool) { c.add("connector %s %t", name, open) }

// bench is a service with all that surrounds it.
type bench struct {
	*Service
	t       testing.TB
	store   *memStore
	clock   *testClock
	sender  *fakeSender
	counts  *counts
	logs    *bytes.Buffer
	options Options
}

const (
	testApp    = "shop"
	testNumber = "+14155552671"
)

var testIP = netip.MustParseAddr("203.0.113.7")

func number(t testing.TB, e164 string) phone.Number {
	t.Helper()
	n, err := phone.Parse(e164)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func serverKey(id string, first byte) ServerKey {
	key := make([]byte, KeySize)
	for i := range key {
		key[i] = first + byte(i)
	}
	return ServerKey{ID: id, Secret: secret.New(string(key))}
}

func newKeys(t testing.TB, keys ...ServerKey) *Keyring {
	t.Helper()
	ring, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newBench makes a service without counters, so that a test that is not about
// them does not meet them.
func newBench(t testing.TB, edit ...func(*Options)) *bench {
	t.Helper()
	b := &bench{
		t: t, clock: &testClock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		sender: &fakeSender{}, counts: &counts{}, logs: &bytes.Buffer{},
	}
	b.store = newMemStore(b.clock.now)
	templates, err := sms.NewCatalog([]sms.Template{
		{Usage: sms.UsageSignIn, Content: "Your code is {{code}}."},
		{Usage: sms.UsageSignIn, Locale: "de", Content: "Ihr Code lautet {{code}}."},
		{Usage: sms.UsageRegister, Content: "Welcome! {{code}}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	policy := DefaultPolicy()
	policy.Countries = []string{"US", "DE"}
	policy.Limits = Limits{}
	b.options = Options{
		Store: b.store, Connectors: []Connector{{Name: "main", Sender: b.sender, Templates: templates}},
		Keys: newKeys(t, serverKey("k1", 0)), Policy: policy, Observer: b.counts,
		Log: slog.New(slog.NewJSONHandler(&lockedWriter{w: b.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, e := range edit {
		e(&b.options)
	}
	b.restart()
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// restart makes a new service over the same store.
func (b *bench) restart() {
	b.t.Helper()
	s, err := New(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	s.now = b.clock.now
	b.Service = s
}

// outcome writes down what became of a send.
func (b *bench) outcome(j *job, r report) error {
	b.t.Helper()
	if rec := b.record(b.t.Context(), j, r, plan{}); rec.v == nil {
		return errors.New("the outcome was not recorded")
	}
	return nil
}

// landed waits until every send has ended.
func (b *bench) landed() { b.flight.group.Wait() }

func request(t testing.TB) StartRequest {
	return StartRequest{App: testApp, To: number(t, testNumber), Usage: sms.UsageSignIn, ClientIP: testIP}
}

func (b *bench) start(edit ...func(*StartRequest)) Started {
	b.t.Helper()
	r := request(b.t)
	for _, e := range edit {
		e(&r)
	}
	st, err := b.Start(b.t.Context(), r)
	if err != nil {
		b.t.Fatalf("start: %v", err)
	}
	return st
}

func (b *bench) check(id, code string) Checked {
	b.t.Helper()
	c, err := b.Check(b.t.Context(), CheckRequest{App: testApp, ID: id, Code: secret.New(code)})
	if err != nil {
		b.t.Fatalf("check: %v", err)
	}
	return c
}

func (b *bench) resend(id string) (Started, error) {
	return b.Resend(b.t.Context(), ResendRequest{App: testApp, ID: id})
}

func (b *bench) get(id string) *Verification {
	b.t.Helper()
	v, _, err := b.Get(b.t.Context(), testApp, id)
	if err != nil {
		b.t.Fatalf("get: %v", err)
	}
	return v
}

// wrong returns a code that is not the one given.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func wantLimit(t testing.TB, err error, name string, retry time.Duration) {
	t.Helper()
	var l *LimitError
	ok := errors.As(err, &l)
	if !ok || l.Name != name || l.RetryAfter != retry {
		if ok {
			t.Fatalf("got the limit %s for %s, want %s for %s", l.Name, l.RetryAfter, name, retry)
		}
		t.Fatalf("got %v, want the limit %s for %s", err, name, retry)
	}
}

// session is for requests that may be joined.
func session(s string) func(*StartRequest) { return func(r *StartRequest) { r.Session = s } }

func idem(k *Keyring, route, key, body string) *Idem {
	return k.Idem(testApp, route, key, []byte(body))
}
