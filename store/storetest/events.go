package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

const eventLease = time.Minute

// tell is an operation that adds events, each written as key/name.
func tell(app string, names ...string) verify.Op {
	return verify.Op{Subject: subjectKey("teller"), Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		var d verify.Decision
		for _, name := range names {
			key, _, _ := strings.Cut(name, "/")
			d.Events = append(d.Events, verify.Event{
				ID: name, App: app, Type: verify.EventDelivered, Key: key, Payload: []byte(`{"of":"` + name + "\"}\x00\xff"),
			})
		}
		return d, nil
	}}
}

func (h *harness) outbox(t fataler) verify.Outbox {
	t.Helper()
	o, ok := h.store.(verify.Outbox)
	if !ok {
		t.Fatalf("the store is no verify.Outbox")
	}
	return o
}

// claimEvents fails unless these are claimed, in any order.
func (h *harness) claimEvents(t fataler, app string, limit int, want ...string) map[string]verify.Event {
	t.Helper()
	claimed, err := h.outbox(t).ClaimEvents(context.Background(), app, limit, eventLease)
	if err != nil {
		t.Fatalf("ClaimEvents: %v", err)
	}
	got := map[string]verify.Event{}
	for _, e := range claimed {
		got[e.ID] = e
	}
	slices.Sort(want)
	if ids := sortedIDs(claimed); !slices.Equal(ids, want) {
		t.Fatalf("ClaimEvents(%s, %d) = %q, want %q", app, limit, ids, want)
	}
	return got
}

func sortedIDs(events []verify.Event) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}

// settle ends a claim and fails unless that is what the store says.
func (h *harness) settle(t fataler, r verify.EventResult, want bool) {
	t.Helper()
	if got, err := h.outbox(t).SettleEvent(context.Background(), r); err != nil || got != want {
		t.Fatalf("SettleEvent(%s) = %t, %v; want %t", r.ID, got, err, want)
	}
}

func done(e verify.Event) verify.EventResult { return verify.EventResult{Event: e, Done: true} }

// oldest fails unless these are the oldest events.
func (h *harness) oldest(t fataler, limit int, want ...string) {
	t.Helper()
	events, err := h.outbox(t).OldestEvents(context.Background(), limit)
	var ids []string
	for _, e := range events {
		ids = append(ids, e.ID)
		if e.Payload != nil {
			t.Fatalf("%s comes with its payload", e.ID)
		}
	}
	if err != nil || !slices.Equal(ids, want) {
		t.Fatalf("OldestEvents(%d) = %q, %v; want %q", limit, ids, err, want)
	}
}

