package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// TestABiteEnds gives bites no time at all: each deletes a handful and lets the
// others in.
func TestABiteEnds(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "bites.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	s.keeper.bite = 0
	const rows = 100
	var wg sync.WaitGroup
	for i := range rows {
		wg.Go(func() {
			key := verify.SubjectKey{byte(i), 1}
			_, err := s.Do(context.Background(), verify.Op{Subject: key, Idem: &verify.Idem{Key: verify.MAC(key)},
				Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
					return verify.Decision{
						Verification: &verify.Verification{ID: fmt.Sprint(i), App: "app", Subject: key, CreatedAt: now, ExpiresAt: now.Add(time.Minute)},
						Subject:      s, Charges: []verify.Charge{{Limit: verify.Limit{Burst: 1, Every: time.Second}, Key: verify.LimitKey(key[:16])}},
					}, nil
				}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	now = now.Add(48 * time.Hour)
	removed, calls := 0, 0
	for {
		n, err := s.Purge(t.Context(), now, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		removed, calls = removed+n, calls+1
		if n > 32 {
			t.Errorf("one call removed %d rows", n)
		}
	}
	if removed != 4*rows || calls < 4*rows/32 {
		t.Errorf("%d rows in %d calls, want %d", removed, calls, 4*rows)
	}
	// The writer remembered the rows; it must not any more.
	for _, op := range []verify.Op{{ID: "7", App: "app"}} {
		op.Decide = func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			return verify.Decision{}, nil
		}
		if _, err := s.Do(t.Context(), op); !errors.Is(err, verify.ErrNotFound) {
			t.Errorf("a purged verification: %v", err)
		}
	}
}

// TestABiteIsMeasured gives the writer more to delete than fits into a bite, by a
// clock that is a millisecond later at each look: it stops after the eighth, and
// has deleted no row more than it looked at.
func TestABiteIsMeasured(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "measured.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const rows = 300
	var charges []verify.Charge
	b := bite{table: tableCounters, now: micros(time.Now().Add(48 * time.Hour))}
	for i := range rows {
		key := verify.LimitKey{6: byte(i >> 8), 7: byte(i), 8: 1}
		charges = append(charges, verify.Charge{Limit: verify.Limit{Burst: 1}, Key: key})
		b.keys = append(b.keys, int64(i))
	}
	_, err = s.Do(t.Context(), verify.Op{Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Charges: charges}, nil
	}})
	if err = errors.Join(err, s.settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	looks, at := 0, time.Time{}
	s.keeper.tick = func() time.Time {
		looks, at = looks+1, at.Add(time.Millisecond)
		return at
	}
	got, err := s.keep(t.Context(), task{purge: &b})
	if want := (bitten{looked: 8 * 16, removed: 8 * 16}); got != want || err != nil || looks != 1+8 {
		t.Errorf("a bite came to %+v, %v, %d looks at the clock; want %+v", got, err, looks, want)
	}
	var left int
	if err := s.pool.QueryRow(`SELECT count(*) FROM counters`).Scan(&left); err != nil || left != rows-8*16 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}

// TestABiteLooksAgain asks the writer to delete rows that are not over, as when
// they changed after they were looked at.
func TestABiteLooksAgain(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "again.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	quiet, failing, row := verify.SubjectKey{1}, verify.SubjectKey{2}, verify.LimitKey{3}
	start := time.Now()
	for _, key := range []verify.SubjectKey{quiet, failing} {
		_, err := s.Do(t.Context(), verify.Op{Subject: key, Idem: &verify.Idem{Key: verify.MAC(key)},
			Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
				if key == failing {
					s.Failures, s.FailedAt = 1, now
				} else {
					s.BlockedUntil = now.Add(time.Hour)
				}
				return verify.Decision{
					Verification: &verify.Verification{ID: "v", App: "app", Subject: key, CreatedAt: now, ExpiresAt: now.Add(time.Minute), Sends: []verify.Send{{NextAt: now}}},
					Subject:      s, Charges: []verify.Charge{{Limit: verify.Limit{Burst: 9, Every: time.Hour}, Key: row}},
				}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range []bite{
		{table: tableVerifications, keys: []any{"v"}},
		{table: tableSubjects, keys: []any{quiet[:], failing[:]}},
		{table: tableCounters, keys: []any{int64(row.Place())}},
		{table: tableIdems, keys: []any{quiet[:]}},
	} {
		b.before, b.owed, b.now = micros(start), micros(start), micros(time.Now())
		result, err := s.keep(t.Context(), task{purge: &b})
		if want := (bitten{looked: len(b.keys)}); result != want || err != nil {
			t.Errorf("table %d: %+v, %v; want %+v", b.table, result, err, want)
		}
		b.before, b.now = micros(start.Add(24*time.Hour)), micros(start.Add(25*time.Hour))
		if b.table == tableVerifications {
			// Something became due after it was looked at.
			result, err = s.keep(t.Context(), task{purge: &b})
			if want := (bitten{looked: 1}); result != want || err != nil {
				t.Errorf("a verification to which something is owed: %+v, %v", result, err)
			}
		}
		b.owed = b.before
		result, err = s.keep(t.Context(), task{purge: &b})
		if want := (bitten{looked: len(b.keys), removed: len(b.keys)}); result != want || err != nil {
			t.Errorf("table %d, a day later: %+v, %v; want %+v", b.table, result, err, want)
		}
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	r := newRecent[int, int](3)
	for i := range 100 {
		r.put(i, i)
		if v, ok := r.get(0); !ok || v != 0 {
			t.Fatalf("after %d: what is used all the time is forgotten", i)
		}
		for j := max(0, i-1); j <= i; j++ {
			if v, ok := r.get(j); !ok || v != j {
				t.Fatalf("after %d: %d is forgotten", i, j)
			}
		}
		if n := len(r.young) + len(r.old); n > 6 {
			t.Fatalf("%d entries are kept", n)
		}
	}
	r.drop(99)
	if _, ok := r.get(99); ok {
		t.Error("a dropped entry is there")
	}
	r.clear()
	if _, ok := r.get(0); ok || len(r.young)+len(r.old) > 0 {
		t.Error("after clear")
	}
}
