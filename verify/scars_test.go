package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// Each test here is a fault that a reviewer proved once.

func (s *station) message(code string) Started {
	s.t.Helper()
	st, err := s.SendMessage(s.t.Context(), MessageRequest{
		App: testApp, To: number(s.t, testNumber), Usage: "SignIn", ClientIP: testIP, Payload: map[string]any{"code": code},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// again starts a service with other options on the same store.
func (s *station) again() {
	s.restart()
	s.now = time.Now
}

func TestMessageFailsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.providers[0].answers(ofKind(connector.KindAuth))
		st := s.message("123456")
		wantSends(t, st.Verification.Sends, "a rejected", "b accepted")
		if m, err := s.GetMessage(t.Context(), testApp, st.Verification.ID); err != nil || m.Sealed != nil || s.providers[1].count() != 1 {
			t.Errorf("%d texts, sealed: %t, %v", s.providers[1].count(), m.Sealed != nil, err)
		}
	})
}

func TestConnectorIsTakenAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"old"}, func(o *Options) { o.Policy.PollAfter = 2 * time.Minute })
		s.providers[0].answers(nil, maybe())
		accepted := s.start().Verification.ID
		unknown := s.message("123456").Verification.ID
		s.options.Connectors[0].Name = "new"
		s.again()
		s.run(time.Hour)
		wantSends(t, s.sends(accepted), "old accepted")
		m, err := s.GetMessage(t.Context(), testApp, unknown)
		if err != nil || m.Sealed != nil || !m.DueAt().IsZero() {
			t.Errorf("what nobody can look for any more: %+v, %v", m, err)
		}
		s.providers[0].answers(nil)
		if st := s.start(); st.Unknown {
			t.Error("the number waits for what nobody looks for")
		}
	})
}

// panicky panics when it is asked, once.
type panicky struct {
	*fakeProvider
	panics *int
}

func (p panicky) Find(ctx context.Context, m connector.Message, since time.Time) ([]connector.Found, error) {
	if *p.panics++; *p.panics == 1 {
		panic(m)
	}
	return p.fakeProvider.Find(ctx, m, since)
}

func TestFinderPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.options.Connectors[0].Sender = panicky{s.providers[0], new(int)}
		s.again()
		s.providers[0].answers(maybe())
		id := s.start().Verification.ID
		s.providers[0].has(connector.Found{ProviderID: "SM1", Status: connector.StatusSent, Created: time.Now()})
		s.run(2 * time.Minute)
		wantSends(t, s.sends(id), "main sent")
		if text := s.logs.String(); !strings.Contains(text, "panicked") || strings.Contains(text, s.sender.lastCode()) {
			t.Error("the log does not tell of it, or tells too much")
		}
	})
}

// A provider that takes nothing and says nothing is not asked without end.
func TestRecoveriesAreBounded(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"lost": maybe(), "credentials": ofKind(connector.KindAuth)} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, []string{"a", "b"}, func(o *Options) { o.Policy.Life = time.Hour })
			for _, p := range s.providers {
				p.answers(err)
			}
			_, _ = s.Start(t.Context(), request(t))
			s.run(2 * time.Hour)
			if n, most := s.providers[0].count()+s.providers[1].count(), s.policy.MaxSends+freeSends; n > most {
				t.Errorf("%s: %d requests for one text, want %d at most", name, n, most)
			}
		})
	}
}

func TestSupersededIsRefunded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"}, func(o *Options) {
			o.Policy.Limits.AppNumberDaily = Limit{Name: "app_number_daily", Burst: 2}
		})
		s.providers[0].answers(busy(20*time.Minute), busy(20*time.Minute), nil)
		st := s.start()
		time.Sleep(31 * time.Second)
		if _, err := s.resend(st.Verification.ID); err != nil {
			t.Fatal(err)
		}
		s.start() // the second text that is under way
		_, err := s.Start(t.Context(), request(t))
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Errorf("a third: %v", err)
		}
	})
}

// Guesses at a code that was never sent are not given back with its charge.
func TestGuessesAreNotRefunded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"}, func(o *Options) {
			o.Policy.Limits.AppNumberDaily = Limit{Name: "app_number_daily", Burst: 2}
			o.Policy.FailuresFree = 1000
		})
		s.providers[0].answers(busy(20 * time.Minute))
		for i := range 3 {
			st, err := s.Start(t.Context(), request(t))
			if i == 2 {
				if err == nil {
					t.Error("guessing is free")
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				s.check(st.Verification.ID, "000000")
			}
			s.run(10 * time.Minute)
		}
	})
}

// The same call again is told what became of the text, whoever carried it.
func TestReplayAfterFailoverInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.providers[0].answers(busy(20*time.Second), ofKind(connector.KindAuth))
		s.providers[1].answers(busy(20*time.Second), nil)
		r := request(t)
		r.Idem = idem(s.keys, "start", "key", "")
		st := s.start(func(x *StartRequest) { *x = r })
		if !st.Unknown {
			t.Fatalf("%+v", st)
		}
		s.run(time.Minute)
		again := s.start(func(x *StartRequest) { *x = r })
		if last := again.Verification.Sends[len(again.Verification.Sends)-1]; !again.Replayed || again.Unknown || last.Status != connector.StatusAccepted {
			t.Errorf("%+v", again)
		}
	})
}

