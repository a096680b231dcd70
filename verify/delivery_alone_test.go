package verify

import (
	"errors"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// News of a text that the provider has need nothing of its number's subject; of
// one that may be held for, they do.
func TestDeliveryReadsTheSubjectWhereItMatters(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		outcome connector.Outcome // "": the provider takes the text
		reads   bool
	}{"accepted": {"", false}, "unknown": {connector.OutcomeMaybe, true}} {
		b := newBench(t)
		if tt.outcome != "" {
			b.sender.fail(tt.outcome, connector.KindTemporary)
		}
		v := b.start().Verification
		b.store.subjects[v.Subject] = []byte("{") // nobody can read it
		before := mustJSON(b.get(v.ID))
		err := b.RecordDelivery(t.Context(), "main", v.Sends[0].ID, connector.StatusUpdate{ProviderID: v.Sends[0].ProviderID, Status: connector.StatusDelivered})
		if (err != nil) != tt.reads {
			t.Errorf("%s: %v", name, err)
		}
		if changed := string(mustJSON(b.get(v.ID))) != string(before); changed == tt.reads {
			t.Errorf("%s: changed is %t after %v", name, changed, err)
		}
	}
}

// An operation that does without the subject can do it no harm.
func TestAlone(t *testing.T) {
	t.Parallel()
	store := newMemStore(func() time.Time { return noon })
	v := &Verification{ID: "v", App: testApp, Subject: SubjectKey{1}, Status: StatusPending, ExpiresAt: noon.Add(time.Hour)}
	known := &Subject{Key: v.Subject, Failures: 3, FailedAt: noon}
	store.save(Changes{Verifications: []*Verification{v}, Subjects: []*Subject{known}})
	before := store.dump()
	failures := -1
	op := func(alone, write bool) Op {
		return Op{ID: "v", App: testApp, Alone: func(v *Verification) bool { return alone && v.ID == "v" }, Decide: func(_ time.Time, s *Subject, v *Verification) (Decision, error) {
			failures = s.Failures
			v.Checks++
			d := Decision{Verification: v}
			if write {
				d.Subject = s
			}
			return d, nil
		}}
	}
	if _, err := store.Do(t.Context(), op(true, true)); !errors.Is(err, errUnread) || store.dump() != before {
		t.Errorf("it was written: %v\n%s", err, store.dump())
	}
	for _, tt := range []struct {
		alone, write bool
		failures     int
	}{{true, false, 0}, {false, true, 3}} {
		if _, err := store.Do(t.Context(), op(tt.alone, tt.write)); err != nil || failures != tt.failures {
			t.Errorf("%+v: %v, a subject with %d failures", tt, err, failures)
		}
		if kept, err := (memRows{store}).Subject(v.Subject); err != nil || kept.Failures != 3 {
			t.Errorf("%+v: %+v, %v", tt, kept, err)
		}
	}
	if v, err := store.Get(t.Context(), "v"); err != nil || v.Checks != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := store.Do(t.Context(), Op{ID: "v", App: "another", Alone: op(true, false).Alone, Decide: op(true, false).Decide}); !errors.Is(err, ErrNotFound) {
		t.Errorf("another app's: %v", err)
	}
}
