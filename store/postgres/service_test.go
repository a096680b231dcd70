package postgres_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// phones are where the texts arrive.
type phones struct {
	mu    sync.Mutex
	texts map[string]string
}

func (p *phones) Send(_ context.Context, m connector.Message) (connector.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts[m.To.E164()] = m.Body.Reveal()
	return connector.Receipt{ProviderID: "SM" + m.To.E164(), Status: connector.StatusAccepted}, nil
}

// TestTheServiceOnReplicas runs the service twice on one database: what one has
// started the other checks, its rows lie in the partition of their day, and two
// right codes at once are one.
func TestTheServiceOnReplicas(t *testing.T) {
	t.Parallel()
	url := database(t)
	hands := &phones{texts: map[string]string{}}
	services := make([]*verify.Service, 2)
	for i, store := range replicasOn(t, url, len(services)) {
		services[i] = service(t, store, hands)
	}
	const people = 20
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			to, err := phone.Parse(fmt.Sprintf("+1415555%04d", 2000+i))
			if err != nil {
				t.Error(err)
				return
			}
			r := verify.StartRequest{
				App: "shop", To: to, Usage: sms.UsageSignIn, ClientIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}),
				Idem: &verify.Idem{Key: mac("key %d", i), Body: mac("body")},
			}
			started, err := services[i%2].Start(context.Background(), r)
			if err != nil {
				t.Errorf("start: %v", err)
				return
			}
			again, err := services[1-i%2].Start(context.Background(), r)
			if err != nil || again.Verification.ID != started.Verification.ID {
				t.Errorf("the same call, to the other: %v", err)
			}
			hands.mu.Lock()
			_, typed, _ := strings.Cut(hands.texts[to.E164()], "is ")
			hands.mu.Unlock()
			valid := make([]bool, 2)
			var both sync.WaitGroup
			for n := range valid {
				both.Go(func() {
					checked, err := services[n].Check(context.Background(), verify.CheckRequest{App: "shop", ID: started.Verification.ID, Code: secret.New(typed)})
					if err != nil {
						t.Errorf("check: %v", err)
					}
					valid[n] = checked.Valid
				})
			}
			both.Wait()
			if valid[0] == valid[1] {
				t.Errorf("two right codes at once: %v", valid)
			}
		})
	}
	wg.Wait()
	var n int
	query(t, url, fmt.Sprintf(`SELECT count(*) FROM verifications_d%d`, time.Now().Unix()/86400), &n)
	if n != people {
		t.Errorf("%d verifications lie in the partition of today, want %d", n, people)
	}
}

func service(t *testing.T, store verify.Store, sender connector.Sender) *verify.Service {
	t.Helper()
	templates, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageSignIn, Content: "Your code is {{code}}"}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	policy := verify.DefaultPolicy()
	policy.Countries = []string{"US"}
	s, err := verify.New(verify.Options{
		Store: store, Connectors: []verify.Connector{{Name: "main", Sender: sender, Templates: templates}}, Keys: keys, Policy: policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}
