package verify

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// A call whose answer is taken over returns after a second; the answer comes
// when the outcome does, or when the patience ends, once.
func TestLater(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes    time.Duration
		err      error
		returns  time.Duration
		answered time.Duration // zero: by the call itself
		unknown  bool
		refused  bool
	}{
		"quick":   {takes: 500 * time.Millisecond, returns: 500 * time.Millisecond},
		"slow":    {takes: 4 * time.Second, returns: time.Second, answered: 4 * time.Second},
		"refused": {takes: 4 * time.Second, err: refusal(), returns: time.Second, answered: 4 * time.Second, refused: true},
		"slower":  {takes: 15 * time.Second, returns: time.Second, answered: 10 * time.Second, unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t)
				b.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
					time.Sleep(tc.takes)
					return connector.Receipt{ProviderID: "SM1", Status: connector.StatusAccepted}, tc.err
				})
				began := time.Now()
				var answers []time.Duration
				var got Started
				var gotErr error
				r := request(t)
				r.Later = func() func(Started, error) {
					return func(st Started, err error) {
						answers = append(answers, time.Since(began))
						got, gotErr = st, err
					}
				}
				st, err := b.Start(t.Context(), r)
				if returned := time.Since(began); returned != tc.returns {
					t.Errorf("returned after %s, want %s", returned, tc.returns)
				}
				if tc.answered == 0 {
					if err != nil || st.Unknown || len(answers) != 0 {
						t.Errorf("%+v, %v", st, err)
					}
					return
				}
				if !errors.Is(err, ErrLater) {
					t.Errorf("got %v", err)
				}
				time.Sleep(30 * time.Second)
				synctest.Wait()
				var refused *RefusedError
				if len(answers) != 1 || answers[0] != tc.answered || got.Unknown != tc.unknown || errors.As(gotErr, &refused) != tc.refused {
					t.Errorf("answers after %v: %+v, %v", answers, got, gotErr)
				}
			})
		})
	}
}

// Nobody takes the answer over: the call waits on.
func TestLaterThatDeclines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
			time.Sleep(4 * time.Second)
			return connector.Receipt{ProviderID: "SM1", Status: connector.StatusAccepted}, nil
		})
		asked := 0
		st := b.start(func(r *StartRequest) {
			r.Later = func() func(Started, error) {
				asked++
				return nil
			}
		})
		if st.Unknown || asked != 1 {
			t.Errorf("asked %d times: %+v", asked, st)
		}
	})
}
