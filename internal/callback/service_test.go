package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

// sender takes every text and remembers where to report on it.
type sender struct {
	mu   sync.Mutex
	urls []string
}

func (s *sender) Send(_ context.Context, m connector.Message) (connector.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = append(s.urls, m.CallbackURL)
	sid := fmt.Sprintf("SM%032d", len(s.urls))
	return connector.Receipt{ProviderID: sid, Status: connector.StatusAccepted}, nil
}

func newService(t *testing.T) (*verify.Service, *sender) {
	t.Helper()
	catalog, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	p := verify.DefaultPolicy()
	p.Countries = []string{"US"}
	p.Apps = map[string]verify.AppPolicy{"shop": {NoClientIP: true}}
	s := &sender{}
	service, err := verify.New(verify.Options{
		Store: memory.New(time.Now), Keys: ring, Policy: p,
		Connectors:  []verify.Connector{{Name: "twilio", Sender: s, Templates: catalog}},
		CallbackURL: func(name, send string) string { return URL(publicURL, name, send) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return service, s
}

// TestWithTheService has callbacks come as they do, twice, late, forged and for
// others, and holds the record against what is true.
func TestWithTheService(t *testing.T) {
	t.Parallel()
	service, box := newService(t)
	tc := newTest(t, publicURL, service)
	to, err := phone.Parse("+14155552671")
	if err != nil {
		t.Fatal(err)
	}
	start := func() (verify.Started, error) {
		return service.Start(t.Context(), verify.StartRequest{App: "shop", To: to, Usage: sms.UsageSignIn})
	}
	st, err := start()
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(box.urls[0], publicURL)
	if path != "/callbacks/twilio/"+st.Verification.Sends[0].ID {
		t.Fatalf("the provider was given %q", box.urls[0])
	}
	send := func() verify.Send {
		t.Helper()
		v, _, err := service.Get(t.Context(), "shop", st.Verification.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v.Sends[0]
	}
	sid := send().ProviderID
	ofText := func(sid string, p pairs) pairs {
		for i := range p {
			if p[i][1] == messageSID {
				p[i][1] = sid
			}
		}
		return p
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		answer int
		status connector.Status
		same   bool // nothing of the record changes
	}{
		{"forged", signed(theirToken, path, ofText(sid, statusForm("failed", "ErrorCode", "30007"))), 403, connector.StatusAccepted, true},
		{"sent", signed(ourToken(), path, ofText(sid, statusForm("sent"))), 204, connector.StatusSent, false},
		{"sent again", signed(ourToken(), path, ofText(sid, statusForm("sent"))), 204, connector.StatusSent, true},
		{"of another text", signed(ourToken(), path, ofText("SM"+strings.Repeat("9", 32), statusForm("delivered"))), 204, connector.StatusSent, true},
		{"to another connector", signed(ourToken(), strings.Replace(path, "twilio", "a%20b", 1), ofText(sid, statusForm("delivered"))), 404, connector.StatusSent, true},
		{"of a send that is not there", signed(ourToken(), path+"0", ofText(sid, statusForm("delivered"))), 404, connector.StatusSent, true},
		{"of no send", signed(ourToken(), "/callbacks/twilio/x", ofText(sid, statusForm("delivered"))), 404, connector.StatusSent, true},
		{"delivered", signed(ourToken(), path, ofText(sid, statusForm("delivered"))), 204, connector.StatusDelivered, false},
		{"replayed", signed(ourToken(), path, ofText(sid, statusForm("delivered"))), 204, connector.StatusDelivered, true},
		{"late", signed(ourToken(), path, ofText(sid, statusForm("queued"))), 204, connector.StatusDelivered, true},
		{"at odds", signed(nextToken(), path, ofText(sid, statusForm("failed", "ErrorCode", "30007"))), 204, connector.StatusDelivered, true},
	} {
		before := send()
		status, _, body, _ := tc.do(t, tt.r)
		after := send()
		if status != tt.answer || after.Status != tt.status || cmp.Equal(before, after) != tt.same {
			t.Errorf("%s: %d %s, send %s; want %d, %s\n%s", tt.name, status, body, after.Status, tt.answer, tt.status, cmp.Diff(before, after))
		}
	}

	// A STOP is an opt-out at once, and START ends it. Forged ones are neither.
	message := func() error {
		_, err := service.SendMessage(t.Context(), verify.MessageRequest{
			App: "shop", To: to, Usage: sms.UsageGeneric, Payload: map[string]any{"code": "1"},
		})
		return err
	}
	for _, tt := range []struct {
		token, text string
		answer      int
		out         bool
	}{
		{theirToken, "STOP", 403, false},
		{ourToken(), "STOP", 200, true},
		{ourToken(), "why?", 200, true},
		{theirToken, "START", 403, true},
		{ourToken(), "START", 200, false},
	} {
		status, _, _, _ := tc.do(t, signed(tt.token, replyPath, replyForm(tt.text)))
		var refused *verify.RefusedError
		err := message()
		if out := errors.As(err, &refused) && refused.Cause.Kind == connector.KindOptedOut; status != tt.answer || out != tt.out {
			t.Errorf("%s: %d, then %v; want %d, opted out %v", tt.text, status, err, tt.answer, tt.out)
		}
	}
}
