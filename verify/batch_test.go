package verify

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// brokenRows fails to read subjects.
type brokenRows struct{ memRows }

func (brokenRows) Subject(SubjectKey) (*Subject, error) { return nil, errors.New("disk gone") }

func decide(d Decision, err error) func(time.Time, *Subject, *Verification) (Decision, error) {
	return func(_ time.Time, s *Subject, _ *Verification) (Decision, error) {
		s.Failures = 99 // its own copy: nobody may see it unless it is in the decision
		return d, err
	}
}

func TestBatchLeavesNoTraceOfAFailure(t *testing.T) {
	t.Parallel()
	store := newMemStore(func() time.Time { return noon })
	limit := Limit{"x", 1, time.Hour}
	v := &Verification{ID: "v", App: testApp, Subject: SubjectKey{1}, Status: StatusPending, ExpiresAt: noon.Add(time.Hour)}
	b := NewBatch(noon, memRows{store})
	key := &Idem{Key: MAC{1}}
	if _, err := b.Apply(Op{Subject: v.Subject, Idem: key, Decide: decide(Decision{Verification: v, Charges: []Charge{{Limit: limit}}}, nil)}); err != nil {
		t.Fatal(err)
	}
	before := mustJSON(changesByID(b))

	gone := errors.New("no")
	for name, op := range map[string]Op{
		"an error": {Subject: v.Subject, Decide: decide(Decision{}, gone)},
		"a panic":  {Subject: v.Subject, Idem: &Idem{Key: MAC{9}}, Decide: func(time.Time, *Subject, *Verification) (Decision, error) { panic("code 123456") }},
		"a panic after a change": {ID: "v", App: testApp, Decide: func(_ time.Time, s *Subject, v *Verification) (Decision, error) {
			v.Checks, s.Failures = 9, 9
			panic(s)
		}},
		"a limit":                    {ID: "v", App: testApp, Idem: &Idem{Key: MAC{8}}, Decide: decide(Decision{Verification: &Verification{ID: "w"}, Clear: []LimitKey{{7}}, Charges: []Charge{{Limit: limit, Key: LimitKey{3}}, {Limit: limit}}}, nil)},
		"another app":                {ID: "v", App: "other", Decide: decide(Decision{Verification: v}, nil)},
		"no such id":                 {ID: "w", App: testApp, Decide: decide(Decision{Verification: v}, nil)},
		"another body":               {Subject: v.Subject, Idem: &Idem{Key: MAC{1}, Body: MAC{1}}, Decide: decide(Decision{Verification: v}, nil)},
		"another id on the same key": {ID: "w", App: testApp, Idem: key, Decide: decide(Decision{Verification: v}, nil)},
	} {
		result, err := b.Apply(op)
		if err == nil || result != nil {
			t.Errorf("%s: got %v, %v, want an error alone", name, result, err)
		} else if strings.Contains(err.Error(), "123456") {
			t.Errorf("%s: the error quotes the panic: %v", name, err)
		}
		if after := mustJSON(changesByID(b)); string(after) != string(before) {
			t.Errorf("%s left a trace:\n%s\n%s", name, before, after)
		}
	}
}

func changesByID(b *Batch) map[string]any {
	c := b.changes()
	m := map[string]any{}
	for _, v := range c.Verifications {
		m["verification "+v.ID] = v
	}
	for _, s := range c.Subjects {
		m["subject "+string(s.Key[:])] = s
	}
	for _, e := range c.Counters {
		m[fmt.Sprintf("counters %d", e.Place)] = e.Counters
	}
	for _, i := range c.Idems {
		m["idem "+string(i.Key[:])] = i.IdemRow
	}
	return m
}

func TestBatchErrorsOfTheStore(t *testing.T) {
	t.Parallel()
	store := newMemStore(func() time.Time { return noon })
	b := NewBatch(noon, brokenRows{memRows{store}})
	_, err := b.Apply(Op{Subject: SubjectKey{1}, Decide: decide(Decision{}, nil)})
	var lost *StoreError
	if !errors.As(err, &lost) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want a *StoreError that is ErrUnavailable", err)
	}
}

func TestBatchOperationsSeeEachOther(t *testing.T) {
	t.Parallel()
	store := newMemStore(func() time.Time { return noon })
	b := NewBatch(noon, memRows{store})
	count := func(_ time.Time, s *Subject, _ *Verification) (Decision, error) {
		s.Failures++
		return Decision{Subject: s, Result: s.Failures}, nil
	}
	for want := 1; want <= 3; want++ {
		if got, err := b.Apply(Op{Subject: SubjectKey{1}, Decide: count}); err != nil || got != want {
			t.Fatalf("got %v, %v, want %d", got, err, want)
		}
	}
	if c := b.Changes(); len(c.Subjects) != 1 || c.Subjects[0].Failures != 3 {
		t.Errorf("the changes are %+v, want one row", c)
	}
}

func TestBatchIdempotency(t *testing.T) {
	t.Parallel()
	clock := &testClock{t: noon}
	store := newMemStore(clock.now)
	runs := 0
	op := Op{Subject: SubjectKey{1}, Idem: &Idem{Key: MAC{1}}, Decide: func(now time.Time, s *Subject, _ *Verification) (Decision, error) {
		runs++
		return Decision{Result: "done", Subject: s, Idem: IdemState{ID: "v", Outcome: "o", OpenUntil: now.Add(time.Minute)}}, nil
	}}
	do := func(want any, wantErr error) {
		t.Helper()
		got, err := store.Do(t.Context(), op)
		if r, ok := got.(*Replayed); ok {
			got = r.Outcome
		}
		if got != want || !errors.Is(err, wantErr) {
			t.Errorf("got %v, %v, want %v, %v", got, err, want, wantErr)
		}
	}
	do("done", nil)
	do(nil, ErrInFlight)
	clock.advance(time.Minute) // the process died: its lease is over
	do("o", nil)
	settle := Op{Subject: SubjectKey{1}, Decide: func(time.Time, *Subject, *Verification) (Decision, error) {
		return Decision{Settle: &Settlement{Key: MAC{1}, IdemState: IdemState{ID: "v", Outcome: "settled"}}}, nil
	}}
	if _, err := store.Do(t.Context(), settle); err != nil {
		t.Fatal(err)
	}
	do("settled", nil)
	clock.advance(idemLife)
	do("done", nil)
	if runs != 2 {
		t.Errorf("the operation ran %d times, want twice: once a day", runs)
	}
}
