package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/verify"
)

// testModel makes random calls on the store and on the model and compares
// whatever comes out.
func testModel(t *testing.T, h *harness) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		// What an earlier round left would be found by this one's purges and be
		// due to it.
		h.pass(40 * 24 * time.Hour)
		h.purge(rt, h.clock(), 1000)
		m := &machine{h: h, model: newModel(), round: round, guard: guardOf(fmt.Sprintf("g/%d", round))}
		for _, name := range []string{"p2", "p3", "d2"} {
			limit := verify.Limit{Name: name, Burst: int(name[1] - '0'), Every: time.Minute}
			if name[0] == 'd' {
				limit.Every = 0
			}
			m.charges = append(m.charges, verify.Charge{Limit: limit, Key: limitKey("%07d%s", round, name)}) // p2 and p3 share a place
		}
		m.all = append(slices.Clone(m.charges), m.guard)
		rt.Repeat(map[string]func(*rapid.T){
			"":             m.compare,
			"on a subject": m.onSubject,
			"on an id":     m.onID,
			"time passes":  m.timePasses,
			"purge":        m.purge,
			"restart":      m.restart,
			"what is due":  m.whatIsDue,
		})
	})
}

type machine struct {
	h       *harness
	model   *model
	round   int
	made    int
	ids     []string
	charges []verify.Charge // of limits
	guard   verify.Charge
	all     []verify.Charge
}

func (m *machine) now() time.Time { return m.h.clock().UTC().Truncate(time.Microsecond) }

func (m *machine) timePasses(t *rapid.T) {
	m.h.pass(rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Second, 30 * time.Second, time.Minute, life - time.Microsecond, life, 23 * time.Hour, 24 * time.Hour,
	}).Draw(t, "time"))
}

func (m *machine) purge(t *rapid.T) {
	before := m.now().Add(-rapid.SampledFrom([]time.Duration{-time.Hour, 0, time.Minute, life, 24 * time.Hour}).Draw(t, "age"))
	m.h.purge(t, before, rapid.IntRange(1, 50).Draw(t, "bite"))
	m.model.purge(before, m.now())
}

func (m *machine) restart(t *rapid.T) {
	if rapid.IntRange(0, 19).Draw(t, "restart") == 0 { // it is slow
		m.h.restart()
	}
}

func (m *machine) compare(t *rapid.T) {
	for _, id := range m.ids {
		got, err := m.h.store.Get(t.Context(), id)
		want := m.model.verification(id)
		if want == nil && !errors.Is(err, verify.ErrNotFound) || want != nil && err != nil {
			t.Fatalf("Get(%s): %v; the model has %v", id, err, want)
		}
		same(t, "Get", got, want)
	}
}

// whatIsDue asks for some of what is due. Those that are due at one time may come
// in any order.
func (m *machine) whatIsDue(t *rapid.T) {
	limit := rapid.SampledFrom([]int{1, 2, 3, 100}).Draw(t, "limit")
	ids, err := m.h.store.Due(t.Context(), limit)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	var times []time.Time
	for _, id := range ids {
		v, ok := m.model.verifications[id]
		if !ok {
			t.Fatalf("%s is due, and is not there", id)
		}
		times = append(times, v.due)
	}
	want := m.model.dueTimes(m.now())
	same(t, "when they are due", times, want[:min(len(want), limit)])
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != len(times) {
		t.Fatalf("%d of %d are due twice", len(times)-n, len(times))
	}
}

func (m *machine) key(t *rapid.T) verify.SubjectKey {
	return subjectKey("s%d/%d", rapid.IntRange(1, 2).Draw(t, "subject"), m.round)
}

func (m *machine) onSubject(t *rapid.T) {
	op := verify.Op{Subject: m.key(t)}
	if len(m.ids) > 0 && rapid.Bool().Draw(t, "has a session") {
		op.Session = mac("session of %s", rapid.SampledFrom(m.ids).Draw(t, "session"))
	}
	m.run(t, op)
}

func (m *machine) onID(t *rapid.T) {
	id := rapid.SampledFrom(append([]string{"nobody"}, m.ids...)).Draw(t, "id")
	op := verify.Op{ID: id, App: appOf(id)}
	if rapid.IntRange(0, 9).Draw(t, "another app's") == 0 {
		op.App = "another"
	}
	m.run(t, op)
}

// run does an operation on both sides.
func (m *machine) run(t *rapid.T, op verify.Op) {
	p := m.plan(t, &op)
	var got *seen
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		got = &seen{now, s.Clone(), v.Clone()}
		return p.decide(now, s, v)
	}
	result, err := m.h.store.Do(t.Context(), op)

	if handled := m.replays(t, op, result, err); handled {
		if got != nil {
			t.Fatalf("an operation that was done before ran again")
		}
		return
	}
	want, ok := m.handed(op)
	if !ok {
		if !errors.Is(err, verify.ErrNotFound) || got != nil {
			t.Fatalf("on nothing: %v, ran: %t", err, got != nil)
		}
		return
	}
	if got == nil {
		t.Fatalf("the operation did not run: %v", err)
	}
	same(t, "the operation was handed", *got, want)
	if p.fate != "done" {
		if err == nil || p.fate == "error" && !errors.Is(err, errDecide) {
			t.Fatalf("%s: %v", p.fate, err)
		}
		return
	}
	if name, wait := m.refused(p); wait > 0 {
		var limit *verify.LimitError
		if !errors.As(err, &limit) || limit.Name != name || limit.RetryAfter != wait {
			t.Fatalf("%v; the model: limit %s for %s", err, name, wait)
		}
		return
	}
	if err != nil || result != "done" {
		t.Fatalf("Do = %v, %v", result, err)
	}
	m.commit(op, p, want)
}

