package twilioverify

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	sdk "github.com/twilio/twilio-go/rest/verify/v2"
	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/twiliosim"
	"github.com/sixdigit/sixdigit/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	person      = "+14155552671"
	otherPerson = "+14155552672"
	app         = "shop"
)

// world is the real service behind this surface, before the simulated Twilio.
type world struct {
	t      *testing.T
	sim    *twiliosim.Server
	keys   *access.Memory
	url    string
	token  secret.String
	logs   *lockedBuffer
	http   *http.Client
	clock  *shifted
	policy verify.Policy
}

// shifted is a clock that a test can put forward.
type shifted struct {
	mu sync.Mutex
	by time.Duration
}

func (c *shifted) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *shifted) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

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

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, keys: access.NewMemory(), logs: &lockedBuffer{}, clock: &shifted{}, policy: verify.DefaultPolicy()}
	pool := &http.Transport{ResponseHeaderTimeout: 20 * time.Second}
	w.http = &http.Client{Transport: pool}
	t.Cleanup(pool.CloseIdleConnections)
	w.sim = twiliosim.New(twiliosim.Options{Step: time.Millisecond})
	simServer := httptest.NewServer(w.sim)
	provider, err := twilio.New(twilio.Config{
		AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: secret.New(strings.Repeat("1", 32)),
		MessagingServiceSID: "MG" + strings.Repeat("0", 32), BaseURL: simServer.URL,
	}, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := sms.NewCatalog([]sms.Template{
		{Usage: sms.UsageSignIn, Content: "Your {{friendly_name}} code is {{code}}."},
		{Usage: sms.UsageSignIn, Locale: "de", Content: "Ihr Code ist {{code}}."},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.policy.Countries, w.policy.CodeLength, w.policy.Limits = []string{"US"}, 10, verify.Limits{}
	log := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := Options{
		Authenticator: access.NewAuthenticator(w.keys, log), Services: w.keys, Usage: sms.UsageSignIn, CodeLength: 10,
		RateLimits: map[string]verify.Limit{"user": {Name: "twilio_verify_user", Burst: 2, Every: time.Hour}},
	}
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	service, err := verify.New(verify.Options{
		Store: memory.New(w.clock.now), Connectors: []verify.Connector{{Name: "twilio", Sender: provider, Templates: catalog}},
		Keys: ring, Policy: w.policy, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Verifier = service
	api, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api.Routes(mux)
	server := httptest.NewServer(edge.Wrap(mux, edge.Options{Log: log}))
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := service.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		provider.Close()
		if err := w.sim.Close(); err != nil {
			t.Error(err)
		}
		simServer.Close()
	})
	w.token = w.key(app, access.ScopeTwilio)
	return w
}

// key makes a key of an app and shows it as an auth token. Without scopes it has
// the one that this surface asks for.
func (w *world) key(app string, scopes ...access.Scope) secret.String {
	w.t.Helper()
	if len(scopes) == 0 {
		scopes = []access.Scope{access.ScopeTwilio}
	}
	_, key, err := access.Create(w.t.Context(), w.keys, access.Spec{Name: "test", App: app, Scopes: scopes}, time.Now(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return access.Token(key)
}

// twilio is Twilio's Go SDK, of which nothing is changed but the host that it
// reaches.
func (w *world) twilio(app string, token secret.String) *sdk.ApiService {
	w.t.Helper()
	target, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client.Client{
		Credentials: client.NewCredentials(access.AccountSID(app), token.Reveal()),
		HTTPClient:  &http.Client{Transport: redirect{target, w.http.Transport}},
	}
	c.SetAccountSid(access.AccountSID(app))
	return sdk.NewApiService(&client.RequestHandler{Client: c})
}

// redirect sends what is meant for verify.twilio.com elsewhere.
type redirect struct {
	target *url.URL
	next   http.RoundTripper
}

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != "verify.twilio.com" && req.URL.Host != r.target.Host {
		return nil, fmt.Errorf("the SDK calls %s", req.URL.Host)
	}
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.Host = r.target.Scheme, r.target.Host, ""
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// The SDK leaves the bodies of errors open; a connection would hang on each.
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// service makes a service with the SDK and returns its sid.
func (w *world) service(api *sdk.ApiService, customCode bool) string {
	w.t.Helper()
	p := &sdk.CreateServiceParams{}
	p.SetFriendlyName("Corner shop")
	p.SetCustomCodeEnabled(customCode)
	s, err := api.CreateService(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return *s.Sid
}

// texts are the bodies that arrived on a phone, the newest first.
func (w *world) texts(to string) (bodies []string) {
	for _, m := range w.sim.Messages(to) {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

var tenDigits = regexp.MustCompile(`[0-9]{10}`)

// code reads the newest code off the phone.
func (w *world) code(to string) string {
	w.t.Helper()
	texts := w.texts(to)
	if len(texts) == 0 {
		w.t.Fatal("no text arrived")
	}
	return tenDigits.FindString(texts[0])
}

// wrong is a code of the same length that is not the right one.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// wantCode checks that err is Twilio's error with this status and code.
func wantCode(t *testing.T, what string, err error, status, code int) {
	t.Helper()
	var e *client.TwilioRestError
	if !errors.As(err, &e) || e.Status != status || e.Code != code || e.MoreInfo == "" {
		t.Errorf("%s: got %v, want %d and code %d", what, err, status, code)
	}
}

func start(to string, edit ...func(*sdk.CreateVerificationParams)) *sdk.CreateVerificationParams {
	p := &sdk.CreateVerificationParams{}
	p.SetTo(to)
	p.SetChannel("sms")
	for _, e := range edit {
		e(p)
	}
	return p
}

func checkTo(to, code string) *sdk.CreateVerificationCheckParams {
	p := &sdk.CreateVerificationCheckParams{}
	p.SetTo(to)
	p.SetCode(code)
	return p
}

func checkSID(sid, code string) *sdk.CreateVerificationCheckParams {
	p := &sdk.CreateVerificationCheckParams{}
	p.SetVerificationSid(sid)
	p.SetCode(code)
	return p
}

func status(s string) *sdk.UpdateVerificationParams {
	p := &sdk.UpdateVerificationParams{}
	p.SetStatus(s)
	return p
}
