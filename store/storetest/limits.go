package storetest

import (
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

func charging(charges ...verify.Charge) verify.Op {
	return verify.Op{Subject: subjectKey("limits"), Decide: decide(verify.Decision{Charges: charges})}
}

func testPeriodLimits(t *testing.T, h *harness) {
	limit := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 3, Every: time.Minute}, Key: limitKey("l")}
	other := limit
	other.Key = limitKey("other")
	for range 3 {
		h.do(t, charging(limit))
	}
	h.limited(t, charging(limit), "l", time.Minute)
	h.do(t, charging(other)) // another key has its own
	h.restart()
	h.pass(time.Minute - time.Microsecond)
	h.limited(t, charging(limit), "l", time.Microsecond)
	h.pass(time.Microsecond)
	h.do(t, charging(limit))
	h.limited(t, charging(limit), "l", time.Minute)
	h.pass(150 * time.Second) // two and a half
	h.do(t, charging(limit))
	h.do(t, charging(limit))
	h.limited(t, charging(limit), "l", 30*time.Second)
	h.pass(time.Hour) // not more than the burst gathers
	for range 3 {
		h.do(t, charging(limit))
	}
	h.limited(t, charging(limit), "l", time.Minute)
	// A clock that is set back locks nobody out for longer than a full burst.
	h.pass(-24 * time.Hour)
	for waits := 0; ; waits++ {
		if _, err := h.store.Do(t.Context(), charging(limit)); err == nil {
			break
		} else if waits == 3 {
			t.Fatalf("after three periods: %v", err)
		}
		h.pass(time.Minute)
	}
	for range 5 {
		h.do(t, charging(verify.Charge{Key: limitKey("unlimited")}))
	}
}

func testDailyLimits(t *testing.T, h *harness) {
	limit := verify.Charge{Limit: verify.Limit{Name: "d", Burst: 2}, Key: limitKey("d")}
	h.do(t, charging(limit))
	h.do(t, charging(limit))
	now := h.clock().UTC().Truncate(time.Microsecond)
	// The day is UTC's, which is tomorrow already where the tests' clock is.
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC)
	h.limited(t, charging(limit), "d", midnight.Sub(now))
	h.pass(midnight.Sub(now) - time.Microsecond)
	h.restart()
	h.limited(t, charging(limit), "d", time.Microsecond)
	h.pass(time.Microsecond)
	h.do(t, charging(limit))
	h.do(t, charging(limit))
	h.limited(t, charging(limit), "d", 24*time.Hour)
}

func testSeveralLimits(t *testing.T, h *harness) {
	limit := func(name string, burst int, every time.Duration) verify.Charge {
		return verify.Charge{Limit: verify.Limit{Name: name, Burst: burst, Every: every}, Key: limitKey("%s", name)}
	}
	short, long, wide := limit("short", 1, time.Second), limit("long", 1, time.Hour), limit("wide", 5, time.Minute)
	h.do(t, charging(short, long, wide))
	h.limited(t, charging(wide, short, long), "long", time.Hour)
	h.limited(t, charging(wide, long, short), "long", time.Hour)
	h.limited(t, charging(wide, short), "short", time.Second)
	// No refusal has taken from the wide one: four are left, also in one go.
	h.limited(t, charging(wide, wide, wide, wide, wide), "wide", time.Minute)
	h.do(t, charging(wide, wide, wide, wide))
	h.limited(t, charging(wide), "wide", time.Minute)
}

