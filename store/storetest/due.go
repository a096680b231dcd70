package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// owe makes something due of each of a record's sends, the last first and the
// others an hour later; a zero time makes nothing due.
func owe(v *verify.Verification, at time.Time) {
	for i := range v.Sends {
		v.Sends[i].NextAt = at
		if i < len(v.Sends)-1 && !at.IsZero() {
			v.Sends[i].NextAt = at.Add(time.Hour)
		}
	}
}

// owing makes a verification to which something is owed.
func owing(id string, at time.Time) verify.Op {
	key := subjectKey("subject of %s", id)
	return verify.Op{Subject: key, Decide: func(now time.Time, _ *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		v := verification(id, key, now, 2)
		owe(v, at)
		return verify.Decision{Verification: v}, nil
	}}
}

// owed changes when something is owed to a verification.
func owed(id string, at time.Time) verify.Op {
	return verify.Op{ID: id, AnyApp: true, Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		owe(v, at)
		return verify.Decision{Verification: v}, nil
	}}
}

// due fails unless these are due, in this order.
func (h *harness) due(t fataler, limit int, want ...string) {
	t.Helper()
	got, err := h.store.Due(context.Background(), limit)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Due(%d) = %q, want %q", limit, got, want)
	}
}

func testDue(t *testing.T, h *harness) {
	h.due(t, 10)
	now := h.clock() // it is not at a whole microsecond
	h.do(t, start("never", subjectKey("s")))
	h.do(t, owing("later", now.Add(3*time.Minute)))
	h.do(t, owing("soon", now.Add(time.Minute).UTC()))
	h.do(t, owing("now", now))
	h.due(t, 10, "now")
	h.do(t, owing("long ago", now.Add(-24*time.Hour).In(time.FixedZone("ahead", 14*3600))))
	h.do(t, owing("just now", now.Add(-time.Microsecond).UTC()))
	h.do(t, owed("now", now.UTC()))
	for range 2 {
		h.due(t, 10, "long ago", "just now", "now")
		h.due(t, 2, "long ago", "just now")
		h.due(t, 1, "long ago")
		h.due(t, 0)
		h.due(t, -1)
		h.restart()
	}
	h.pass(time.Minute - time.Microsecond)
	h.due(t, 10, "long ago", "just now", "now")
	h.pass(time.Microsecond)
	h.due(t, 10, "long ago", "just now", "now", "soon")
	h.pass(2 * time.Minute)
	h.due(t, 10, "long ago", "just now", "now", "soon", "later")
	h.pass(-3*time.Minute - time.Microsecond) // a clock that is set back
	h.due(t, 10, "long ago", "just now")

	h.do(t, owing("as long ago", now.Add(-24*time.Hour)))
	got, err := h.store.Due(t.Context(), 2)
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"as long ago", "long ago"}) {
		t.Errorf("two that are due at one time: %q, %v", got, err)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := h.store.Due(dead, 2); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("Due with a dead context: %q, %v", got, err)
	}
}

// testDueNoLonger changes what is due in every way.
func testDueNoLonger(t *testing.T, h *harness) {
	now := h.clock()
	for i, id := range []string{"a", "b", "c"} {
		h.do(t, owing(id, now.Add(time.Duration(i-10)*time.Second)))
	}
	h.due(t, 10, "a", "b", "c")
	undone := owed("a", now.Add(time.Hour))
	inner := undone.Decide
	undone.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, _ := inner(now, s, v)
		return d, errDecide
	}
	h.failing(t, undone, errDecide)
	h.due(t, 10, "a", "b", "c")
	h.do(t, owed("a", now.Add(-time.Second))) // put off, and still due
	h.due(t, 10, "b", "c", "a")
	h.do(t, owed("b", now.Add(time.Microsecond)))
	h.due(t, 10, "c", "a")
	h.do(t, owed("c", time.Time{}))
	h.due(t, 10, "a")
	h.restart()
	h.due(t, 10, "a")
	h.do(t, owed("c", now)) // and once more
	h.due(t, 10, "a", "c")
	h.do(t, verify.Op{ID: "a", AnyApp: true, Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Verification: ended(v)}, nil // it has ended, and its texts have not
	}})
	h.due(t, 10, "a", "c")
	h.do(t, verify.Op{ID: "a", AnyApp: true, Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Sends = nil
		return verify.Decision{Verification: v}, nil
	}})
	h.due(t, 10, "c")
	h.pass(time.Microsecond)
	h.due(t, 10, "c", "b")
}

// claim takes a verification on for a minute, if something is due. Its result
// is whether it was.
func claim(id string) verify.Op {
	return verify.Op{ID: id, AnyApp: true, Decide: func(now time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if at := v.DueAt(); at.IsZero() || at.After(now) {
			return verify.Decision{Result: false}, nil
		}
		last := &v.Sends[len(v.Sends)-1]
		last.NextAt, last.Epoch = now.Add(time.Minute), last.Epoch+1
		return verify.Decision{Result: true, Verification: v}, nil
	}}
}

// testRaceOfClaims lets a crowd claim one row, several times: each time one of
// them gets it.
func testRaceOfClaims(t *testing.T, h *harness) {
	h.do(t, owing("a", h.clock()))
	epoch := h.look(t, "a").V.Sends[2].Epoch
	const rounds = 3
	for round := range rounds {
		h.due(t, 10, "a")
		var got atomic.Int32
		h.together(t, func(int) {
			result, err := h.store.Do(context.Background(), claim("a"))
			if err != nil {
				t.Error(err)
			} else if result == true {
				got.Add(1)
			}
		})
		if n := got.Load(); n != 1 {
			t.Fatalf("round %d: %d got it", round, n)
		}
		h.due(t, 10)
		h.pass(time.Minute)
	}
	if n := h.look(t, "a").V.Sends[2].Epoch - epoch; n != rounds {
		t.Errorf("it was claimed %d times, want %d", n, rounds)
	}
}

