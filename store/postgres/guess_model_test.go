package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// told is what an operation was handed.
type told struct {
	Now time.Time
	S   *verify.Subject
	V   *verify.Verification
}

// telling lets an operation return what it was handed, then decides.
func telling(op verify.Op, decide func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error)) verify.Op {
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		was := told{now, s.Clone(), v.Clone()}
		d, err := decide(now, s, v)
		d.Result = was
		return d, err
	}
	return op
}

// TestNoStoreDecidesOnWhatWas makes random calls, each by one of three stores on
// one database and by the store in memory: all of them come to the same. The
// stores rely on all that they remember, as if they were alone.
func TestNoStoreDecidesOnWhatWas(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Date(2031, 3, 9, 22, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Load()).UTC() }
	url := quick.Server(t).Database(t)
	all := make([]*postgres.Store, 3)
	for i := range all {
		all[i] = open(t, postgres.Options{URL: secret.New(url), Now: now})
	}
	round, reruns := 0, int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := &replicaMachine{all: all, model: memory.New(now), now: now, round: round}
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.compare,
			"start":  m.start,
			"guess":  m.guess,
			"end":    m.end,
			"look":   m.look,
			"settle": m.settle,
			"purge":  m.purge,
			"time": func(rt *rapid.T) {
				clock.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Second, time.Minute, time.Minute, 11 * time.Minute, 11 * time.Minute, 11 * time.Minute, 25 * time.Hour}).Draw(rt, "passes").Microseconds())
			},
		})
	})
	for _, s := range all {
		reruns += s.Reruns()
	}
	t.Logf("%d batches were run again", reruns)
	if reruns == 0 {
		t.Error("nobody ever relied on what was not so any more")
	}
}

type replicaMachine struct {
	all   []*postgres.Store
	model *memory.Store
	now   func() time.Time
	round int
	ids   []string
	steps int
}

// run does an operation by one of the stores and by the model.
func (m *replicaMachine) run(t *rapid.T, op verify.Op) {
	s := rapid.SampledFrom(m.all).Draw(t, "store")
	s.Dare()
	got, err := s.Do(t.Context(), op)
	want, wantErr := m.model.Do(t.Context(), op)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%v, want %v", err, wantErr)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(verify.Subject{})); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

func (m *replicaMachine) number(t *rapid.T) int { return rapid.IntRange(1, 3).Draw(t, "number") }

func (m *replicaMachine) charges(number int) []verify.Charge {
	limit := func(name string, n int) verify.Limit { return verify.Limit{Name: name, Burst: n, Every: time.Minute} }
	return []verify.Charge{
		{Limit: limit("number", 3), Key: limitKey("n%06d%d-minute", m.round%1e6, number)},
		{Limit: verify.Limit{Name: "daily", Burst: 7}, Key: limitKey("n%06d%d-daily", m.round%1e6, number)},
		{Limit: limit("all", 7), Key: limitKey("a%07d-all", m.round%1e7)},
	}
}

func (m *replicaMachine) start(t *rapid.T) {
	n := m.number(t)
	id := fmt.Sprintf("v%d/%d", len(m.ids), m.round)
	if rapid.Bool().Draw(t, "has a day") {
		id = idOf(m.now(), m.round*1000+len(m.ids))
	}
	charges, subject := m.charges(n), subjectKey("s%d/%d", n, m.round)
	op := verify.Op{Subject: subject, Session: mac("session %d", n)}
	for _, c := range charges {
		if p := c.Key.Place(); !slices.Contains(op.Places, p) {
			op.Places = append(op.Places, p)
		}
	}
	m.idem(t, &op)
	m.run(t, telling(op, func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		to, err := phone.Parse("+14155552671")
		if err != nil {
			return verify.Decision{}, err
		}
		v := &verify.Verification{ID: id, App: "app", Subject: subject, Session: mac("session %d", n), To: to, Status: verify.StatusPending, MaxChecks: 5, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)}
		s.Pending = append(s.Pending, verify.Pending{ID: id, Session: v.Session, ExpiresAt: v.ExpiresAt})
		return verify.Decision{Verification: v, Subject: s, Charges: charges, Idem: verify.IdemState{ID: id, OpenUntil: now.Add(time.Second)}}, nil
	}))
	m.ids = append(m.ids, id)
}

