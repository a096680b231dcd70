package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// guardOf is a guard, and guarding the row that closes it.
func guardOf(name string) verify.Charge {
	return verify.Charge{Limit: verify.Limit{Name: name, Burst: 1}, Key: limitKey("guard %s", name), Guard: true}
}

func guarding(name string, until time.Time) verify.LimitRow {
	return verify.LimitRow{Key: guardOf(name).Key, Value: until.UnixMicro(), ExpiresAt: until}
}

func setting(rows ...verify.LimitRow) verify.Op {
	return verify.Op{Subject: subjectKey("setting"), Decide: decide(verify.Decision{Set: rows})}
}

func testGuards(t *testing.T, h *harness) {
	guard, until := guardOf("g"), h.clock().Truncate(time.Microsecond).Add(time.Hour)
	one := verify.Charge{Limit: verify.Limit{Name: "one", Burst: 1, Every: time.Minute}, Key: limitKey("one")}
	for range 3 { // more often than its burst: nobody takes anything
		h.do(t, charging(guard))
	}
	if n := h.purge(t, h.clock(), 10); n != 0 {
		t.Errorf("asking a guard wrote %d rows", n)
	}
	h.do(t, setting(guarding("g", until)))
	for _, passed := range []time.Duration{0, 59 * time.Minute, time.Minute - 2*time.Microsecond, time.Microsecond} {
		h.pass(passed)
		left := until.Sub(h.clock().Truncate(time.Microsecond))
		h.limited(t, charging(guard), "g", left)
		h.limited(t, charging(guard, one), "g", left)
		h.limited(t, charging(one, guard), "g", left)
		h.do(t, charging(guardOf("another")))
		if n := h.purge(t, h.clock(), 10); n != 0 {
			t.Errorf("%s before its end: %d rows purged", left, n)
		}
		h.restart()
	}
	h.pass(time.Microsecond)
	h.do(t, charging(guard))
	h.do(t, charging(guard, one)) // no refusal has taken it
	h.limited(t, charging(guard, one), "one", time.Minute)
	if n := h.purge(t, h.clock(), 10); n != 1 {
		t.Errorf("%d rows purged, want the guard's", n)
	}
	h.do(t, charging(guard))
}

func testSet(t *testing.T, h *harness) {
	now := h.clock().Truncate(time.Microsecond)
	guard := guardOf("g")
	h.do(t, setting(guarding("g", now.Add(time.Hour)), guarding("other", now.Add(time.Minute))))
	h.do(t, setting(guarding("g", now.Add(2*time.Hour))))
	h.limited(t, charging(guard), "g", 2*time.Hour)
	h.do(t, setting(guarding("g", now.Add(time.Second)))) // a shorter one counts too
	h.limited(t, charging(guard), "g", time.Second)
	h.limited(t, charging(guardOf("other")), "other", time.Minute)

	set := func(until time.Duration, cleared bool, charges ...verify.Charge) verify.Op {
		d := verify.Decision{Set: []verify.LimitRow{guarding("g", now.Add(until))}, Charges: charges}
		if cleared {
			d.Clear = []verify.LimitKey{guard.Key}
		}
		return verify.Op{Subject: subjectKey("s"), Decide: decide(d)}
	}
	h.do(t, verify.Op{Subject: subjectKey("s"), Decide: decide(verify.Decision{Clear: []verify.LimitKey{guard.Key}})})
	h.restart()
	h.do(t, charging(guard))
	h.limited(t, set(time.Hour, false, guard), "g", time.Hour) // it sees its own row, and is undone
	h.do(t, charging(guard))
	failing := set(time.Hour, false)
	failing.Decide = func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Set: []verify.LimitRow{guarding("g", now.Add(time.Hour))}}, errDecide
	}
	h.failing(t, failing, errDecide)
	h.do(t, charging(guard))
	h.do(t, set(time.Hour, true)) // clearing comes before setting
	h.restart()
	h.limited(t, charging(guard), "g", time.Hour)

	// A row of a limit that counts is written as it is, too.
	limit := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 3, Every: time.Minute}, Key: limitKey("l")}
	h.do(t, setting(verify.LimitRow{Key: limit.Key, Value: now.Add(2 * time.Minute).UnixMicro(), ExpiresAt: now.Add(2 * time.Minute)}))
	h.do(t, charging(limit))
	h.limited(t, charging(limit), "l", time.Minute)
	h.do(t, verify.Op{Subject: subjectKey("s"), Decide: decide(verify.Decision{Set: []verify.LimitRow{{Key: limit.Key, ExpiresAt: now}}})})
	h.do(t, charging(limit, limit, limit)) // nothing was counted

	h.pass(time.Hour)
	if n := h.purge(t, h.clock(), 10); n != 3 { // both guards and the limit
		t.Errorf("%d rows purged, want 3", n)
	}
}

// testRaceOnGuard lets one of a crowd close a guard that the others ask: whoever
// comes after it is refused, also within one batch, and whoever came before is
// not.
func testRaceOnGuard(t *testing.T, h *harness) {
	const closer = crowd / 3
	until := h.clock().Truncate(time.Microsecond).Add(time.Hour)
	var turn atomic.Int32
	var turns [crowd]int32
	var refused [crowd]bool
	h.together(t, func(i int) {
		_, err := h.store.Do(context.Background(), verify.Op{Subject: subjectKey("s"),
			Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
				turns[i] = turn.Add(1)
				if i == closer {
					return verify.Decision{Set: []verify.LimitRow{guarding("g", until)}}, nil
				}
				return verify.Decision{Charges: []verify.Charge{guardOf("g")}}, nil
			}})
		var limit *verify.LimitError
		if refused[i] = errors.As(err, &limit); err != nil && !refused[i] {
			t.Error(err)
		}
	})
	for i, r := range refused {
		if late := turns[i] > turns[closer]; r != late {
			t.Errorf("turn %d is refused: %t; the guard was closed in turn %d", turns[i], r, turns[closer])
		}
	}
	h.limited(t, charging(guardOf("g")), "g", until.Sub(h.clock().Truncate(time.Microsecond)))
}
