package verify_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// phoneInHand stands for a provider and the phone on which its texts arrive.
type phoneInHand struct{ text string }

func (p *phoneInHand) Send(_ context.Context, m connector.Message) (connector.Receipt, error) {
	p.text = m.Body.Reveal()
	return connector.Receipt{ProviderID: "1", Status: connector.StatusAccepted}, nil
}

// rows is the least that can be a verify.Store: maps under a lock. The rules
// are the Batch's.
type rows struct {
	mu            sync.Mutex
	subjects      map[verify.SubjectKey]*verify.Subject
	verifications map[string]*verify.Verification
}

func (r *rows) Subject(k verify.SubjectKey) (*verify.Subject, error) { return r.subjects[k], nil }
func (r *rows) Verification(id string) (*verify.Verification, error) { return r.verifications[id], nil }
func (r *rows) Counters(verify.Place) (verify.Counters, error)       { return nil, nil }
func (r *rows) Idem(verify.MAC) (*verify.IdemRow, error)             { return nil, nil }
func (r *rows) Due(context.Context, int) ([]string, error)           { return nil, nil }
func (r *rows) Purge(context.Context, time.Time, int) (int, error)   { return 0, nil }
func (r *rows) List(context.Context, string, string, int) ([]*verify.Verification, error) {
	return nil, nil
}
func (r *rows) Get(_ context.Context, id string) (*verify.Verification, error) {
	return r.verifications[id], nil
}

func (r *rows) Do(_ context.Context, op verify.Op) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := verify.NewBatch(time.Now(), r)
	result, err := b.Apply(op)
	changes := b.Changes()
	for _, s := range changes.Subjects {
		r.subjects[s.Key] = s
	}
	for _, v := range changes.Verifications {
		r.verifications[v.ID] = v
	}
	return result, err
}

func Example() {
	templates, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageSignIn, Content: "Your code is {{code}}"}})
	if err != nil {
		panic(err)
	}
	keys, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		panic(err)
	}
	policy := verify.DefaultPolicy()
	policy.Countries = []string{"US"}
	hand := &phoneInHand{}
	service, err := verify.New(verify.Options{
		Store:      &rows{subjects: map[verify.SubjectKey]*verify.Subject{}, verifications: map[string]*verify.Verification{}},
		Connectors: []verify.Connector{{Name: "main", Sender: hand, Templates: templates}},
		Keys:       keys, Policy: policy,
	})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	to, err := phone.Parse("+1 415 555 2671")
	if err != nil {
		panic(err)
	}
	started, err := service.Start(ctx, verify.StartRequest{
		App: "shop", To: to, Usage: sms.UsageSignIn, ClientIP: netip.MustParseAddr("203.0.113.7"),
	})
	if err != nil {
		panic(err)
	}
	v := started.Verification
	fmt.Println(v.To, v.Status, v.Sends[0].Status)

	_, typed, _ := strings.Cut(hand.text, "is ")
	checked, err := service.Check(ctx, verify.CheckRequest{App: "shop", ID: v.ID, Code: secret.New(typed)})
	if err != nil {
		panic(err)
	}
	fmt.Println(checked.Valid, checked.Verification.Status)
	if err := service.Close(ctx); err != nil {
		panic(err)
	}

	// Output:
	// +1********71 pending accepted
	// true approved
}