// idem gives some operations a key, of which there are few.
func (m *replicaMachine) idem(t *rapid.T, op *verify.Op) {
	if rapid.IntRange(0, 2).Draw(t, "has a key") == 0 {
		op.Idem = &verify.Idem{Key: mac("k%d/%d", rapid.IntRange(1, 2).Draw(t, "key"), m.round), Body: mac("b")}
	}
}

func (m *replicaMachine) id(t *rapid.T) verify.Op {
	return verify.Op{ID: rapid.SampledFrom(append([]string{"nobody"}, m.ids...)).Draw(t, "id"), App: "app"}
}

func (m *replicaMachine) guess(t *rapid.T) {
	op := m.id(t)
	m.idem(t, &op)
	withSubject := rapid.Bool().Draw(t, "counts failures")
	m.run(t, telling(op, func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d := verify.Decision{Idem: verify.IdemState{ID: v.ID}}
		if v.Checks < v.MaxChecks {
			v.Checks++
			d.Verification = v
		}
		if withSubject {
			s.Failures, s.FailedAt = s.Failures+1, now
			d.Subject = s
		}
		return d, nil
	}))
}

func (m *replicaMachine) end(t *rapid.T) {
	n := m.number(t)
	refunds := rapid.Bool().Draw(t, "gives back")
	m.run(t, telling(m.id(t), func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if v.Status != verify.StatusPending {
			return verify.Decision{}, nil
		}
		v.Status, v.EndedAt = verify.StatusApproved, now
		s.Pending = slices.DeleteFunc(s.Pending, func(p verify.Pending) bool { return p.ID == v.ID })
		s.Failures = 0
		d := verify.Decision{Verification: v, Subject: s}
		if refunds {
			d.Refunds = m.charges(n)
		}
		return d, nil
	}))
}

// look changes nothing.
func (m *replicaMachine) look(t *rapid.T) {
	op := m.id(t)
	if rapid.Bool().Draw(t, "at a number") {
		n := m.number(t)
		op = verify.Op{Subject: subjectKey("s%d/%d", n, m.round), Session: mac("session %d", n)}
	}
	m.run(t, telling(op, func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{}, nil
	}))
}

func (m *replicaMachine) settle(t *rapid.T) {
	n := m.number(t)
	clears := rapid.IntRange(0, 3).Draw(t, "clears") == 0
	key := mac("k%d/%d", rapid.IntRange(1, 2).Draw(t, "settled"), m.round)
	m.run(t, telling(m.id(t), func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d := verify.Decision{Settle: &verify.Settlement{Key: key, IdemState: verify.IdemState{ID: v.ID, Outcome: "settled"}}}
		if clears {
			for _, c := range m.charges(n) {
				d.Clear = append(d.Clear, c.Key)
			}
		}
		return d, nil
	}))
}

// purge removes, of the verifications, none: the two stores differ in when.
func (m *replicaMachine) purge(t *rapid.T) {
	s := rapid.SampledFrom(m.all).Draw(t, "store")
	for n := 1; n > 0; {
		var err error
		if n, err = s.Purge(t.Context(), time.UnixMicro(1), 100); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n > 0; {
		var err error
		if n, err = m.model.Purge(t.Context(), time.UnixMicro(1), 100); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *replicaMachine) compare(t *rapid.T) {
	if m.steps++; m.steps%4 != 0 {
		return
	}
	for _, id := range m.ids {
		got, err := m.all[len(id)%len(m.all)].Get(t.Context(), id)
		want, wantErr := m.model.Get(t.Context(), id)
		if !errors.Is(err, wantErr) {
			t.Fatalf("Get(%s): %v, want %v", id, err, wantErr)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("Get(%s) (-want +got):\n%s", id, d)
		}
	}
}