// testRaceOfWorkers lets workers do all that is due, as those of several
// services on one store do: each row falls to one of them, none is left, and
// nobody is sent to a row that is not due.
func testRaceOfWorkers(t *testing.T, h *harness) {
	const rows, workers = 100, 8
	for i := range rows {
		h.do(t, owing(fmt.Sprintf("v%d", i), h.clock().Add(-time.Duration(i)*time.Second)))
	}
	var claims [rows]atomic.Int32
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rows + 1 { // each look at something leaves less
				ids, err := h.store.Due(context.Background(), 7)
				if err != nil || len(ids) > 7 {
					t.Errorf("Due: %d rows, %v", len(ids), err)
				}
				if err != nil || len(ids) == 0 {
					return
				}
				for _, id := range ids {
					i, parseErr := strconv.Atoi(strings.TrimPrefix(id, "v"))
					result, err := h.store.Do(context.Background(), claim(id))
					if err := errors.Join(parseErr, err); err != nil {
						t.Errorf("%s: %v", id, err)
						return
					}
					if result == true {
						claims[i].Add(1)
					}
				}
			}
			t.Error("what was claimed is due again and again")
		})
	}
	wg.Wait()
	for i := range claims {
		if n := claims[i].Load(); n != 1 {
			t.Errorf("v%d was claimed %d times", i, n)
		}
	}
}

// testPurgeOwed keeps a verification while something is owed to it, but no
// longer than a day after its end.
func testPurgeOwed(t *testing.T, h *harness) {
	const day = 24 * time.Hour
	born := h.clock().Truncate(time.Microsecond)
	end := func(id string, at, next time.Time) {
		op := owing(id, next)
		inner := op.Decide
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := inner(now, s, v)
			d.Verification = ended(d.Verification)
			d.Verification.EndedAt = at
			return d, err
		}
		h.do(t, op)
	}
	ids := []string{"overdue", "due later", "due in a century", "settled later"}
	for i, next := range []time.Duration{-time.Hour, 2 * time.Hour, 100 * 365 * day, 2 * time.Hour} {
		end(ids[i], born, born.Add(next))
	}
	end("expiring", time.Time{}, born) // nobody has written down that it is over
	end("nothing owed", born, time.Time{})
	step := func(what string, before time.Time, want int) {
		t.Helper()
		if n := h.purge(t, before, 2); n != want {
			t.Errorf("%s: %d rows purged, want %d", what, n, want)
		}
	}
	h.pass(time.Microsecond)
	step("nothing is owed", h.clock(), 1)
	h.gone(t, "nothing owed")
	h.pass(2 * time.Hour)
	step("ended, and still owed", h.clock(), 0)
	h.do(t, owed("settled later", time.Time{}))
	step("settled meanwhile", h.clock(), 1)
	h.gone(t, "settled later")
	h.restart()
	h.pass(born.Add(day).Sub(h.clock().Truncate(time.Microsecond)))
	step("a day to the microsecond", h.clock(), 0)
	h.kept(t, ids[:3]...)
	h.pass(time.Microsecond)
	step("older than a day, and asked for older ones", born, 0)
	h.due(t, 10, "overdue", "expiring", "due later")
	step("older than a day", h.clock(), 3)
	h.gone(t, ids[:3]...)
	h.due(t, 10, "expiring")
	h.pass(life)
	step("and the one that expired later", h.clock(), 1)
	h.due(t, 10)
}

// testPurgeQuiet keeps a subject while anything of it is under way.
func testPurgeQuiet(t *testing.T, h *harness) {
	now := h.clock().UTC().Truncate(time.Microsecond)
	hold := func(send string, d time.Duration) verify.Hold {
		return verify.Hold{Send: send, Connector: "twilio", Until: now.Add(d)}
	}
	subjects := map[string]verify.Subject{
		"pending": {Pending: []verify.Pending{{ID: "a", ExpiresAt: now.Add(10 * time.Minute)}, {ID: "b", ExpiresAt: now.Add(5 * time.Minute)}}},
		"blocked": {BlockedUntil: now.Add(20 * time.Minute)},
		"held":    {Held: []verify.Hold{hold("a.1", 15*time.Minute), hold("b.1", 30*time.Minute), hold("c.1", time.Minute)}},
		"taken":   {Taken: []verify.Taken{{Send: "a.1", ProviderID: "SM1", At: now}}},
	}
	for name, s := range subjects {
		s.Key = subjectKey("%s", name)
		subjects[name] = s
		h.do(t, verify.Op{Subject: s.Key, Decide: decide(verify.Decision{Subject: abroad(s.Clone())})})
		same(t, name, h.peek(t, verify.Op{Subject: s.Key}).S, &s)
	}
	h.restart()
	for len(subjects) > 0 {
		next := ""
		for name, s := range subjects {
			if next == "" || s.Quiet().Before(now) {
				next, now = name, s.Quiet()
			}
		}
		h.pass(now.Sub(h.clock()) - time.Nanosecond)
		if n := h.purge(t, h.clock(), 10); n != 0 {
			t.Fatalf("%d rows purged before %s is quiet", n, next)
		}
		h.pass(time.Nanosecond)
		if n := h.purge(t, h.clock(), 10); n != 1 {
			t.Fatalf("%d rows purged, want the one of %s", n, next)
		}
		delete(subjects, next)
	}
}
