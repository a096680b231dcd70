package verify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// newBubble is a bench on the clock of a synctest bubble.
func newBubble(t *testing.T, edit ...func(*Options)) *bench {
	t.Helper()
	b := newBench(t, edit...)
	b.clock = nil
	b.store.now, b.now = time.Now, time.Now
	return b
}

// A provider that takes 15 s: the caller hears "unknown" after 10, the text is
// taken after 15, and with it the idempotency key is settled.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.sender.answer(func(ctx context.Context, _ connector.Message) (connector.Receipt, error) {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != 20*time.Second {
				t.Errorf("the send's deadline is in %s, want 20s", time.Until(deadline))
			}
			time.Sleep(15 * time.Second)
			return connector.Receipt{ProviderID: "SM1", Status: connector.StatusAccepted}, nil
		})
		began := time.Now()
		r := request(t)
		r.Idem = idem(b.keys, "start", "key", "body")
		st, err := b.Start(t.Context(), r)
		if err != nil || !st.Unknown || !st.Sent || time.Since(began) != b.policy.SendTimeout {
			t.Errorf("after %s: %+v, %v", time.Since(began), st, err)
		}
		if lease := st.Verification.Sends[0].LeaseUntil.Sub(began); lease != 40*time.Second {
			t.Errorf("the lease is %s, want 40s", lease)
		}
		if _, err := b.Start(t.Context(), r); !errors.Is(err, ErrInFlight) {
			t.Errorf("a repetition meanwhile: %v, want ErrInFlight", err)
		}
		b.landed()
		if send := b.get(st.Verification.ID).Sends[0]; send.Status != connector.StatusAccepted || send.ProviderID != "SM1" {
			t.Errorf("in the end the send is %+v", send)
		}
		if again, err := b.Start(t.Context(), r); err != nil || !again.Replayed || again.Unknown || b.sender.count() != 1 {
			t.Errorf("a repetition afterwards: %+v, %v", again, err)
		}
	})
}

// One place at the connector, three texts of 8 s: the third would wait 16 s and
// last until 24, but its time is over after 20.
func TestWaitingForASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		slots := make(chan struct{}, 1)
		b.sender.answer(func(ctx context.Context, _ connector.Message) (connector.Receipt, error) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return connector.Receipt{}, &connector.Error{Kind: connector.KindThrottled, Outcome: connector.OutcomeNotProcessed, Err: ctx.Err()}
			}
			defer func() { <-slots }()
			select {
			case <-time.After(8 * time.Second):
				return connector.Receipt{ProviderID: "SM", Status: connector.StatusAccepted}, nil
			case <-ctx.Done():
				return connector.Receipt{}, &connector.Error{Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe, Err: ctx.Err()}
			}
		})
		var wg sync.WaitGroup
		ids := make([]string, 3)
		for i := range ids {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				st := b.start()
				ids[i] = st.Verification.ID
				if st.Unknown != (i > 0) {
					t.Errorf("text %d: unknown is %t", i+1, st.Unknown)
				}
			})
		}
		wg.Wait()
		b.landed()
		for i, want := range []connector.Status{connector.StatusAccepted, connector.StatusAccepted, connector.StatusUnknown} {
			if got := b.get(ids[i]).Sends[0].Status; got != want {
				t.Errorf("text %d is %s, want %s", i+1, got, want)
			}
		}
	})
}

// The store takes longer over transaction 1 than a send may take: nothing is
// posted, because the lease could end before the post does.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.store.after = func(op Op) error {
			if op.ID == "" {
				time.Sleep(21 * time.Second)
			}
			return nil
		}
		st := b.start()
		b.landed()
		if send := b.get(st.Verification.ID).Sends[0]; b.sender.count() != 0 || !send.parked() || !st.Unknown {
			t.Errorf("%d posts, send %+v", b.sender.count(), send)
		}
		time.Sleep(2 * time.Second)
		if n, err := b.Reconcile(t.Context()); n != 1 || err != nil {
			t.Errorf("reconcile: %d, %v", n, err)
		}
		if send := b.get(st.Verification.ID).Sends[0]; b.sender.count() != 1 || send.Status != connector.StatusAccepted {
			t.Errorf("later: %d posts, send %+v", b.sender.count(), send)
		}
	})
}

func TestOutcomeSurvivesAStumblingStore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failures int
		lost     bool // the transaction was committed, its answer lost
		want     connector.Status
	}{
		"two failures":     {2, false, connector.StatusRejected},
		"two lost answers": {2, true, connector.StatusRejected},
		"too many":         {99, false, connector.StatusSending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, func(o *Options) { o.Policy.Limits.NumberDaily = Limit{Name: "number_daily", Burst: 5} })
				b.sender.fail(connector.OutcomeRefused, connector.KindBlocked)
				failures := 0
				hook := func(op Op) error {
					if op.ID != "" && failures < tc.failures {
						failures++
						return ErrUnavailable
					}
					return nil
				}
				if tc.lost {
					b.store.after = hook
				} else {
					b.store.before = hook
				}
				st, err := b.Start(t.Context(), request(t))
				var refused *RefusedError
				if told := errors.As(err, &refused); told != (tc.want == connector.StatusRejected) || st.Unknown == told {
					t.Errorf("got %+v, %v", st, err)
				}
				if got := b.get(st.Verification.ID).Sends[0].Status; got != tc.want {
					t.Errorf("the send is %s, want %s", got, tc.want)
				}
				if tc.want == connector.StatusSending && !strings.Contains(b.logs.String(), "send outcome not recorded") {
					t.Errorf("the operator was not told: %s", b.logs)
				}
				for _, c := range b.charges(testApp, request(t).To, b.network(testIP)) { // given back once, however often it was tried
					if count := b.store.counter(c.Key) & 0xffffffff; tc.want == connector.StatusRejected && count != 0 {
						t.Errorf("the limit counts %d, want 0", count)
					}
				}
			})
		})
	}
}

// A store that does not answer at all: transaction 2 gives up after 5 s.
func TestOutcomeOfAHangingStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		hanging := &hangingStore{Store: b.store}
		b.Service.store = hanging
		began := time.Now()
		st := b.start()
		if !st.Unknown || time.Since(began) != recordTimeout {
			t.Errorf("after %s: %+v", time.Since(began), st)
		}
	})
}

type hangingStore struct{ Store }

func (h *hangingStore) Do(ctx context.Context, op Op) (any, error) {
	if op.ID == "" {
		return h.Store.Do(ctx, op)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
