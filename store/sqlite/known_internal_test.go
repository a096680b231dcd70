package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// charged counts one for a number against a limit of one a day.
func charged(n int) verify.Op {
	subject := verify.SubjectKey{byte(n), byte(n >> 8), 1}
	limit := verify.Charge{Limit: verify.Limit{Burst: 1, Every: 24 * time.Hour}, Key: verify.LimitKey{byte(n), byte(n >> 8), 2}}
	return verify.Op{Subject: subject, Places: []verify.Place{limit.Key.Place()}, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		s.Failures, s.FailedAt = 1, now
		return verify.Decision{Subject: s, Charges: []verify.Charge{limit}}, nil
	}}
}

// learned waits until the filter is of use.
func learned(t *testing.T, s *Store) *known {
	t.Helper()
	poll := time.NewTicker(time.Millisecond) // the tables are read beside
	defer poll.Stop()
	for start := time.Now(); time.Since(start) < 10*time.Second; <-poll.C {
		var n *known // the writer's, which alone may look
		_, err := s.Do(t.Context(), verify.Op{Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			n = s.writer.known
			return verify.Decision{}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		n.mu.Lock()
		ready := n.ready
		n.mu.Unlock()
		if ready {
			return n
		}
	}
	t.Fatal("the tables are not learned")
	return nil
}

// TestKnown compares the filter of subjects and counters with the tables: what they
// have is never said to be absent, whatever purges, kills and others' writes do.
func TestKnown(t *testing.T) {
	t.Parallel()
	o := Options{Path: filepath.Join(t.TempDir(), "known.db")}
	stores := []*Store{restless(t, o), restless(t, o)}
	n := 0
	for round := range 6 {
		for _, s := range stores {
			for range 20 {
				n++
				if _, err := s.Do(t.Context(), charged(n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s, other := stores[round%2], stores[1-round%2]
		drop(t, other) // or it would take the log over each second
		// Who was here before takes note of the other first.
		if _, err := s.Do(t.Context(), charged(10_000+n)); err != nil {
			t.Fatal(err)
		}
		k := learned(t, s)
		for table, query := range map[int]string{tableSubjects: `SELECT key FROM subjects`, tableCounters: `SELECT place FROM counters`} {
			keys, err := s.keys(t.Context(), query)
			if err != nil || len(keys) == 0 {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			for _, key := range keys {
				if k.absent(keyOfAny(table, key)) {
					t.Errorf("round %d: table %d has %v, which is said to be absent", round, table, key)
				}
			}
		}
		absent := 0
		for i := range 1000 {
			if k.absent(keyOf(tableSubjects, fmt.Sprintf("%032d", i))) {
				absent++
			}
		}
		if absent < 990 {
			t.Errorf("round %d: %d of 1000 keys that are nowhere are said to be absent", round, absent)
		}
		// A limit that was reached stays so, through whatever store.
		for again := 1; again <= n; again++ {
			if _, err := s.Do(t.Context(), charged(again)); err == nil {
				t.Errorf("round %d: the limit of number %d is forgotten", round, again)
			}
		}
		drop(t, s)
		stores[0], stores[1] = restless(t, o), restless(t, o)
	}
}
