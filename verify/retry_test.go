package verify

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

func TestBusyWithinThePatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(busy(0), busy(2*time.Second), nil)
		began := time.Now()
		st := s.start()
		if took := time.Since(began); st.Unknown || took < 2*time.Second || took > s.policy.SendTimeout || s.sender.count() != 3 {
			t.Errorf("after %s and %d requests: %+v", took, s.sender.count(), st)
		}
		wantSends(t, s.sends(st.Verification.ID), "main accepted")
		if !s.counts.has("retried main throttled") {
			t.Errorf("counted: %q", s.counts.lines)
		}
	})
}

// A provider that asks for more time than the caller has gets it in the
// background; the code is the same.
func TestBusyBeyondThePatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(busy(25*time.Second), nil)
		r := request(t)
		r.Idem = idem(s.keys, "start", "key", "")
		st := s.start(func(x *StartRequest) { *x = r })
		first := s.sender.lastCode()
		if !st.Unknown || s.sender.count() != 1 {
			t.Fatalf("%d requests: %+v", s.sender.count(), st)
		}
		again := s.start(func(x *StartRequest) { *x = r })
		if !again.Replayed || again.Verification.ID != st.Verification.ID || s.sender.count() != 1 {
			t.Errorf("the same call again: %+v", again)
		}
		s.run(24 * time.Second)
		if s.sender.count() != 1 {
			t.Error("it was posted before the time that the provider asked for")
		}
		s.run(6 * time.Second)
		wantSends(t, s.sends(st.Verification.ID), "main accepted")
		if s.sender.count() != 2 || s.sender.lastCode() != first || !s.check(st.Verification.ID, first).Valid {
			t.Errorf("%d requests, codes %s and %s", s.sender.count(), first, s.sender.lastCode())
		}
	})
}

func TestPermanentRefusalIsFinal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main", "other"})
		for _, kind := range []connector.Kind{
			connector.KindInvalidRecipient, connector.KindUnreachable, connector.KindOptedOut, connector.KindBlocked, connector.KindFraud, connector.KindFiltered, connector.KindGeo,
		} {
			s.providers[0].answers(ofKind(kind))
			r := request(t)
			r.To = number(t, "+1415555"+string(rune('1'+len(kind)%8))+"199")
			_, err := s.Start(t.Context(), r)
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Cause.Kind != kind {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if s.providers[1].count() != 0 {
			t.Error("what one connector refused for the number went to the other")
		}
	})
}

func TestFailover(t *testing.T) {
	t.Parallel()
	for _, kind := range []connector.Kind{connector.KindAuth, connector.KindAccount, connector.KindSender} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, []string{"main", "other"}, func(o *Options) {
				o.Policy.Limits.AppNumber = Limit{"app_number", 1, time.Hour}
			})
			s.providers[0].answers(ofKind(kind))
			r := request(t)
			r.Idem = idem(s.keys, "start", "key", "")
			st := s.start(func(x *StartRequest) { *x = r })
			wantSends(t, st.Verification.Sends, "main rejected", "other accepted")
			if st.Unknown || st.Verification.Status != StatusPending {
				t.Errorf("%+v", st)
			}
			replay := s.start(func(x *StartRequest) { *x = r })
			if !replay.Replayed || replay.Unknown || len(replay.Verification.Sends) != 2 {
				t.Errorf("the same call again: %+v", replay)
			}
			// One text was sent and is charged: neither nothing nor two.
			_, err := s.Start(t.Context(), request(t))
			wantLimit(t, err, "app_number", time.Hour)
			if !s.check(st.Verification.ID, s.providers[1].lastCode()).Valid {
				t.Error("the code does not pass")
			}
		})
	}
}

// Where every connector is at fault the caller hears of the last.
func TestFailoverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main", "other"})
		s.providers[0].answers(ofKind(connector.KindAuth))
		s.providers[1].answers(ofKind(connector.KindAccount))
		_, err := s.Start(t.Context(), request(t))
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Cause.Kind != connector.KindAccount || refused.Verification.Status != StatusCanceled {
			t.Fatalf("%v", err)
		}
		wantSends(t, refused.Verification.Sends, "main rejected", "other rejected")
	})
}

