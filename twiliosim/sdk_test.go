package twiliosim_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// Twilio's own Go SDK is the referee of these tests: what it can send and read
// is Twilio's wire format. Its root package is not imported, since that pulls
// in every product and compiles for minutes.

// What the simulator has from the start.
var (
	simAccount = "AC" + strings.Repeat("0", 32)
	simToken   = strings.Repeat("1", 32)
	simService = "MG" + strings.Repeat("0", 32)
)

const (
	simNumber    = "+12025550100"
	person       = "+14155552671"
	otherPerson  = "+14155552672"
	testSender   = "+15005550006"
	unknownSID32 = "99999999999999999999999999999999"
)

// rig is a simulator on a loopback port and the SDK before it.
type rig struct {
	sim       *twiliosim.Server
	url       string
	api       *api.ApiService
	messaging *messaging.ApiService
}

func newRig(t *testing.T, o twiliosim.Options) *rig {
	t.Helper()
	if o.Step == 0 {
		o.Step = time.Millisecond
	}
	sim := twiliosim.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("closing the simulator: %v", err)
		}
		server.Close()
	})
	r := &rig{sim: sim, url: server.URL}
	r.as(t, simAccount, simToken, simAccount)
	return r
}

// as makes the SDK call with other credentials, in the name of an account.
func (r *rig) as(t *testing.T, user, password, account string) {
	t.Helper()
	target, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	pool := &http.Transport{ResponseHeaderTimeout: 20 * time.Second}
	t.Cleanup(pool.CloseIdleConnections)
	c := &client.Client{
		Credentials: client.NewCredentials(user, password),
		// Without a Timeout, whose timer would run on behind each body that the
		// SDK leaves open.
		HTTPClient: &http.Client{Transport: rewriter{target, pool}},
	}
	c.SetAccountSid(account)
	// Not NewRequestHandler: it would take edge and region from the environment.
	handler := &client.RequestHandler{Client: c}
	r.api, r.messaging = api.NewApiService(handler), messaging.NewApiService(handler)
}

// rewriter sends what is meant for Twilio's hosts to the simulator. The SDK
// has no base URL.
type rewriter struct {
	target *url.URL
	pool   *http.Transport
}

func (w rewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Host {
	case "api.twilio.com", "messaging.twilio.com", w.target.Host:
	default:
		return nil, fmt.Errorf("the SDK calls %s, which is none of Twilio's hosts", r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.Host = r.URL.Host // the simulator sees which product is meant
	r.URL.Scheme, r.URL.Host = w.target.Scheme, w.target.Host
	resp, err := w.pool.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// The SDK leaves the bodies of errors open; a connection would hang on each.
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// wantCode checks that err is Twilio's error with this code and HTTP status;
// status 0 leaves the status open.
func wantCode(t *testing.T, err error, code, status int) {
	t.Helper()
	var e *client.TwilioRestError
	switch {
	case !errors.As(err, &e):
		t.Errorf("error %v, want a *client.TwilioRestError with code %d", err, code)
	case e.Code != code || status != 0 && e.Status != status:
		t.Errorf("code %d, status %d; want %d, %d", e.Code, e.Status, code, status)
	case e.Message == "":
		t.Errorf("code %d comes without a message", e.Code)
	case e.MoreInfo != fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code):
		t.Errorf("code %d: more_info %q", e.Code, e.MoreInfo)
	}
}

// ok ends the test on an error, and returns the value.
func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// val reads a field that may be null; null is the zero value.
func val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// eventually polls: the simulator runs on the real clock behind a real port.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *rig) reaches(t *testing.T, sid, status string) *api.ApiV2010Message {
	t.Helper()
	var m *api.ApiV2010Message
	eventually(t, "message "+status, func() bool {
		m = ok[*api.ApiV2010Message](t)(r.api.FetchMessage(sid, nil))
		return val(m.Status) == status
	})
	return m
}

func text(to, body string) *api.CreateMessageParams {
	return (&api.CreateMessageParams{}).SetTo(to).SetMessagingServiceSid(simService).SetBody(body)
}
