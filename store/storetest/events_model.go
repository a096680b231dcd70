package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/verify"
)

// modelEvent is an event of the model.
type modelEvent struct {
	verify.Event
	due time.Time // zero while an older one of its key is there
}

// eventModel is an outbox as a list, the oldest first. Each run has an app of its
// own.
type eventModel struct {
	h      *harness
	app    string
	n      int
	all    []*modelEvent
	claims []verify.Event
}

// testEventsModel makes random calls on the store and on the model.
func testEventsModel(t *testing.T, h *harness) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := &eventModel{h: h, app: fmt.Sprintf("app%d", round)}
		rt.Repeat(map[string]func(*rapid.T){
			"tell": m.tell, "claim": m.claim, "settle": m.settle,
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 19).Draw(rt, "restarts") == 0 { // each takes its time
					h.restart()
				}
			},
			"time passes": func(rt *rapid.T) {
				h.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, eventLease, time.Hour, -time.Second}).Draw(rt, "time"))
			},
		})
	})
}

func (m *eventModel) now() time.Time { return m.h.clock().UTC().Truncate(time.Microsecond) }

// head is the oldest event of a key, or nil.
func (m *eventModel) head(key string) *modelEvent {
	i := slices.IndexFunc(m.all, func(e *modelEvent) bool { return e.Key == key })
	if i < 0 {
		return nil
	}
	return m.all[i]
}

func (m *eventModel) tell(t *rapid.T) {
	var names []string
	for range rapid.IntRange(1, 3).Draw(t, "events") {
		m.n++
		key := fmt.Sprintf("%s-%d", m.app, rapid.IntRange(0, 3).Draw(t, "key"))
		e := &modelEvent{Event: verify.Event{ID: fmt.Sprintf("%s/%d", key, m.n), Key: key}}
		if m.head(key) == nil {
			e.due = m.now()
		}
		m.all = append(m.all, e)
		names = append(names, e.ID)
	}
	m.h.do(t, tell(m.app, names...))
}

func (m *eventModel) claim(t *rapid.T) {
	limit := rapid.IntRange(0, 4).Draw(t, "limit")
	var due []*modelEvent
	for _, e := range m.all {
		if !e.due.IsZero() && !e.due.After(m.now()) {
			due = append(due, e)
		}
	}
	slices.SortStableFunc(due, func(a, b *modelEvent) int { return a.due.Compare(b.due) })
	due = due[:min(len(due), limit)]
	var want []string
	for _, e := range due {
		want = append(want, e.ID)
	}
	got := m.h.claimEvents(t, m.app, limit, want...)
	for _, e := range due {
		e.due = m.now().Add(eventLease)
		if e.Tries++; got[e.ID].Tries != e.Tries {
			t.Fatalf("%s has %d tries, want %d", e.ID, got[e.ID].Tries, e.Tries)
		}
		e.Epoch = got[e.ID].Epoch
		m.claims = append(m.claims, got[e.ID])
	}
}

func (m *eventModel) settle(t *rapid.T) {
	if len(m.claims) == 0 {
		t.Skip()
	}
	r := verify.EventResult{
		Event: rapid.SampledFrom(m.claims).Draw(t, "claim"), Done: rapid.Bool().Draw(t, "done"),
		After: rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(t, "after"), Tries: rapid.IntRange(0, 9).Draw(t, "tries"),
	}
	i := slices.IndexFunc(m.all, func(e *modelEvent) bool { return e.ID == r.ID && e.Epoch == r.Epoch })
	m.h.settle(t, r, i >= 0)
	switch {
	case i < 0:
	case !r.Done:
		m.all[i].due, m.all[i].Tries = m.now().Add(r.After), r.Tries
	default:
		m.all = slices.Delete(m.all, i, i+1)
		if next := m.head(r.Key); next != nil && next.due.IsZero() {
			next.due = m.now()
		}
	}
}