func testRefunds(t *testing.T, h *harness) {
	period := verify.Charge{Limit: verify.Limit{Name: "p", Burst: 2, Every: time.Minute}, Key: limitKey("p")}
	daily := verify.Charge{Limit: verify.Limit{Name: "d", Burst: 2}, Key: limitKey("d")}
	both := charging(period, daily)
	refund := verify.Op{Subject: subjectKey("s"), Decide: decide(verify.Decision{Refunds: []verify.Charge{period, daily, {}}})}
	h.do(t, refund) // of what was never taken: nothing is gained
	h.do(t, both)
	h.do(t, both)
	h.limited(t, charging(period), "p", time.Minute)
	h.do(t, refund)
	h.restart()
	h.do(t, both)
	h.limited(t, charging(period), "p", time.Minute)
	for range 5 {
		h.do(t, refund)
	}
	h.do(t, both)
	h.do(t, both)
	h.limited(t, charging(period), "p", time.Minute)

	clearing := verify.Decision{Clear: []verify.LimitKey{period.Key, daily.Key, limitKey("nothing")}}
	h.do(t, verify.Op{Subject: subjectKey("s"), Decide: decide(clearing)})
	h.restart()
	h.do(t, both)
	h.do(t, both)
	h.limited(t, charging(period), "p", time.Minute)
	// Clearing comes before charging.
	clearing.Charges = []verify.Charge{period, daily, period, daily}
	h.do(t, verify.Op{Subject: subjectKey("s"), Decide: decide(clearing)})
	h.limited(t, charging(period), "p", time.Minute)
}

// testMidnight lets operations that were given their time before midnight come
// after others of the day that has begun, as those do that had to wait for a row:
// the old day has no more left for them than it had.
func testMidnight(t *testing.T, h *harness) {
	day := verify.Charge{Limit: verify.Limit{Name: "day", Burst: 20}, Key: limitKey("midnight day")}
	other := verify.Charge{Limit: verify.Limit{Name: "other", Burst: 1000, Every: time.Millisecond}, Key: limitKey("midnight other")}
	now := h.clock().UTC()
	h.pass(time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC).Sub(now) - 100*time.Millisecond)
	passed := func() (n int) {
		for range 2 * day.Limit.Burst {
			if _, err := h.store.Do(t.Context(), charging(day)); err == nil {
				n++
			}
		}
		return n
	}
	before := passed()
	h.pass(400 * time.Millisecond)
	h.do(t, charging(other)) // writes the row in which the day is counted
	h.purge(t, h.clock(), 100)
	h.pass(-400 * time.Millisecond)
	late := passed()
	h.pass(400 * time.Millisecond)
	if after := passed(); before != 20 || late != 0 || after != 20 {
		t.Errorf("%d before midnight, %d by those who were late, %d after; want 20, 0, 20", before, late, after)
	}
}

// testLimitsOfOnePlace charges, clears and outlives counters that a store keeps
// in one row.
func testLimitsOfOnePlace(t *testing.T, h *harness) {
	charge := func(name string, every time.Duration) verify.Charge {
		return verify.Charge{Limit: verify.Limit{Name: name, Burst: 1, Every: every}, Key: limitKey("neighbor %s", name)}
	}
	short, long, last := charge("short", time.Minute), charge("long", time.Hour), charge("last", 3*time.Hour)
	if short.Key.Place() != last.Key.Place() {
		t.Fatal("the counters are of different places")
	}
	h.do(t, charging(short, long))
	h.do(t, charging(last))
	h.restart()
	forget := func(c verify.Charge) {
		t.Helper()
		h.do(t, verify.Op{Subject: subjectKey("limits"), Decide: decide(verify.Decision{Clear: []verify.LimitKey{c.Key}})})
	}
	forget(long)
	h.limited(t, charging(long, short), "short", time.Minute) // and nothing is taken from the other
	h.do(t, charging(long))
	h.limited(t, charging(long), "long", time.Hour)
	h.limited(t, charging(last), "last", 3*time.Hour)
	h.pass(time.Hour)
	if n := h.purge(t, h.clock(), 100); n != 0 {
		t.Errorf("%d rows are purged while one of their counters counts", n)
	}
	h.do(t, charging(short, long)) // whether or not what was over is still there
	h.restart()
	h.limited(t, charging(short), "short", time.Minute)
	h.limited(t, charging(last), "last", 2*time.Hour)
	forget(short)
	forget(long)
	forget(last)
	h.pass(24 * time.Hour)
	if n := h.purge(t, h.clock(), 100); n != 0 {
		t.Errorf("%d rows are purged, though every counter was cleared", n)
	}
	h.do(t, charging(short, long, last))
	h.pass(3*time.Hour + verify.ClockSlack)
	if n := h.purge(t, h.clock(), 100); n != 1 {
		t.Errorf("%d rows are purged, want the one that holds all three", n)
	}
}
