package verify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// fakeProvider is a sender that can be asked.
type fakeProvider struct {
	*fakeSender
	mu       sync.Mutex
	found    []connector.Found
	broken   error
	finds    []time.Time // since when each look asked
	fetched  int
	feedback []string
}

func (f *fakeProvider) Find(_ context.Context, _ connector.Message, since time.Time) ([]connector.Found, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finds = append(f.finds, since)
	return slices.Clone(f.found), f.broken
}

func (f *fakeProvider) Fetch(_ context.Context, id string) (connector.Found, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetched++
	for _, x := range f.found {
		if x.ProviderID == id {
			return x, f.broken
		}
	}
	return connector.Found{}, errors.New("not found")
}

func (f *fakeProvider) Feedback(_ context.Context, id string, confirmed bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if confirmed {
		f.feedback = append(f.feedback, id)
	}
	return nil
}

func (f *fakeProvider) has(found ...connector.Found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = found
}

func (f *fakeProvider) looks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.finds)
}

// station is a service in a bubble with providers that can be asked, and its
// background at work.
type station struct {
	*bench
	providers []*fakeProvider
}

func newStation(t *testing.T, names []string, edit ...func(*Options)) *station {
	t.Helper()
	s := &station{}
	edits := append([]func(*Options){func(o *Options) {
		templates := o.Connectors[0].Templates
		o.Connectors = nil
		for _, name := range names {
			p := &fakeProvider{fakeSender: &fakeSender{}}
			s.providers = append(s.providers, p)
			o.Connectors = append(o.Connectors, Connector{Name: name, Sender: p, Templates: templates})
		}
		o.Policy.PollAfter = 0
	}}, edit...)
	s.bench = newBubble(t, edits...)
	s.sender = s.providers[0].fakeSender
	return s
}

// run lets the background work for a while.
func (s *station) run(d time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	s.Run(ctx)
}

// answers makes the provider answer each request by the next of the errors, nil
// being that it takes the text, and the last one for good.
func (f *fakeProvider) answers(errs ...error) {
	n := 0
	f.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		err := errs[min(n, len(errs)-1)]
		if n++; err != nil {
			return connector.Receipt{}, err
		}
		return connector.Receipt{ProviderID: "SM" + string(rune('0'+n)), Status: connector.StatusAccepted}, nil
	})
}

func busy(retryAfter time.Duration) error {
	return &connector.Error{
		Kind: connector.KindThrottled, Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry | connector.ActFailover,
		RetryAfter: retryAfter, Advice: connector.AdviceWait,
	}
}

func ofKind(kind connector.Kind) error {
	return &connector.Error{Kind: kind, Outcome: connector.OutcomeRefused, Actions: connector.ActFailover, Advice: connector.AdviceOurFault}
}

func unreachable() error {
	return &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeNotProcessed, Actions: connector.ActRetry | connector.ActFailover}
}

func (s *station) sends(id string) []Send { return s.get(id).Sends }

func wantSends(t *testing.T, got []Send, want ...string) {
	t.Helper()
	var is []string
	for _, s := range got {
		is = append(is, s.Connector+" "+string(s.Status))
	}
	if !slices.Equal(is, want) {
		t.Errorf("the sends are %q, want %q", is, want)
	}
}
