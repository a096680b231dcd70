package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// truth is a provider and all that it took.
type truth struct {
	mu      sync.Mutex
	r       *rand.Rand
	name    string
	fair    bool // every request is taken and answered, and none is held
	lag     time.Duration
	texts   []*trueText
	held    []*heldPost
	reports []callbackDue // callbacks that are on their way
	wrong   []string      // what must not have happened
	watch   func(sendID string) string
}

type trueText struct {
	sid, to, body, send string
	at                  time.Time
	status              connector.Status
	hidden              []time.Time // lists that left it out because they lag
}

type callbackDue struct {
	send string
	u    connector.StatusUpdate
}

type heldPost struct {
	release chan int
	send    string
}

// What a provider does with a request.
const (
	doTake = iota
	doTakeAndLose
	doLose // the request never arrives, and nobody knows
	doBusy
	doRefuse
	doOurs // our credentials are refused
	doUnreachable
	doHold
	actions
)

func maybe() error {
	return &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe, Actions: connector.ActFailover}
}

func (p *truth) post(ctx context.Context, dead <-chan struct{}, m connector.Message) (connector.Receipt, error) {
	p.mu.Lock()
	send := m.CallbackURL
	if complaint := p.watch(send); complaint != "" {
		p.wrong = append(p.wrong, complaint)
	}
	do := doTake
	if !p.fair {
		do = []int{doTake, doTake, doTake, doTakeAndLose, doLose, doBusy, doRefuse, doOurs, doUnreachable, doHold, doHold}[p.r.IntN(11)]
	}
	if do == doHold {
		h := &heldPost{release: make(chan int, 1), send: send}
		p.held = append(p.held, h)
		p.mu.Unlock()
		select {
		case do = <-h.release:
		case <-ctx.Done():
			do = []int{doTakeAndLose, doLose}[p.flip()]
		case <-dead:
			do = []int{doTakeAndLose, doLose}[p.flip()]
		}
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	switch do {
	case doTake, doTakeAndLose:
		t := &trueText{
			sid: fmt.Sprintf("SM-%s-%d", p.name, len(p.texts)+1), to: m.To.E164(), body: m.Body.Reveal(), send: send,
			at: time.Now().Truncate(time.Second), status: connector.StatusAccepted,
		}
		p.texts = append(p.texts, t)
		if do == doTake {
			return connector.Receipt{ProviderID: t.sid, Status: connector.StatusAccepted}, nil
		}
		return connector.Receipt{}, maybe()
	case doBusy:
		return connector.Receipt{}, &connector.Error{Kind: connector.KindThrottled, Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry, RetryAfter: time.Second}
	case doRefuse:
		return connector.Receipt{}, &connector.Error{Kind: connector.KindInvalidRecipient, Outcome: connector.OutcomeRefused}
	case doOurs:
		return connector.Receipt{}, &connector.Error{Kind: connector.KindAuth, Outcome: connector.OutcomeRefused}
	case doUnreachable:
		return connector.Receipt{}, &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry}
	default:
		return connector.Receipt{}, maybe()
	}
}

func (p *truth) flip() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.r.IntN(2)
}

// progress moves one text on and sends a callback, which may come late, twice
// or never.
func (p *truth) progress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.texts) == 0 {
		return
	}
	t := p.texts[p.r.IntN(len(p.texts))]
	p.advance(t)
}

func (p *truth) advance(t *trueText) {
	switch t.status {
	case connector.StatusAccepted:
		t.status = connector.StatusSent
	case connector.StatusSent:
		t.status = []connector.Status{connector.StatusDelivered, connector.StatusUndelivered, connector.StatusFailed}[p.r.IntN(3)]
	default:
		return
	}
	r := callbackDue{t.send, connector.StatusUpdate{ProviderID: t.sid, Status: t.status, Err: t.err()}}
	for range p.r.IntN(3) {
		p.reports = append(p.reports, r)
	}
}

func (t *trueText) err() *connector.Error {
	if t.status == connector.StatusUndelivered || t.status == connector.StatusFailed {
		return &connector.Error{Kind: connector.KindUnreachable, Outcome: connector.OutcomeRefused}
	}
	return nil
}

// excused reports whether two looks could not know of the text.
func (t *trueText) excused() bool {
	n := len(t.hidden)
	return n > 1 && t.hidden[n-1].Sub(t.hidden[0]) >= lookGap
}

// instance is the provider as one process sees it: it dies with the process.
type instance struct {
	*truth
	dead chan struct{}
}

var _ interface {
	connector.Sender
	connector.Finder
} = (*instance)(nil)

func (i *instance) Send(ctx context.Context, m connector.Message) (connector.Receipt, error) {
	return i.post(ctx, i.dead, m)
}

func (i *instance) Find(_ context.Context, m connector.Message, since time.Time) ([]connector.Found, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.fair && i.r.IntN(5) == 0 {
		return nil, &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeNotProcessed}
	}
	var found []connector.Found
	for _, t := range slices.Backward(i.texts) {
		switch {
		case t.to != m.To.E164() || t.body != m.Body.Reveal() || t.at.Before(since.Truncate(time.Second)):
		case time.Since(t.at) < i.lag:
			t.hidden = append(t.hidden, time.Now())
		default:
			found = append(found, connector.Found{ProviderID: t.sid, Status: t.status, Created: t.at, Err: t.err()})
		}
	}
	return found, nil
}

func (i *instance) Fetch(_ context.Context, id string) (connector.Found, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range i.texts {
		if t.sid == id {
			return connector.Found{ProviderID: t.sid, Status: t.status, Created: t.at, Err: t.err()}, nil
		}
	}
	return connector.Found{}, &connector.Error{Kind: connector.KindSender, Outcome: connector.OutcomeRefused}
}

// mortalStore answers until its process dies.
type mortalStore struct {
	Store
	dead chan struct{}
}

func (m *mortalStore) gone() error {
	select {
	case <-m.dead:
		return ErrUnavailable
	default:
		return nil
	}
}

func (m *mortalStore) Do(ctx context.Context, op Op) (any, error) {
	if err := m.gone(); err != nil {
		return nil, err
	}
	return m.Store.Do(ctx, op)
}

func (m *mortalStore) Get(ctx context.Context, id string) (*Verification, error) {
	if err := m.gone(); err != nil {
		return nil, err
	}
	return m.Store.Get(ctx, id)
}
