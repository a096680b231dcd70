package hooks

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the golden requests were made with.
const (
	headerSecret   = "a-secret-of-the-operator"
	formerSecret   = "the-former-secret-of-it"
	standardSecret = "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
	zitadelSecret  = "zitadel-signing-key-of-32-chars!"
	authgearSecret = "authgear-webhook-secret"
	sampleID       = "9dk2c0m3v7q1tbh5rg8e4anujs"
)

// goldenTime is when the golden requests were signed.
func goldenTime() time.Time { return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC) }

func secrets(all ...string) (list []secret.String) {
	for _, s := range all {
		list = append(list, secret.New(s))
	}
	return list
}

// goldenHooks has a hook of each kind, and the generic ones that
// docs/integrations/generic.md shows.
func goldenHooks() []Hook {
	list := []Hook{
		{Name: "logto", App: "logto", Secrets: secrets(headerSecret, formerSecret)},
		{Name: "supabase", App: "supabase", Secrets: secrets(standardSecret)},
		{Name: "kratos", App: "kratos", Secrets: secrets(headerSecret)},
		{Name: "zitadel", App: "zitadel", Secrets: secrets(zitadelSecret)},
		{Name: "authgear", App: "authgear", Secrets: secrets(authgearSecret)},
		{Name: "okta", App: "okta", Secrets: secrets(headerSecret)},
		{
			Name: "fusionauth", Kind: KindGeneric, App: "fusionauth", Secrets: secrets(headerSecret),
			Fields: Fields{To: "phoneNumber", Code: "code", Channel: "type"}, Usages: map[string]sms.UsageType{AnyUsage: sms.UsageMfaVerification},
		},
		{Name: "authentik", Kind: KindGeneric, App: "authentik", Secrets: secrets(headerSecret), Fields: Fields{To: "To", Code: "Body"}},
		{Name: "casdoor", Kind: KindGeneric, App: "casdoor", Secrets: secrets(headerSecret), Header: "x-api-key", Fields: Fields{To: "phoneNumber", Code: "code"}},
	}
	for i := range list {
		list[i].NoClientIP = true
	}
	return list
}

// domain answers in the words of the golden files, and keeps what it was asked.
type domain struct {
	says string

	mu    sync.Mutex
	asked []verify.MessageRequest
}

// record is a message whose one send has a status.
func record(status connector.Status) *verify.Verification {
	return &verify.Verification{
		ID: sampleID, Supplied: true, CreatedAt: goldenTime(),
		Sends: []verify.Send{{ID: sampleID + ".1", Connector: "twilio", Status: status, CreatedAt: goldenTime()}},
	}
}

func refusal(kind connector.Kind, code string, advice connector.Advice) (verify.Started, error) {
	v := record(connector.StatusRejected)
	return verify.Started{Verification: v, Now: goldenTime()}, &verify.RefusedError{Verification: v, Cause: &connector.Error{
		Kind: kind, ProviderCode: code, Outcome: connector.OutcomeRefused, Advice: advice,
	}}
}

// SendMessage implements Messenger.
func (d *domain) SendMessage(_ context.Context, r verify.MessageRequest) (verify.Started, error) {
	d.mu.Lock()
	d.asked = append(d.asked, r)
	d.mu.Unlock()
	st := verify.Started{Verification: record(connector.StatusAccepted), Now: goldenTime(), Sent: true}
	switch d.says {
	case "taken":
	case "pending":
		st.Unknown, st.Verification = true, record(connector.StatusSending)
	case "duplicate":
		st.Replayed, st.Now = true, goldenTime().Add(time.Second)
	case "given up":
		st.Verification = record(connector.StatusFailed)
		st.Verification.Sends[0].Guess = true
	case "refused":
		return refusal(connector.KindInvalidRecipient, "21211", connector.AdviceCheckNumber)
	case "opted out":
		return refusal(connector.KindOptedOut, "21610", connector.AdviceOptedOut)
	case "fault":
		return refusal(connector.KindSender, "21606", connector.AdviceOurFault)
	case "auth":
		return refusal(connector.KindAuth, "20003", connector.AdviceOurFault)
	case "country":
		return verify.Started{}, &verify.InvalidError{Field: "to", Code: "country_not_allowed", Text: "numbers of this country get no texts"}
	case "limited":
		return verify.Started{}, &verify.LimitError{Name: "app_number", RetryAfter: 90*time.Second + 1}
	case "no template":
		return verify.Started{}, verify.ErrNoTemplate
	case "in flight":
		return verify.Started{}, verify.ErrInFlight
	case "id with another order":
		return verify.Started{}, verify.ErrIdemMismatch
	case "unavailable":
		return verify.Started{}, &verify.StoreError{Err: errors.New("the disk is gone")}
	default:
		panic("the domain cannot say " + d.says)
	}
	return st, nil
}

// board is a set of hooks on a mux, with what they tell.
type board struct {
	http.Handler
	log     *lockedBuffer
	results []Result // in order
	hooks   *Hooks
}

// newBoard mounts hooks. now is the clock of their signatures; nil is time.Now.
func newBoard(t testing.TB, m Messenger, now func() time.Time, list ...Hook) *board {
	t.Helper()
	b := &board{log: &lockedBuffer{}}
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var mu sync.Mutex
	var err error
	b.hooks, err = New(Options{
		Hooks: list, Messenger: m, Idem: testKeyring(t).Idem, Log: log,
		Observe: func(_ string, r Result) {
			mu.Lock()
			defer mu.Unlock()
			b.results = append(b.results, r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if now != nil {
		for _, h := range b.hooks.handlers {
			h.now = now
		}
	}
	mux := http.NewServeMux()
	b.hooks.Routes(mux)
	b.Handler = edge.Wrap(mux, edge.Options{Log: log})
	return b
}

func testKeyring(t testing.TB) *verify.Keyring {
	t.Helper()
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	return ring
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
