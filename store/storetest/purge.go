package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// purge purges until nothing is left and returns how many went.
func (h *harness) purge(t fataler, before time.Time, limit int) int {
	t.Helper()
	for removed := 0; ; {
		n, err := h.store.Purge(context.Background(), before, limit)
		if err != nil {
			t.Fatalf("Purge: %v", err)
		}
		if n > limit {
			t.Fatalf("Purge removed %d, more than %d", n, limit)
		}
		if n == 0 {
			return removed
		}
		removed += n
	}
}

func (h *harness) kept(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := h.store.Get(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func (h *harness) gone(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := h.store.Get(t.Context(), id); !errors.Is(err, verify.ErrNotFound) {
			t.Errorf("%s is still there: %v", id, err)
		}
		h.failing(t, verify.Op{ID: id, App: appOf(id), Decide: decide(verify.Decision{})}, verify.ErrNotFound)
	}
}

func testPurge(t *testing.T, h *harness) {
	key, born := subjectKey("s"), h.clock().Truncate(time.Microsecond)
	endedAt := func(id string, at time.Time) {
		v := verification(id, key, born, 0)
		v.Status, v.EndedAt = verify.StatusApproved, at
		h.do(t, verify.Op{Subject: key, Decide: decide(verify.Decision{Verification: v})})
	}
	endedAt("early", born.Add(time.Minute))
	endedAt("late", born.Add(3*time.Minute))
	h.do(t, start("expiring", key))
	charge := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 5, Every: time.Hour}, Key: limitKey("l")}
	daily := verify.Charge{Limit: verify.Limit{Name: "d", Burst: 1}, Key: limitKey("d")}
	h.do(t, verify.Op{Subject: key, Idem: &verify.Idem{Key: mac("k")}, Decide: decide(verify.Decision{Charges: []verify.Charge{charge, daily}})})
	h.do(t, verify.Op{Subject: subjectKey("failing"), Decide: decide(verify.Decision{Subject: subject(subjectKey("failing"), born)})})

	step := func(what string, before time.Time, want int) {
		t.Helper()
		if n := h.purge(t, before, 100); n != want {
			t.Errorf("%s: %d rows purged, want %d", what, n, want)
		}
	}
	step("nothing has ended", born.Add(24*time.Hour), 0) // the future is now at most
	h.pass(5 * time.Minute)
	step("failed at that very time", born, 0)
	step("a subject that failed then, and is blocked no more", born.Add(time.Microsecond), 1)
	if got := h.peek(t, verify.Op{Subject: subjectKey("failing")}).S; got.Failures != 0 {
		t.Errorf("the subject is still there: %+v", got)
	}
	step("ended at that very time", born.Add(time.Minute), 0)
	step("one has ended", born.Add(time.Minute+time.Microsecond), 1)
	h.gone(t, "early")
	step("and the other", h.clock(), 1)
	h.gone(t, "late")
	h.kept(t, "expiring")
	h.pass(5 * time.Minute) // its time is over, and its subject's
	step("a subject whose verifications are over", born, 1)
	h.kept(t, "expiring")
	step("expired", born.Add(life+time.Microsecond), 0)
	h.pass(time.Microsecond)
	step("expired", h.clock(), 1)
	h.gone(t, "expiring")
	h.pass(50*time.Minute - time.Microsecond + verify.ClockSlack)
	step("a limit that counts no more", born, 1)
	h.pass(23 * time.Hour)
	step("the day's limit and the idempotency key", born, 2)
	step("nothing is left", h.clock(), 0)
}

// testPurgeAfterAFastClock makes the first verifications under a clock that is a
// year ahead: those from the future are kept, and hold up nothing behind them.
func testPurgeAfterAFastClock(t *testing.T, h *harness) {
	const year = 365 * 24 * time.Hour
	h.pass(year)
	h.do(t, start("ahead", subjectKey("ahead")))
	h.do(t, start("canceled", subjectKey("canceled")))
	h.pass(-year) // somebody sets the clock right
	h.do(t, verify.Op{ID: "canceled", App: appOf("canceled"),
		Decide: func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			v.Status, v.EndedAt = verify.StatusCanceled, now
			return verify.Decision{Verification: v, Subject: s}, nil
		}})
	h.do(t, start("old", subjectKey("old")))
	h.pass(24 * time.Hour)
	h.do(t, start("young", subjectKey("young")))
	h.purge(t, h.clock().Add(-time.Hour), 100)
	h.gone(t, "canceled", "old")
	h.kept(t, "ahead", "young")
	h.pass(year) // the future has come, and gone
	h.purge(t, h.clock(), 100)
	h.gone(t, "ahead", "young")
}

func testPurgeInBites(t *testing.T, h *harness) {
	const rows = 250
	born := h.clock()
	for i := range rows {
		id := fmt.Sprintf("v%d", i)
		key := subjectKey("%s", id)
		op := start(id, key)
		inner := op.Decide
		op.Idem = &verify.Idem{Key: mac("%s", id)}
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := inner(now, s, v)
			d.Charges = []verify.Charge{{Limit: verify.Limit{Name: "l", Burst: 1, Every: time.Second}, Key: limitKey("%s", id)}}
			return d, err
		}
		h.do(t, op)
	}
	h.pass(48 * time.Hour)
	if n, err := h.store.Purge(t.Context(), h.clock(), 7); n == 0 || n > 7 || err != nil {
		t.Fatalf("a bite of 7: %d, %v", n, err)
	} else if rest := h.purge(t, h.clock(), 33); rest != 4*rows-n {
		t.Errorf("%d rows purged, want %d", n+rest, 4*rows)
	}
	h.gone(t, "v0", "v100", "v249")

	// A purge in the middle of a table must come back to what is before it.
	short := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 1, Every: time.Second}, Key: limitKey("z")}
	long := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 1, Every: time.Minute}, Key: limitKey("a")}
	h.do(t, charging(short, long))
	h.pass(verify.ClockSlack)
	for range 2 {
		h.pass(30 * time.Second)
		if n, err := h.store.Purge(t.Context(), born, 1); n != 1 || err != nil {
			t.Errorf("a bite of 1: %d, %v", n, err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.store.Purge(canceled, born, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled purge: %v", err)
	}
}