func TestConnectorsByCountry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main", "other"}, func(o *Options) {
			o.Connectors[0].Countries = []string{"DE"}
			o.Connectors[1].Countries = []string{"US"}
			o.Policy.Countries = []string{"US", "DE", "GB"}
		})
		wantSends(t, s.start().Verification.Sends, "other accepted")
		wantSends(t, s.start(func(r *StartRequest) { r.To = number(t, "+4915123456789") }).Verification.Sends, "main accepted")
		r := request(t)
		r.To = number(t, "+447400123456")
		var invalid *InvalidError
		if _, err := s.Start(t.Context(), r); !errors.As(err, &invalid) || invalid.Code != "country_not_allowed" {
			t.Errorf("a country that no connector serves: %v", err)
		}
	})
}

// A connector that fails is left alone: nobody waits for it, what comes goes
// through the next one or waits in the store, and one text finds out when it is
// back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			names := []string{"main", "other"}
			if !two {
				names = names[:1]
			}
			s := newStation(t, names)
			s.providers[0].answers(maybe())
			for i := range breakAfter {
				s.start(func(r *StartRequest) { r.To = number(t, "+1415555010"+string(rune('0'+i))) })
			}
			if !s.counts.has("connector main true") {
				t.Fatalf("the breaker is not open: %q", s.counts.lines)
			}
			began := time.Now()
			st := s.start()
			if s.sender.count() != breakAfter || time.Since(began) != 0 {
				t.Errorf("%d requests, %s", s.sender.count(), time.Since(began))
			}
			if two {
				wantSends(t, st.Verification.Sends, "other accepted")
				return
			}
			if !st.Unknown || !st.Verification.Sends[0].parked() {
				t.Errorf("%+v", st)
			}
			s.providers[0].answers(nil)
			s.run(5 * time.Second)
			wantSends(t, s.sends(st.Verification.ID), "main accepted")
			if !s.counts.has("connector main false") {
				t.Errorf("the breaker is still open: %q", s.counts.lines)
			}
		})
	}
}

// While every request hangs, new ones do not join them.
func TestStalledConnector(t *testing.T) {
	t.Parallel()
	b := newBreaker(15*time.Second, func(bool) {})
	synctest.Test(t, func(t *testing.T) {
		if !b.enter() {
			t.Fatal("closed to begin with")
		}
		time.Sleep(15 * time.Second)
		if b.wait() != 0 {
			t.Error("stalled too soon")
		}
		time.Sleep(time.Millisecond)
		if b.wait() == 0 || b.enter() {
			t.Error("not stalled")
		}
		b.leave(true, true, 0)
		if b.wait() != 0 {
			t.Error("still stalled after an answer")
		}
	})
}

func TestBreakerRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		b := newBreaker(time.Minute, func(open bool) { told = append(told, open) })
		fail := func(retryAfter time.Duration) {
			t.Helper()
			if !b.enter() {
				t.Fatal("not let in")
			}
			b.leave(false, true, retryAfter)
		}
		for range breakAfter - 1 {
			fail(0)
		}
		b.enter()
		b.leave(true, true, 0) // one that works forgives the failures
		for range breakAfter {
			fail(0)
		}
		for _, rest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
			if wait := b.wait(); wait < rest || wait > rest*5/4 {
				t.Errorf("rests %s, want %s and a little", wait, rest)
			}
			time.Sleep(b.wait())
			if !b.enter() || b.enter() {
				t.Error("a probe is one request")
			}
			b.leave(false, true, 0)
		}
		time.Sleep(b.wait())
		b.enter()
		b.leave(true, true, 0)
		if b.wait() != 0 {
			t.Error("not closed by a probe that works")
		}
		for range breakAfter {
			fail(20 * time.Second)
		}
		if wait := b.wait(); wait < 20*time.Second {
			t.Errorf("comes back after %s, and 20s were asked for", wait)
		}
		if len(told) != 3 || !told[0] || told[1] || !told[2] {
			t.Errorf("told %v", told)
		}
	})
}

