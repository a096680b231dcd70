package twilio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// These tests put the connector before the simulator, over loopback HTTP. The
// two share no code, so what they agree on is Twilio's wire format.

const somebody = "+14155552671"

// world is the two sides.
type world struct {
	sim    *twiliosim.Server
	cfg    twilio.Config
	client *twilio.Client
}

func newWorld(t *testing.T, o twiliosim.Options, change func(*twilio.Config)) *world {
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
	cfg := twilio.Config{AccountSID: goldenAccount, AuthToken: secret.New(goldenToken), MessagingServiceSID: goldenService, BaseURL: server.URL}
	if change != nil {
		change(&cfg)
	}
	return &world{sim: sim, cfg: cfg, client: newClient(t, cfg)}
}

func (w *world) faults(t *testing.T, f twiliosim.Faults) {
	t.Helper()
	if err := w.sim.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

func parsed(t *testing.T, number string) phone.Number {
	t.Helper()
	n, err := phone.Parse(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func textTo(t *testing.T, number, body string) connector.Message {
	t.Helper()
	return connector.Message{To: parsed(t, number), Body: secret.New(body)}
}

func (w *world) send(t *testing.T, m connector.Message) connector.Receipt {
	t.Helper()
	receipt, err := w.client.Send(t.Context(), m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return receipt
}

// failure returns err as the contract's error.
func failure(t *testing.T, err error) *connector.Error {
	t.Helper()
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *connector.Error", err)
	}
	return e
}

// await polls: the simulator runs on the real clock behind a real port.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// callbacks is an endpoint that reads callbacks with the client and, before
// that, offers them to clients that must refuse them.
type callbacks struct {
	url     string
	updates chan connector.StatusUpdate
}

func newCallbacks(t *testing.T, cfg twilio.Config) *callbacks {
	t.Helper()
	client := newClient(t, cfg)
	wrongToken, otherAccount := cfg, cfg
	wrongToken.AuthTokenSecondary = secret.String{}
	wrongToken.AuthToken = secret.New(strings.Repeat("7", 32))
	otherAccount.AccountSID = "AC" + strings.Repeat("7", 32)
	strangers := map[*twilio.Client]error{newClient(t, wrongToken): connector.ErrSignature, newClient(t, otherAccount): connector.ErrMalformed}

	cb := &callbacks{updates: make(chan connector.StatusUpdate, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a callback: %v", err)
		}
		in := connector.Inbound{PublicURL: cb.url, Header: r.Header, Body: body}
		for stranger, want := range strangers {
			if _, err := stranger.ParseStatus(in); !errors.Is(err, want) {
				t.Errorf("ParseStatus of a stranger: %v, want %v", err, want)
			}
		}
		for name, forged := range forgeries(in) {
			if _, err := client.ParseStatus(forged); !errors.Is(err, connector.ErrSignature) {
				t.Errorf("ParseStatus with %s: %v, want ErrSignature", name, err)
			}
		}
		update, err := client.ParseStatus(in)
		if err != nil {
			t.Errorf("ParseStatus: %v", err)
		}
		cb.updates <- update
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	cb.url = server.URL + "/callbacks/twilio/s_1?app=a%2Fb&x=ó#rc=3&rp=5xx"
	return cb
}

// forgeries are ways to change a callback without its token.
func forgeries(in connector.Inbound) map[string]connector.Inbound {
	with := func(change func(*connector.Inbound)) connector.Inbound {
		forged := in
		forged.Header = http.Header(in.Header).Clone()
		change(&forged)
		return forged
	}
	return map[string]connector.Inbound{
		"another status": with(func(f *connector.Inbound) {
			f.Body = []byte(strings.Replace(string(in.Body), "MessageStatus=", "MessageStatus=x", 1))
		}),
		"another number": with(func(f *connector.Inbound) {
			f.Body = []byte(strings.Replace(string(in.Body), "To=%2B1", "To=%2B2", 1))
		}),
		"one more parameter": with(func(f *connector.Inbound) { f.Body = append(slices.Clone(in.Body), "&Another=1"...) }),
		"another URL":        with(func(f *connector.Inbound) { f.PublicURL = strings.Replace(in.PublicURL, "s_1", "s_2", 1) }),
		"no signature":       with(func(f *connector.Inbound) { http.Header(f.Header).Del("X-Twilio-Signature") }),
		"two signatures":     with(func(f *connector.Inbound) { http.Header(f.Header).Add("X-Twilio-Signature", "x") }),
	}
}

func (cb *callbacks) until(t *testing.T, last connector.Status) []connector.StatusUpdate {
	t.Helper()
	var all []connector.StatusUpdate
	for patience := time.After(20 * time.Second); ; {
		select {
		case u := <-cb.updates:
			all = append(all, u)
			if u.Status == last {
				return all
			}
		case <-patience:
			t.Fatalf("no update %s after %d others", last, len(all))
		}
	}
}

func TestSimSendAndCallbacks(t *testing.T) {
	t.Parallel()
	for _, sender := range []string{"service", "number", "secondary token"} {
		t.Run(sender, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, twiliosim.Options{}, func(c *twilio.Config) {
				switch sender {
				case "number":
					c.MessagingServiceSID, c.From = "", "+12025550100"
				case "secondary token":
					// The tokens are rotating: the simulator still signs with what the reader has as its second.
					c.AuthTokenSecondary = c.AuthToken
				}
			})
			cfg := w.cfg
			if sender == "secondary token" {
				cfg.AuthToken = secret.New(strings.Repeat("8", 32))
			}
			cb := newCallbacks(t, cfg)
			want := []connector.Status{connector.StatusAccepted, connector.StatusSent, connector.StatusDelivered}
			if sender == "number" {
				want = want[1:] // its initial status is queued, and that is not called back
			}
			m := textTo(t, somebody, "Your code is 123456.")
			m.CallbackURL, m.Validity, m.WantFeedback = cb.url, 10*time.Minute, true
			receipt := w.send(t, m)
			if receipt.Status != connector.StatusAccepted {
				t.Errorf("receipt %s, want accepted", receipt.Status)
			}
			var got []connector.Status
			for _, u := range cb.until(t, connector.StatusDelivered) {
				got = append(got, u.Status)
				if u.ProviderID != receipt.ProviderID || u.Err != nil {
					t.Errorf("update of %q with error %v, want of %q", u.ProviderID, u.Err, receipt.ProviderID)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("updates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSimUndelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	cb := newCallbacks(t, w.cfg)
	for _, tt := range []struct {
		outcome string
		status  connector.Status
		code    int
		kind    connector.Kind
	}{
		{"undelivered", connector.StatusUndelivered, 30003, connector.KindUnreachable},
		{"undelivered", connector.StatusUndelivered, 30005, connector.KindInvalidRecipient},
		{"failed", connector.StatusFailed, 30007, connector.KindFiltered},
		{"failed", connector.StatusFailed, 30450, connector.KindFraud},
		{"failed", connector.StatusFailed, 21610, connector.KindOptedOut},
	} {
		w.faults(t, twiliosim.Faults{Outcome: tt.outcome, ErrorCode: tt.code})
		m := textTo(t, somebody, "Your code is 123456.")
		m.CallbackURL = cb.url
		receipt := w.send(t, m)
		all := cb.until(t, tt.status)
		found, err := w.client.Fetch(t.Context(), receipt.ProviderID)
		if err != nil {
			t.Fatalf("Fetch: %v", err)
		}
		for where, e := range map[string]*connector.Error{"callback": all[len(all)-1].Err, "fetch": found.Err} {
			if e == nil || e.Kind != tt.kind || e.ProviderCode != fmt.Sprint(tt.code) {
				t.Errorf("%s: error %v, want %s with code %d", where, e, tt.kind, tt.code)
			}
		}
		if found.Status != tt.status {
			t.Errorf("fetched %s, want %s", found.Status, tt.status)
		}
	}
}

func TestSimFetchAndFeedback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	m := textTo(t, somebody, "Your code is 123456.")
	m.WantFeedback = true
	before := time.Now().Truncate(time.Second)
	id := w.send(t, m).ProviderID
	await(t, "delivered", func() bool {
		found, err := w.client.Fetch(t.Context(), id)
		if err != nil {
			t.Fatalf("Fetch: %v", err)
		}
		if found.ProviderID != id || found.Err != nil || found.Created.Before(before) {
			t.Errorf("found %q from %v with error %v", found.ProviderID, found.Created, found.Err)
		}
		return found.Status == connector.StatusDelivered
	})
	for confirmed, want := range map[bool]string{true: "confirmed", false: "unconfirmed"} {
		if err := w.client.Feedback(t.Context(), id, confirmed); err != nil {
			t.Errorf("Feedback(%v): %v", confirmed, err)
		}
		if got := w.sim.Messages(somebody)[0].Feedback; got != want {
			t.Errorf("after Feedback(%v) Twilio has %q", confirmed, got)
		}
	}
	nobodys := "SM" + strings.Repeat("9", 32)
	_, err := w.client.Fetch(t.Context(), nobodys)
	for name, err := range map[string]error{"Fetch": err, "Feedback": w.client.Feedback(t.Context(), nobodys, true)} {
		if e := failure(t, err); e.ProviderCode != "20404" || e.HTTPStatus != http.StatusNotFound {
			t.Errorf("%s of a text that is not there: code %q, status %d", name, e.ProviderCode, e.HTTPStatus)
		}
	}
}

func TestSimAPIKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	key := w.newKey(t)
	cfg := w.cfg
	cfg.APIKeySID, cfg.APIKeySecret = key.SID, secret.New(key.Secret)
	cb := newCallbacks(t, cfg)
	client := newClient(t, cfg)
	m := textTo(t, somebody, "Your code is 123456.")
	m.CallbackURL = cb.url
	if _, err := client.Send(t.Context(), m); err != nil {
		t.Fatalf("Send with an API key: %v", err)
	}
	cb.until(t, connector.StatusDelivered) // signed with the token all the same
	if found, err := client.Find(t.Context(), m, time.Now().Add(-time.Minute)); err != nil || len(found) != 1 {
		t.Errorf("Find with an API key: %d texts, error %v", len(found), err)
	}
	cfg.APIKeySecret = secret.New(strings.Repeat("0", 32))
	_, err := newClient(t, cfg).Send(t.Context(), m)
	e := failure(t, err)
	if e.Kind != connector.KindAuth || e.Outcome != connector.OutcomeRefused || e.ProviderCode != "20003" {
		t.Errorf("with a wrong secret: %s, %s, code %q", e.Kind, e.Outcome, e.ProviderCode)
	}
	carriesNoSecret(t, err, key.Secret, strings.Repeat("0", 32), goldenToken)
}

type apiKey struct{ SID, Secret string }

func (w *world) newKey(t *testing.T) apiKey {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.cfg.BaseURL+"/2010-04-01/Accounts/"+goldenAccount+"/Keys.json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(goldenAccount, goldenToken)
	pool := &http.Transport{}
	defer pool.CloseIdleConnections()
	resp, err := pool.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var key apiKey
	if err := json.NewDecoder(resp.Body).Decode(&key); err != nil || key.Secret == "" {
		t.Fatalf("key: %v", err)
	}
	return key
}