// replays tells whether the idempotency key answers, and checks the answer.
func (m *machine) replays(t *rapid.T, op verify.Op, result any, err error) bool {
	if op.Idem == nil {
		return false
	}
	kept, ok := m.model.idems[op.Idem.Key]
	switch {
	case !ok || !m.now().Before(kept.made.Add(24*time.Hour)):
		return false
	case kept.body != op.Idem.Body || op.ID != "" && op.ID != kept.ID:
		if !errors.Is(err, verify.ErrIdemMismatch) {
			t.Fatalf("another body or id: %v", err)
		}
	case kept.OpenUntil.After(m.now()):
		if !errors.Is(err, verify.ErrInFlight) {
			t.Fatalf("in flight: %v", err)
		}
	default:
		if err != nil {
			t.Fatalf("a replay: %v", err)
		}
		same(t, "the replay", result, &verify.Replayed{IdemState: kept.IdemState, Verification: m.model.verification(kept.ID), Now: m.now()})
	}
	return true
}

// handed is what the operation should see; ok is false when it should not run.
func (m *machine) handed(op verify.Op) (want seen, ok bool) {
	want.Now = m.now()
	if op.ID != "" {
		want.V = m.model.verification(op.ID)
		if want.V == nil || op.App != appOf(op.ID) {
			return want, false
		}
		want.S = m.model.subject(want.V.Subject, want.Now)
		return want, true
	}
	want.S = m.model.subject(op.Subject, want.Now)
	for _, p := range want.S.Pending {
		if op.Session != (verify.MAC{}) && p.Session == op.Session {
			want.V = m.model.verification(p.ID)
		}
	}
	return want, true
}

// happen returns the limits' events as they are after the plan's clears and
// refunds and its first n charges.
func (m *machine) happen(p plan, n int) map[verify.LimitKey][]event {
	events := map[verify.LimitKey][]event{}
	for k, e := range m.model.events {
		events[k] = slices.Clone(e)
	}
	for _, k := range p.clears {
		events[k] = append(events[k], event{at: m.now(), what: cleared})
	}
	if !p.closes.IsZero() {
		events[p.guard] = append(events[p.guard], event{at: m.now(), what: closed, of: p.closes})
	}
	for _, c := range p.refunds {
		of := c.At
		if of.IsZero() {
			of = m.now()
		}
		events[c.Key] = append(events[c.Key], event{at: m.now(), what: refunded, of: of})
	}
	for _, c := range p.charges[:n] {
		if !c.Guard && wait(c, events[c.Key], m.now()) == 0 {
			events[c.Key] = append(events[c.Key], event{at: m.now(), what: taken})
		}
	}
	return events
}

// refused is the limit that refuses the plan for longest; no wait is none.
func (m *machine) refused(p plan) (name string, longest time.Duration) {
	for i, c := range p.charges {
		if w := wait(c, m.happen(p, i)[c.Key], m.now()); w > longest {
			name, longest = c.Limit.Name, w
		}
	}
	return name, longest
}

// commit does to the model what the operation did to the store.
func (m *machine) commit(op verify.Op, p plan, was seen) {
	now := m.now()
	m.model.events = m.happen(p, len(p.charges))
	if p.makes != "" {
		m.model.verifications[p.makes] = &modelVerification{key: was.S.Key, born: now, due: p.due(now)}
		was.S.Pending = append(was.S.Pending, verify.Pending{ID: p.makes, Session: mac("session of %s", p.makes), ExpiresAt: now.Add(life)})
	} else if p.revises && was.V != nil {
		v := m.model.verifications[was.V.ID]
		v.rev++
		v.due = p.due(now)
		if p.ends || !v.ended.IsZero() {
			v.ended = now
		}
	}
	if p.makes != "" || p.fails >= 0 {
		s := &modelSubject{failures: was.S.Failures, failed: was.S.FailedAt, pending: was.S.Pending}
		if p.fails > 0 {
			s.failures, s.failed = s.failures+1, now
		}
		m.model.subjects[was.S.Key] = s
	}
	if op.Idem != nil {
		m.model.idems[op.Idem.Key] = &modelIdem{IdemState: p.idem, body: op.Idem.Body, made: now}
	}
	if p.settles != nil {
		if kept, ok := m.model.idems[p.settles.Key]; ok {
			kept.IdemState = p.settles.IdemState
		}
	}
}
