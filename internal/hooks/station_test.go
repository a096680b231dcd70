package hooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

// provider is a connector that does as it is told.
type provider struct {
	mu     sync.Mutex
	posts  int
	bodies []string
	fail   *connector.Error
	hang   chan struct{} // nil: it answers at once
}

func (p *provider) Send(ctx context.Context, m connector.Message) (connector.Receipt, error) {
	p.mu.Lock()
	p.posts++
	n, fail, hang := p.posts, p.fail, p.hang
	p.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return connector.Receipt{}, &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe, Advice: connector.AdviceWait, Err: ctx.Err()}
		}
	}
	if fail != nil {
		return connector.Receipt{}, fail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, m.Body.Reveal())
	return connector.Receipt{ProviderID: fmt.Sprintf("SM%032d", n), Status: connector.StatusAccepted}, nil
}

// count is how often it was asked, and how many texts it took.
func (p *provider) count() (posts, texts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.posts, len(p.bodies)
}

// shakyStore is a store that may be out of reach.
type shakyStore struct {
	*memory.Store
	down bool
}

func (s *shakyStore) Do(ctx context.Context, op verify.Op) (any, error) {
	if s.down {
		return nil, fmt.Errorf("disk: %w", verify.ErrUnavailable)
	}
	return s.Store.Do(ctx, op)
}

// slowStore is a store that takes its time, and does not let go of what it has begun.
type slowStore struct {
	*memory.Store
	takes atomic.Int64 // nanoseconds
}

func (s *slowStore) Do(ctx context.Context, op verify.Op) (any, error) {
	<-time.After(time.Duration(s.takes.Load()))
	return s.Store.Do(context.WithoutCancel(ctx), op)
}

// newService is the real service.
func newService(t testing.TB, store verify.Store, sender connector.Sender) *verify.Service {
	t.Helper()
	catalog, err := sms.NewCatalog([]sms.Template{
		{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}, {Usage: sms.UsageGeneric, Locale: "de", Content: "Ihr Code ist {{code}}."},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := verify.DefaultPolicy()
	p.Countries = []string{"US"}
	s, err := verify.New(verify.Options{
		Store: store, Connectors: []verify.Connector{{Name: "box", Sender: sender, Templates: catalog}}, Keys: testKeyring(t), Policy: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// closed ends a service, with what is in flight.
func closed(t testing.TB, s *verify.Service) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// sign makes a golden request's proof anew, for the present time and body.
func sign(t testing.TB, r *http.Request, body, id string) {
	t.Helper()
	now := time.Now().Unix()
	sum := func(key, message string) []byte {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(message))
		return mac.Sum(nil)
	}
	switch strings.TrimPrefix(r.URL.Path, "/hooks/") {
	case KindSupabase:
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(standardSecret, "v1,whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", fmt.Sprint(now))
		r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum(string(key), fmt.Sprintf("%s.%d.%s", id, now, body))))
	case KindZitadel:
		r.Header.Set("Zitadel-Signature", fmt.Sprintf("t=%d,v1=%x", now, sum(zitadelSecret, fmt.Sprintf("%d.%s", now, body))))
	case KindAuthgear:
		r.Header.Set("X-Authgear-Body-Signature", fmt.Sprintf("%x", sum(authgearSecret, body)))
	}
}

// order sends a golden request as its server would send it now, as its try of
// that name. change may edit the body.
func (b *board) order(t testing.TB, name, try string, change func(string) string) *httptest.ResponseRecorder {
	t.Helper()
	var body string
	r := goldenOf(t, name).request(t, func(s string) string {
		if body = s; change != nil {
			body = change(s)
		}
		return body
	})
	sign(t, r, body, try)
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, r)
	return rec
}

// orders are the golden files with an order of each server.
func orders() []string {
	return []string{"logto_sent", "supabase_sent", "kratos_sent", "zitadel_sent", "authgear_sent", "okta_sent", "fusionauth_sent", "authentik_sent", "casdoor_sent"}
}

// taken reports whether an answer is what the server takes for a success.
func taken(rec *httptest.ResponseRecorder) bool {
	body := rec.Body.String()
	return rec.Code < 300 && !strings.Contains(body, "error") && !strings.Contains(body, "FAILED") && !strings.Contains(body, "dropped")
}