// A connector that will not do is left, even if the other one has to rest first.
func TestFailoverToOneThatRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.providers[0].answers(ofKind(connector.KindAuth))
		rests := s.route("b").breaker
		for range breakAfter {
			rests.enter()
			rests.leave(false, true, 0)
		}
		st := s.start()
		if !st.Unknown || !st.Verification.Sends[1].parked() {
			t.Fatalf("%+v", st)
		}
		s.run(5 * time.Second)
		wantSends(t, s.sends(st.Verification.ID), "a rejected", "b accepted")
	})
}

func TestLongRetryAfterBesideOneThatIsWell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.providers[0].answers(busy(time.Hour))
		wantSends(t, s.start().Verification.Sends, "a failed", "b accepted")
	})
}

// hanging never answers when it is asked.
type hanging struct{ *fakeProvider }

func (hanging) Find(ctx context.Context, _ connector.Message, _ time.Time) ([]connector.Found, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// One connector's lists hang: another one's texts do not wait for them.
func TestReadsThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.options.Connectors[0].Sender = hanging{s.providers[0]}
		s.options.Connectors[0].Countries, s.options.Connectors[1].Countries = []string{"US"}, []string{"DE"}
		s.again()
		s.providers[0].answers(maybe())
		for i := range 100 {
			s.start(func(r *StartRequest) { r.To = number(t, fmt.Sprintf("+1415555%04d", 2000+i)) })
		}
		s.providers[1].answers(busy(12*time.Second), nil)
		id := s.start(func(r *StartRequest) { r.To = number(t, "+4915123456789") }).Verification.ID
		s.run(16 * time.Second)
		wantSends(t, s.sends(id), "b accepted")
	})
}

// The store's answer to a move is lost after its commit: the move is made all the
// same, now.
func TestLostCommitOfAMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"a", "b"})
		s.providers[0].answers(ofKind(connector.KindAuth))
		ops := 0
		s.store.after = func(Op) error {
			if ops++; ops == 2 {
				return ErrUnavailable
			}
			return nil
		}
		st := s.start()
		wantSends(t, st.Verification.Sends, "a rejected", "b accepted")
		if s.providers[1].count() != 1 {
			t.Errorf("%d texts", s.providers[1].count())
		}
	})
}

// A process that was held up reports a refusal after another one has found the
// text absent and sent it anew: its charge is that one's by now.
func TestLateRefusalIsNotRefunded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"}, func(o *Options) {
			o.Policy.Limits.AppNumberDaily = Limit{Name: "app_number_daily", Burst: 1}
		})
		var posts atomic.Int32
		s.sender.answer(func(context.Context, connector.Message) (connector.Receipt, error) {
			if posts.Add(1) == 1 {
				time.Sleep(80 * time.Second)
				return connector.Receipt{}, ofKind(connector.KindFiltered)
			}
			return connector.Receipt{ProviderID: "SM2", Status: connector.StatusAccepted}, nil
		})
		id := s.start().Verification.ID
		other, err := New(s.options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 75*time.Second)
		defer cancel()
		other.Run(ctx)
		s.landed()
		wantSends(t, s.sends(id), "main rejected", "main accepted")
		if _, err := s.Start(t.Context(), request(t)); err == nil {
			t.Error("a text was taken, and nothing is charged")
		}
	})
}

func TestStopWhileATextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(busy(30*time.Second), nil)
		id := s.start().Verification.ID
		if err := s.RecordReply(t.Context(), "main", connector.Reply{From: number(t, testNumber), Consent: connector.ConsentStop}); err != nil {
			t.Fatal(err)
		}
		s.run(time.Minute)
		wantSends(t, s.sends(id), "main rejected")
		if v := s.get(id); s.sender.count() != 1 || v.Status != StatusCanceled || v.Sends[0].Error.Kind != connector.KindOptedOut {
			t.Errorf("%d requests, %+v", s.sender.count(), v)
		}
	})
}

// What is not of the contract may quote anything.
func TestErrorsOfReadsInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(maybe())
		s.start()
		s.providers[0].broken = errors.New("GET To=" + testNumber + " " + s.sender.lastCode())
		s.run(5 * time.Second)
		if text := s.logs.String(); strings.Contains(text, testNumber) || strings.Contains(text, s.sender.lastCode()) {
			t.Error("the log has the number or the code")
		}
	})
}

// A number does not wait for a list that we may not see.
func TestListThatIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(maybe(), nil)
		s.start()
		s.providers[0].broken = &connector.Error{Kind: connector.KindAuth, Outcome: connector.OutcomeRefused}
		s.run(5 * time.Second)
		if st := s.start(); st.Unknown {
			t.Errorf("%+v", st)
		}
	})
}
