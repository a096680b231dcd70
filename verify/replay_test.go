package verify

import (
	"errors"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

func TestReplayOfStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "body")
	first := b.start(func(x *StartRequest) { *x = r })
	b.check(first.Verification.ID, wrong(b.sender.lastCode()))
	again, err := b.Start(t.Context(), r)
	if err != nil || !again.Replayed || !again.Sent || again.Joined || again.Unknown ||
		again.Verification.ID != first.Verification.ID || again.Verification.Checks != 1 || b.sender.count() != 1 {
		t.Errorf("got %+v, %v", again, err)
	}
	other := r
	other.Idem = idem(b.keys, "start", "key", "another body")
	if _, err := b.Start(t.Context(), other); !errors.Is(err, ErrIdemMismatch) {
		t.Errorf("another body: %v", err)
	}
	b.clock.advance(idemLife)
	if st, err := b.Start(t.Context(), r); err != nil || st.Replayed || b.sender.count() != 2 {
		t.Errorf("a day later: %+v, %v", st, err)
	}
}

func TestReplayOfJoins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := request(t)
	r.Session = "s"
	b.start(session("s"))
	r.Idem = idem(b.keys, "start", "joins", "")
	quiet := b.start(func(x *StartRequest) { *x = r })
	b.clock.advance(time.Minute)
	// The time for a text has come, but this is the repetition of a call that
	// sent none.
	again := b.start(func(x *StartRequest) { *x = r })
	if !quiet.Joined || !again.Joined || !again.Replayed || again.Sent || b.sender.count() != 1 {
		t.Errorf("got %+v, then %+v", quiet, again)
	}
	r.Idem = idem(b.keys, "start", "joins with a text", "")
	loud := b.start(func(x *StartRequest) { *x = r })
	again = b.start(func(x *StartRequest) { *x = r })
	if !loud.Joined || !loud.Sent || !again.Joined || !again.Sent || !again.Replayed || b.sender.count() != 2 {
		t.Errorf("got %+v, then %+v", loud, again)
	}
}

func TestReplayOfARefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sender.fail(connector.OutcomeRefused, connector.KindInvalidRecipient)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "")
	_, first := b.Start(t.Context(), r)
	st, again := b.Start(t.Context(), r)
	var a, z *RefusedError
	if !errors.As(first, &a) || !errors.As(again, &z) || b.sender.count() != 1 || !st.Replayed {
		t.Fatalf("got %v, then %v", first, again)
	}
	if a.Cause.Kind != z.Cause.Kind || a.Cause.ProviderCode != z.Cause.ProviderCode || a.Cause.Advice != z.Cause.Advice || a.Verification.ID != z.Verification.ID {
		t.Errorf("got %+v, then %+v", a.Cause, z.Cause)
	}
}

func TestReplayOfAnUnknownSend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sender.fail(connector.OutcomeMaybe, connector.KindTemporary)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "")
	b.start(func(x *StartRequest) { *x = r })
	if again := b.start(func(x *StartRequest) { *x = r }); !again.Replayed || !again.Unknown {
		t.Errorf("got %+v", again)
	}
}

// The process died between its two transactions: until the lease ends the call
// is in flight, then its record is shown as it is.
func TestReplayAfterACrash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "")
	b.store.before = func(op Op) error {
		if op.ID != "" {
			return ErrNotFound // nothing more is written, and nothing is tried again
		}
		return nil
	}
	b.start(func(x *StartRequest) { *x = r })
	b.store.before = nil
	b.restart()
	if _, err := b.Start(t.Context(), r); !errors.Is(err, ErrInFlight) {
		t.Errorf("at once: %v", err)
	}
	b.clock.advance(2*b.policy.SendTimeout + LeaseSlack)
	st, err := b.Start(t.Context(), r)
	if err != nil || !st.Replayed || !st.Unknown || st.Verification.Sends[0].Status != connector.StatusSending || b.sender.count() != 1 {
		t.Errorf("after the lease: %+v, %v", st, err)
	}
	if !b.check(st.Verification.ID, b.sender.lastCode()).Valid {
		t.Error("the code does not pass")
	}
}

func TestReplayOfResend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, other := b.start().Verification, b.start().Verification
	b.clock.advance(time.Minute)
	r := ResendRequest{App: testApp, ID: v.ID, Idem: idem(b.keys, "resend", "key", "")}
	first, err := b.Resend(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Resend(t.Context(), r)
	if err != nil || !again.Replayed || !again.Sent || again.Joined || len(again.Verification.Sends) != len(first.Verification.Sends) || b.sender.count() != 3 {
		t.Errorf("got %+v, %v", again, err)
	}
	r.ID = other.ID
	if _, err := b.Resend(t.Context(), r); !errors.Is(err, ErrIdemMismatch) {
		t.Errorf("the same key for another verification: %v", err)
	}
	// A refusal by a limit is not kept: the same call succeeds later.
	r.ID, r.Idem = v.ID, idem(b.keys, "resend", "next", "")
	_, err = b.Resend(t.Context(), r)
	wantLimit(t, err, LimitResendWait, 40*time.Second)
	b.clock.advance(40 * time.Second)
	if st, err := b.Resend(t.Context(), r); err != nil || st.Replayed {
		t.Errorf("at its time: %+v, %v", st, err)
	}
	// One that ended for want of its key says so again.
	b.options.Keys = newKeys(t, serverKey("k1", 0))
	delete(b.keys.byID, "k1")
	b.clock.advance(time.Minute)
	r.Idem = idem(b.keys, "resend", "lost", "")
	for range 2 {
		if _, err := b.Resend(t.Context(), r); !errors.Is(err, ErrEnded) {
			t.Errorf("key lost: %v", err)
		}
	}
}

