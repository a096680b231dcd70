package verify

import (
	"errors"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// Whoever touches a verification whose time is over writes that down: a clock
// that is set back does not bring it to life.
func TestExpiredStaysExpired(t *testing.T) {
	t.Parallel()
	for name, touch := range map[string]func(b *bench, id string){
		"check": func(b *bench, id string) { b.check(id, b.sender.lastCode()) },
		"resend": func(b *bench, id string) {
			if _, err := b.resend(id); !errors.Is(err, ErrEnded) {
				b.t.Errorf("resend: %v", err)
			}
		},
		"cancel": func(b *bench, id string) {
			if _, _, err := b.Cancel(b.t.Context(), testApp, id); err != nil {
				b.t.Error(err)
			}
		},
		"callback": func(b *bench, id string) {
			v := b.get(id)
			j := &job{begun: &begun{v: v, now: v.CreatedAt, send: &v.Sends[0], outcome: outcomeStart}}
			if err := b.outcome(j, report{word: word{status: connector.StatusSent}}); err != nil {
				b.t.Error(err)
			}
		},
	} {
		b := newBench(t)
		v, code := b.start().Verification, b.sender.lastCode()
		b.clock.advance(b.policy.Life + time.Second)
		touch(b, v.ID)
		b.clock.advance(-time.Minute)
		got := b.get(v.ID)
		if got.Status != StatusExpired || got.Reason != "" || !got.EndedAt.Equal(v.ExpiresAt) {
			t.Errorf("%s: %s for %q, ended at %s", name, got.Status, got.Reason, got.EndedAt)
		}
		if b.check(v.ID, code).Valid {
			t.Errorf("%s: an expired code passes again", name)
		}
	}
}

// A code that was made by a clock which was ahead does not live on for the
// jump's length; a small step back harms nobody.
func TestCodesOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		back  time.Duration
		valid bool
	}{{time.Second, true}, {ClockSlack, true}, {ClockSlack + time.Microsecond, false}, {24 * time.Hour, false}} {
		for _, generation := range []int{1, 2} {
			b := newBench(t)
			v := b.start(session("browser")).Verification
			if generation == 2 {
				b.clock.advance(9*time.Minute + time.Second)
				if _, err := b.resend(v.ID); err != nil {
					t.Fatal(err)
				}
			}
			b.clock.advance(-tc.back)
			if c := b.check(v.ID, b.sender.lastCode()); c.Valid != tc.valid || !tc.valid && c.Verification.Status != StatusExpired {
				t.Errorf("generation %d, %s back: %t, %s", generation, tc.back, c.Valid, c.Verification.Status)
			}
			b.clock.advance(tc.back)
			if b.check(v.ID, b.sender.lastCode()).Valid {
				t.Errorf("generation %d, %s back and forth: the code passes", generation, tc.back)
			}
		}
	}
	// A start of the same session does not join it, and ends it.
	b := newBench(t)
	v, code := b.start(session("browser")).Verification, b.sender.lastCode()
	b.clock.advance(-time.Hour)
	if st := b.start(session("browser")); st.Joined {
		t.Error("joined")
	}
	b.clock.advance(time.Hour)
	if got := b.get(v.ID); got.Status != StatusExpired || b.check(v.ID, code).Valid {
		t.Errorf("the former one is %s", got.Status)
	}
}

// Waits that a clock which was ahead left behind do not last for the jump's
// length.
func TestWaitsOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.clock.advance(30 * 24 * time.Hour)
	b.failTimes(b.policy.FailuresFree + 1)
	_, err := b.Start(t.Context(), request(t))
	wantLimit(t, err, LimitFailures, 30*time.Second)
	b.clock.advance(-30 * 24 * time.Hour)
	v, code := b.start().Verification, b.sender.lastCode()
	// The failures count on, and the next wait is one of this clock.
	b.check(v.ID, wrong(code))
	_, err = b.Start(t.Context(), request(t))
	wantLimit(t, err, LimitFailures, time.Minute)
	// A step that is no jump frees nobody.
	b.clock.advance(-time.Second)
	_, err = b.Start(t.Context(), request(t))
	wantLimit(t, err, LimitFailures, time.Minute+time.Second)

	b = newBench(t)
	v = b.start().Verification
	b.clock.advance(5 * time.Minute) // the clock jumps ahead, then back
	if _, err := b.resend(v.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(-4 * time.Minute)
	if _, err := b.resend(v.ID); err != nil {
		t.Errorf("a resend after a jump: %v", err)
	}
	_, err = b.resend(v.ID)
	wantLimit(t, err, LimitResendWait, 60*time.Second)
}

// failTimes gives n wrong codes, each for a verification of its own.
func (b *bench) failTimes(n int) {
	b.t.Helper()
	for range n {
		v, code := b.start().Verification, b.sender.lastCode()
		b.check(v.ID, wrong(code))
	}
}

// Failures are forgotten a day after the last one, and not before.
func TestFailuresAreForgotten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pause time.Duration
		free  bool
	}{{FailureMemory - time.Microsecond, false}, {FailureMemory, true}} {
		b := newBench(t)
		b.failTimes(b.policy.FailuresFree)
		b.clock.advance(tc.pause)
		v, code := b.start().Verification, b.sender.lastCode()
		b.check(v.ID, wrong(code))
		_, err := b.Check(t.Context(), CheckRequest{App: testApp, ID: v.ID, Code: secret.New(code)})
		if free := err == nil; free != tc.free {
			t.Errorf("after %s: %v", tc.pause, err)
		}
	}
	// Policy with shorter waits than those that were given.
	b := newBench(t)
	b.failTimes(b.policy.FailuresFree)
	b.policy.FailureWaits = []time.Duration{time.Hour}
	b.failTimes(1)
	b.policy.FailureWaits = []time.Duration{time.Minute}
	_, err := b.Start(t.Context(), request(t))
	wantLimit(t, err, LimitFailures, time.Minute)
}