func testEvents(t *testing.T, h *harness) {
	h.claimEvents(t, "shop", 10)
	h.oldest(t, 10)
	h.do(t, tell("shop", "a/1", "a/2", "b/1"))
	born := h.clock().UTC().Truncate(time.Microsecond)
	h.do(t, tell("other", "c/1"))
	h.restart()
	h.claimEvents(t, "nobody", 10)
	h.claimEvents(t, "shop", 0)
	h.claimEvents(t, "shop", -1)
	h.oldest(t, 3, "a/1", "a/2", "b/1")
	h.pass(time.Second)
	got := h.claimEvents(t, "shop", 10, "a/1", "b/1")
	a := got["a/1"]
	same(t, "the event", a, verify.Event{
		Seq: a.Seq, ID: "a/1", App: "shop", Type: verify.EventDelivered, Key: "a", CreatedAt: born, Payload: []byte("{\"of\":\"a/1\"}\x00\xff"), Tries: 1, Epoch: a.Epoch,
	})
	h.claimEvents(t, "shop", 10) // leased
	h.claimEvents(t, "other", 10, "c/1")
	h.settle(t, done(got["b/1"]), true)
	h.settle(t, done(got["b/1"]), false) // the answer was lost
	h.claimEvents(t, "shop", 10)
	// Put off: the next one of its key waits along.
	h.settle(t, verify.EventResult{Event: a, After: time.Hour, Tries: 7}, true)
	h.restart()
	h.pass(time.Hour - time.Microsecond)
	h.claimEvents(t, "shop", 10)
	h.pass(time.Microsecond)
	again := h.claimEvents(t, "shop", 10, "a/1")["a/1"]
	if again.Tries != 8 || again.Epoch == a.Epoch || again.Seq != a.Seq {
		t.Errorf("claimed again: %+v after %+v", again, a)
	}
	h.settle(t, done(a), false) // of a claim that is over
	h.settle(t, done(again), true)
	h.do(t, tell("shop", "a/3"))
	second := h.claimEvents(t, "shop", 10, "a/2")["a/2"]
	if second.Seq <= a.Seq {
		t.Errorf("the second one has seq %d, the first %d", second.Seq, a.Seq)
	}
	h.settle(t, done(second), true)
	h.claimEvents(t, "shop", 10, "a/3")
	// A claim whose holder is gone comes to an end.
	h.pass(eventLease)
	third := h.claimEvents(t, "shop", 10, "a/3")["a/3"]
	h.settle(t, done(third), true)
	h.oldest(t, 10, "c/1")
	h.do(t, tell("shop", "a/4"))
	if fourth := h.claimEvents(t, "shop", 10, "a/4")["a/4"]; fourth.Seq <= third.Seq {
		t.Errorf("the number of an event that is gone was used again: %d after %d", fourth.Seq, third.Seq)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := h.outbox(t).OldestEvents(dead, 10); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("OldestEvents with a dead context: %v, %v", got, err)
	}
	if got, err := h.outbox(t).ClaimEvents(dead, "shop", 10, eventLease); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("ClaimEvents with a dead context: %v, %v", got, err)
	}
}

// testEventsLongestDue hands out what is due for longest, a few at a time.
func testEventsLongestDue(t *testing.T, h *harness) {
	for _, name := range []string{"a/1", "b/1", "c/1", "d/1"} {
		h.do(t, tell("shop", name))
		h.pass(time.Second)
	}
	first := h.claimEvents(t, "shop", 2, "a/1", "b/1")
	h.settle(t, verify.EventResult{Event: first["a/1"], After: 0, Tries: 0}, true) // released
	h.claimEvents(t, "shop", 2, "c/1", "d/1")
	if e := h.claimEvents(t, "shop", 2, "a/1")["a/1"]; e.Tries != 1 {
		t.Errorf("a claim that was released counts: %d tries", e.Tries)
	}
}

// testEventsUndone adds events only with what they tell.
func testEventsUndone(t *testing.T, h *harness) {
	failing := tell("shop", "a/1")
	inner := failing.Decide
	failing.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, _ := inner(now, s, v)
		return d, errDecide
	}
	h.failing(t, failing, errDecide)
	limit := verify.Limit{Name: "once", Burst: 1, Every: time.Hour}
	limited := tell("shop", "b/1")
	inside := limited.Decide
	limited.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, err := inside(now, s, v)
		d.Charges = []verify.Charge{{Limit: limit, Key: limitKey("once")}}
		return d, err
	}
	h.do(t, limited)
	h.limited(t, limited, "once", time.Hour)
	repeated := tell("shop", "c/1")
	repeated.Idem = &verify.Idem{Key: mac("k"), Body: mac("b")}
	h.do(t, repeated)
	h.do(t, repeated)
	h.oldest(t, 10, "b/1", "c/1")
	h.claimEvents(t, "shop", 10, "b/1", "c/1")
}

