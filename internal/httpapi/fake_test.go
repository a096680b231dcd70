package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/verify"
)

func TestMain(m *testing.M) {
	if os.Getenv(outsideEnv) != "" {
		if err := runOutside(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// domain is what an API asks.
type domain interface {
	Verifier
	Messenger
}

// fake is a domain whose answers a test gives.
type fake struct {
	start  func(verify.StartRequest) (verify.Started, error)
	resend func(verify.ResendRequest) (verify.Started, error)
	check  func(verify.CheckRequest) (verify.Checked, error)
	cancel func(app, id string) (*verify.Verification, time.Time, error)
	get    func(app, id string) (*verify.Verification, time.Time, error)

	sendMessage func(verify.MessageRequest) (verify.Started, error)
	getMessage  func(app, id string) (*verify.Verification, error)
}

func (f *fake) Start(_ context.Context, r verify.StartRequest) (verify.Started, error) {
	return f.start(r)
}

func (f *fake) Resend(_ context.Context, r verify.ResendRequest) (verify.Started, error) {
	return f.resend(r)
}

func (f *fake) Check(_ context.Context, r verify.CheckRequest) (verify.Checked, error) {
	return f.check(r)
}

func (f *fake) Cancel(_ context.Context, app, id string) (*verify.Verification, time.Time, error) {
	return f.cancel(app, id)
}

func (f *fake) Get(_ context.Context, app, id string) (*verify.Verification, time.Time, error) {
	return f.get(app, id)
}

func (f *fake) SendMessage(_ context.Context, r verify.MessageRequest) (verify.Started, error) {
	return f.sendMessage(r)
}

func (f *fake) GetMessage(_ context.Context, app, id string) (*verify.Verification, error) {
	return f.getMessage(app, id)
}

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testAPI is an API with keys of each kind.
type testAPI struct {
	*API
	http.Handler
	keys       map[string]string // by name: shop, other, reader, messages, revoked
	log        *lockedBuffer
	keyStorage *access.Memory
}

func newTestAPI(t testing.TB, d domain) *testAPI {
	t.Helper()
	ring := testKeyring(t)
	ta := &testAPI{keys: map[string]string{}, log: &lockedBuffer{}, keyStorage: access.NewMemory()}
	for name, spec := range map[string]access.Spec{
		"shop":     {App: "shop", Scopes: []access.Scope{access.ScopeVerify}},
		"other":    {App: "other", Scopes: []access.Scope{access.ScopeVerify, access.ScopeMessages}},
		"reader":   {App: "shop", Scopes: []access.Scope{access.ScopeRead}},
		"messages": {App: "shop", Scopes: []access.Scope{access.ScopeMessages}},
		"revoked":  {App: "shop"},
	} {
		spec.Name = name
		k, shown, err := access.Create(t.Context(), ta.keyStorage, spec, time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if name == "revoked" {
			if err := ta.keyStorage.Revoke(t.Context(), k.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		ta.keys[name] = shown.Reveal()
	}
	api, err := New(Options{
		Verifier: d, Messenger: d, Authenticator: access.NewAuthenticator(ta.keyStorage, nil), Idem: ring.Idem, Version: "1.2.3",
	})
	if err != nil {
		t.Fatal(err)
	}
	ta.API = api
	ta.Handler = api.Handler(edge.Options{Log: slog.New(slog.NewJSONHandler(ta.log, nil))})
	return ta
}

// request makes a request with the shop's key.
func (ta *testAPI) request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+ta.keys["shop"])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (ta *testAPI) do(t testing.TB, r *http.Request) (int, http.Header, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	ta.ServeHTTP(rec, r)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

func number(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// record is a verification as the domain would hand it out.
func record(t testing.TB) *verify.Verification {
	// Not UTC: answers must be all the same.
	at := time.Date(2026, time.March, 2, 10, 30, 0, 250_000_000, time.FixedZone("CET", 3600))
	return &verify.Verification{
		ID: sampleID, App: "shop", To: number(t, "+14155552671"), Usage: "SignIn", Channel: verify.ChannelSMS,
		Status: verify.StatusPending, KeyID: "k1", Generation: 1, CodeLength: 6, Checks: 1, MaxChecks: 5, MaxSends: 5,
		CreatedAt: at, ExpiresAt: at.Add(10 * time.Minute), ResendAfter: at.Add(30 * time.Second),
		Sends: []verify.Send{{
			ID: sampleID + ".1", Channel: verify.ChannelSMS, Connector: "twilio", Status: connector.StatusAccepted,
			ProviderID: sampleNote, Generation: 1, Segments: 1, CreatedAt: at, Epoch: 1,
		}},
	}
}

func recordTime() time.Time { return time.Date(2026, time.March, 2, 9, 30, 1, 0, time.UTC) }

func started(t testing.TB, change func(*verify.Started)) func(verify.StartRequest) (verify.Started, error) {
	return func(verify.StartRequest) (verify.Started, error) {
		st := verify.Started{Verification: record(t), Now: recordTime(), Sent: true}
		if change != nil {
			change(&st)
		}
		return st, nil
	}
}