func TestReplayOfCheck(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, code := b.start().Verification, b.sender.lastCode()
	check := func(id, key, code string) (Checked, error) {
		return b.Check(t.Context(), CheckRequest{App: testApp, ID: id, Code: secret.New(code), Idem: idem(b.keys, "check", key, code)})
	}
	for range 3 {
		if c, err := check(v.ID, "wrong", wrong(code)); err != nil || c.Valid || c.Verification.Checks != 1 {
			t.Errorf("wrong: %+v, %v", c, err)
		}
	}
	for range 3 {
		c, err := check(v.ID, "right", code)
		if err != nil || !c.Valid || c.Verification.Checks != 2 || c.Verification.Status != StatusApproved {
			t.Errorf("right: %+v, %v", c, err)
		}
	}
	if c, err := check(v.ID, "wrong", wrong(code)); err != nil || c.Valid {
		t.Errorf("the wrong one, after the right one: %+v, %v", c, err)
	}
	// The same key with the same code for another verification must not be
	// answered with this one's success.
	other := b.start().Verification
	if c, err := check(other.ID, "right", code); !errors.Is(err, ErrIdemMismatch) || c.Valid {
		t.Errorf("another verification under the same key: %+v, %v", c, err)
	}
	if c, err := b.Purge(t.Context(), b.clock.now().Add(time.Hour), 10); c != 2 || err != nil {
		t.Fatal(c, err)
	}
	if _, err := check(v.ID, "right", code); !errors.Is(err, ErrNotFound) {
		t.Errorf("a repetition after the record is gone: %v", err)
	}
}

func TestReplaysAreObservedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "")
	for range 2 {
		b.start(func(x *StartRequest) { *x = r })
	}
	n := 0
	for _, line := range b.counts.lines {
		if line == "started shop SignIn US" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("observed %d times", n)
	}
}

// A call that sent nothing is not kept: made again with its key, it sends.
func TestNoReplayOfNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, sess := range []string{"", "browser"} {
		b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
		r := request(t)
		r.Session, r.Idem = sess, idem(b.keys, "start", "key"+sess, "")
		before := b.sender.count()
		first := b.start(func(x *StartRequest) { *x = r })
		b.sender.answer(nil)
		again := b.start(func(x *StartRequest) { *x = r })
		if again.Replayed || again.Joined != (sess != "") || b.sender.count() != before+2 ||
			(again.Verification.ID == first.Verification.ID) != (sess != "") {
			t.Errorf("session %q: got %+v", sess, again)
		}
		// What was sent is kept as ever.
		third := b.start(func(x *StartRequest) { *x = r })
		if !third.Replayed || third.Verification.ID != again.Verification.ID || b.sender.count() != before+2 {
			t.Errorf("session %q: then %+v", sess, third)
		}
	}
	v := b.start().Verification
	b.clock.advance(time.Minute)
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
	r := ResendRequest{App: testApp, ID: v.ID, Idem: idem(b.keys, "resend", "key", "")}
	if _, err := b.Resend(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	b.sender.answer(nil)
	for _, replayed := range []bool{false, true} {
		st, err := b.Resend(t.Context(), r)
		if err != nil || st.Replayed != replayed || len(st.Verification.Sends) != 3 || !st.Sent {
			t.Errorf("resend: %+v, %v", st, err)
		}
	}
}

// The outcome is written down a second time, after the key was used again: the
// new call's key stays.
func TestForgettingTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sender.fail(connector.OutcomeNotProcessed, connector.KindThrottled)
	r := request(t)
	r.Idem = idem(b.keys, "start", "key", "")
	first := b.start(func(x *StartRequest) { *x = r }).Verification
	b.sender.answer(nil)
	second := b.start(func(x *StartRequest) { *x = r }).Verification
	j := &job{begun: &begun{v: first, now: first.CreatedAt, send: &first.Sends[0], outcome: outcomeStart}, idem: r.Idem}
	if err := b.outcome(j, report{word: word{connector.StatusFailed, true}}); err != nil {
		t.Fatal(err)
	}
	if st := b.start(func(x *StartRequest) { *x = r }); !st.Replayed || st.Verification.ID != second.ID {
		t.Errorf("got %+v", st)
	}
}