// testEventsTooOld deletes events that nobody has claimed, the first of a key, one
// behind it and one whose claim is meanwhile another.
func testEventsTooOld(t *testing.T, h *harness) {
	h.do(t, tell("shop", "a/1", "a/2", "a/3", "b/1"))
	old, err := h.outbox(t).OldestEvents(t.Context(), 10)
	if err != nil || len(old) != 4 {
		t.Fatalf("%d events, %v", len(old), err)
	}
	h.settle(t, done(old[1]), true) // a/2, behind another
	h.oldest(t, 10, "a/1", "a/3", "b/1")
	h.settle(t, done(old[0]), true)
	claimed := h.claimEvents(t, "shop", 10, "a/3", "b/1")
	h.settle(t, done(old[3]), false) // somebody has it
	h.settle(t, done(claimed["b/1"]), true)
	h.settle(t, done(claimed["a/3"]), true)
	h.oldest(t, 10)
}

// testEventsOfAFastClock hands out what a clock that was ahead has put off, but
// after the rest.
func testEventsOfAFastClock(t *testing.T, h *harness) {
	h.pass(1000 * time.Hour)
	h.do(t, tell("shop", "ahead/1"))
	h.pass(-1000 * time.Hour)
	h.do(t, tell("shop", "now/1"))
	h.claimEvents(t, "shop", 1, "now/1")
	h.claimEvents(t, "shop", 10, "ahead/1")
	h.claimEvents(t, "shop", 10)
	h.pass(eventLease)
	got := h.claimEvents(t, "shop", 10, "ahead/1", "now/1")
	h.settle(t, verify.EventResult{Event: got["now/1"], After: verify.EventWait}, true)
	h.pass(eventLease)
	h.claimEvents(t, "shop", 10, "ahead/1")
}

// testRaceOfEventClaims lets a crowd claim: each event falls to one of them.
func testRaceOfEventClaims(t *testing.T, h *harness) {
	const events = 20
	for i := range events {
		h.do(t, tell("shop", fmt.Sprintf("k%d/1", i)))
	}
	var mu sync.Mutex
	got := map[string]int{}
	out := h.outbox(t)
	h.together(t, func(int) {
		claimed, err := out.ClaimEvents(context.Background(), "shop", 3, eventLease)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range claimed {
			got[e.ID]++
		}
	})
	for len(got) < events { // a crowd may be too small for all
		claimed, err := out.ClaimEvents(context.Background(), "shop", 3, eventLease)
		if err != nil || len(claimed) == 0 {
			t.Fatalf("%d of %d events, %v", len(got), events, err)
		}
		for _, e := range claimed {
			got[e.ID]++
		}
	}
	for id, n := range got {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}

// testRaceOfEvents adds events while others deliver: each key's come in turn,
// each once, and none is left behind.
func testRaceOfEvents(t *testing.T, h *harness) {
	const keys, each, workers = 6, 12, 4
	out := h.outbox(t)
	var mu sync.Mutex
	got := map[string][]string{}
	deliver := func() int {
		claimed, err := out.ClaimEvents(context.Background(), "shop", 3, eventLease)
		if err != nil {
			t.Error(err)
		}
		for _, e := range claimed {
			mu.Lock()
			got[e.Key] = append(got[e.Key], e.ID)
			mu.Unlock()
			if ok, err := out.SettleEvent(context.Background(), done(e)); err != nil || !ok {
				t.Errorf("settle %s: %t, %v", e.ID, ok, err)
			}
		}
		return len(claimed)
	}
	var writers, readers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			for i := range each {
				if _, err := h.store.Do(context.Background(), ofKey(k, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	for range workers {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					deliver()
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	for deliver() > 0 { // until nothing is due
	}
	for k := range keys {
		var want []string
		for i := range each {
			want = append(want, fmt.Sprintf("k%d/%d", k, i))
		}
		if key := fmt.Sprintf("k%d", k); !slices.Equal(got[key], want) {
			t.Errorf("key %s: %q", key, got[key])
		}
	}
	h.oldest(t, 10)
}

// ofKey adds one event, each key by a subject of its own, as verifications do.
func ofKey(k, i int) verify.Op {
	op := tell("shop", fmt.Sprintf("k%d/%d", k, i))
	op.Subject = subjectKey("teller %d", k)
	return op
}