// What waits is posted no faster than the rate.
func TestBacklogDrainsAtTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"}, func(o *Options) { o.Policy.RetryRate = 10 })
		s.providers[0].answers(busy(30 * time.Second))
		for i := range 100 {
			n := "+14155551" + string([]byte{'0' + byte(i/10/10), '0' + byte(i/10%10), '0' + byte(i%10)})
			s.start(func(r *StartRequest) { r.To = number(t, n) })
		}
		time.Sleep(time.Minute)
		before := s.sender.count()
		var most int64
		s.providers[0].answer(func(context.Context, connector.Message) (connector.Receipt, error) {
			most = max(most, s.routes[0].posting.Load()) // one post at a time comes here
			return connector.Receipt{ProviderID: "SM", Status: connector.StatusAccepted}, nil
		})
		began := time.Now()
		s.run(5 * time.Second)
		took := time.Since(began).Seconds() // it finishes what it has begun
		if n := float64(s.sender.count() - before); n < 10*(took-1) || n > 10*took+1 {
			t.Errorf("%v texts in %v s, want 10 a second", n, took)
		}
		s.run(10 * time.Second)
		if n := s.sender.count() - before; n != 100 {
			t.Errorf("%d texts in the end, want 100", n)
		}
		if most > int64(s.policy.RetryRate+claimsAtOnce) {
			t.Errorf("%d texts at once are on their way, want a second's worth", most)
		}
	})
}

// A text whose code has become worthless while it waited is not sent.
func TestStaleCodeIsNeverSent(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*station, *Verification){
		"its time is nearly over": func(*station, *Verification) { time.Sleep(9*time.Minute + time.Second) },
		"canceled": func(s *station, v *Verification) {
			if _, _, err := s.Cancel(s.t.Context(), testApp, v.ID); err != nil {
				s.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, []string{"main"})
				s.providers[0].answers(busy(time.Minute), nil)
				v := s.start().Verification
				spoil(s, v)
				s.run(3 * time.Minute)
				wantSends(t, s.sends(v.ID), "main failed")
				if s.sender.count() != 1 || s.get(v.ID).Sends[0].Error == nil {
					t.Errorf("%d requests", s.sender.count())
				}
			})
		})
	}
}

// Whoever asks for another text while one waits gets one, not two.
func TestResendTakesThePlaceOfOneThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main"})
		s.providers[0].answers(busy(90*time.Second), nil)
		v := s.start().Verification
		time.Sleep(31 * time.Second)
		if _, err := s.resend(v.ID); err != nil {
			t.Fatal(err)
		}
		s.run(3 * time.Minute)
		wantSends(t, s.sends(v.ID), "main failed", "main accepted")
		if s.sender.count() != 2 {
			t.Errorf("%d requests, want the refused one and one", s.sender.count())
		}
	})
}

// The plan for every outcome, said once more as a table.
func TestNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, []string{"main", "other"})
		alone := newStation(t, []string{"main"})
		v := s.start().Verification
		for name, tc := range map[string]struct {
			err        error
			alone      bool
			background bool
			want       string
		}{
			"taken":                              {nil, false, false, "final"},
			"nobody can tell":                    {maybe(), false, false, "final"},
			"refused":                            {ofKind(connector.KindBlocked), false, false, "final"},
			"credentials":                        {ofKind(connector.KindAuth), false, false, "move"},
			"credentials of the only one":        {ofKind(connector.KindAuth), true, false, "final"},
			"busy":                               {busy(0), false, false, "again"},
			"busy for long":                      {busy(time.Minute), true, false, "park"},
			"busy for long, and another is well": {busy(time.Minute), false, false, "move"},
			"busy in the background":             {busy(0), true, true, "park"},
			"busy in the background, and another is well": {busy(0), false, true, "move"},
			"unreachable":                       {unreachable(), true, false, "again"},
			"not processed, not to be repeated": {&connector.Error{Kind: connector.KindUnclassified, Outcome: connector.OutcomeNotProcessed}, false, false, "final"},
			"our sender, never posted":          {&connector.Error{Kind: connector.KindSender, Outcome: connector.OutcomeNotProcessed}, false, false, "move"},
		} {
			svc := s
			if tc.alone {
				svc = alone
			}
			r := reportOf(connector.Receipt{}, tc.err)
			j := &job{begun: &begun{v: v, send: &v.Sends[0]}, route: svc.routes[0]}
			if !tc.background {
				j.patience = time.Now().Add(svc.policy.SendTimeout)
			}
			p := svc.next(j, &r, 0, nil)
			got := "final"
			switch {
			case p.again > 0:
				got = "again"
			case p.park > 0:
				got = "park"
			case p.move != nil:
				got = "move"
			}
			if got != tc.want {
				t.Errorf("%s: %s (%+v), want %s", name, got, p, tc.want)
			}
		}
	})
}
