package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// tables are the names of all partitions.
func tables(t *testing.T, url string) (names []string) {
	t.Helper()
	query(t, url, `SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE inhparent = 'verifications'::regclass`, &names)
	return names
}

// TestDaysAreDropped lets days pass: each day's verifications are in a partition
// of their own, made ahead, and when all of a day are over it goes as a whole.
func TestDaysAreDropped(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	url := database(t)
	var clock atomic.Int64
	first := time.Date(2031, 3, 9, 22, 0, 0, 0, time.UTC)
	clock.Store(first.UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Load()) }
	s := open(t, postgres.Options{URL: secret.New(url), Now: now})
	purge := func(before time.Time) (removed int) {
		t.Helper()
		for {
			n, err := s.Purge(t.Context(), before, 40)
			if err != nil || n > 40 {
				t.Fatalf("Purge: %d, %v", n, err)
			}
			if n == 0 {
				return removed
			}
			removed += n
		}
	}
	living := idOf(first, 7)
	for d := range 5 {
		for n := range 30 {
			do(t, s, start(idOf(now(), n)))
		}
		clock.Add(day.Microseconds())
		purge(first.Add(-time.Hour)) // subjects go; the partition for the eighth day comes
		if d == 0 {
			do(t, s, end(living, now().Add(100*day)))
		}
	}
	var inRest int
	if query(t, url, `SELECT count(*) FROM verifications_rest`, &inRest); inRest > 0 {
		t.Errorf("%d verifications lie in the default partition", inRest)
	}
	names := tables(t, url)
	if want := 1 + 5 + 8; len(names) != want {
		t.Errorf("%d partitions, want %d: %q", len(names), want, names)
	}

	// The first day is not over, one of it living on. The second is.
	if n := purge(first.Add(2*day + time.Hour)); n != 30+29 {
		t.Errorf("%d rows purged, want the second day's and all but one of the first", n)
	}
	if got := tables(t, url); len(got) != len(names)-1 || !slices.Contains(got, names[0]) || slices.Contains(got, names[1]) {
		t.Errorf("partitions are left: %q", got)
	}
	if _, err := s.Get(t.Context(), living); err != nil {
		t.Errorf("what lives on: %v", err)
	}
	if _, err := s.Get(t.Context(), idOf(first.Add(day), 3)); !errors.Is(err, verify.ErrNotFound) {
		t.Errorf("of the second day: %v", err)
	}
	do(t, s, end(living, now().Add(-time.Hour)))

	// Somebody who reads all partitions for long keeps them, but holds up nobody.
	reader, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `BEGIN; SELECT count(*) FROM verifications`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	purge(now())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a purge beside a reader took %s", took)
	}
	if err := reader.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	purge(now())
	if got := tables(t, url); len(got) != 1+8 {
		t.Errorf("partitions are left: %q", got)
	}
	var left int
	if query(t, url, `SELECT count(*) FROM verifications`, &left); left > 0 {
		t.Errorf("%d verifications are left", left)
	}
}

// end ends a verification at a time.
func end(id string, at time.Time) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.ExpiresAt = at
		return verify.Decision{Verification: v}, nil
	}}
}

// TestWithoutPartitions takes away what makes partitions: everything still works,
// in the default one, and when the right is back its day's rows stay there.
func TestWithoutPartitions(t *testing.T) {
	t.Parallel()
	url := database(t)
	open(t, postgres.Options{URL: secret.New(url)})
	server := shared.Server(t)
	server.Exec(t, url, `DO $$ DECLARE n text; BEGIN
		FOR n IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'verifications'::regclass AND inhrelid <> 'verifications_rest'::regclass
		LOOP EXECUTE 'DROP TABLE ' || n; END LOOP; END $$`,
		`DROP ROLE IF EXISTS reader`, `CREATE ROLE reader LOGIN`,
		`GRANT USAGE ON SCHEMA public TO reader`, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader`)
	s := open(t, postgres.Options{URL: secret.New(url + "&user=reader")})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	if n := do(t, s, count(id)); n != 1 {
		t.Errorf("counted %v", n)
	}
	if n, err := s.Purge(t.Context(), time.Now(), 10); err != nil || n != 0 {
		t.Errorf("%d rows purged, %v", n, err)
	}
	var inRest int
	if query(t, url, `SELECT count(*) FROM verifications_rest`, &inRest); inRest != 1 {
		t.Errorf("%d verifications in the default partition", inRest)
	}
	s = open(t, postgres.Options{URL: secret.New(url)})
	if n := do(t, s, count(id)); n != 2 {
		t.Errorf("counted %v", n)
	}
	if got := tables(t, url); len(got) != 1+7 { // all days but today's
		t.Errorf("partitions: %q", got)
	}
	do(t, s, approve(id))
	if n, err := s.Purge(t.Context(), time.Now().Add(time.Hour), 10); err != nil || n != 2 {
		t.Errorf("%d rows purged, %v; want a verification and its subject", n, err)
	}
}

// TestADayIsLookedAtAgain lets a verification become young again after a purge
// has found its day to be over.
func TestADayIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	now := time.Now()
	old, young := idOf(now, 1), idOf(now, 2)
	do(t, s, start(old))
	do(t, s, end(old, now.Add(-time.Hour)))
	do(t, s, start(young))
	for range 2 {
		if err := s.ShrinkPartition(t.Context(), now, now); !errors.Is(err, postgres.ErrPartitionInUse) {
			t.Errorf("a day in which something lives: %v", err)
		}
		for _, id := range []string{old, young} {
			if _, err := s.Get(t.Context(), id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		do(t, s, end(young, now.Add(time.Hour)))
	}
	do(t, s, end(young, now.Add(-time.Hour)))
	for range 2 { // it is emptied, and then dropped
		if err := s.ShrinkPartition(t.Context(), now, now); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), old); !errors.Is(err, verify.ErrNotFound) {
			t.Errorf("it is over: %v", err)
		}
	}
	do(t, s, start(old)) // and where a day has none, there is the default one
}

// TestAPurgeKeepsItsLimit purges where the planner takes the table for one of a
// single row: a subquery that it runs again for each row would find other rows
// each time, and all of them would go.
func TestAPurgeKeepsItsLimit(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	server := shared.Server(t)
	server.Exec(t, url, `ALTER TABLE verifications_rest SET (autovacuum_enabled = off)`)
	const rows = 8 // in one page
	for i := range rows {
		id := fmt.Sprintf("no day %d", i)
		do(t, s, start(id))
		do(t, s, end(id, time.Now().Add(-48*time.Hour)))
		if i == 0 {
			server.Exec(t, url, `VACUUM ANALYZE verifications_rest`)
		}
	}
	for left := rows; left > 0; {
		n, err := s.Purge(t.Context(), time.Now(), 2)
		if err != nil || n != 2 {
			t.Fatalf("%d rows purged, %v", n, err)
		}
		left -= n
		var there int
		if query(t, url, `SELECT count(*) FROM verifications`, &there); there != left {
			t.Fatalf("%d verifications are left, want %d", there, left)
		}
	}
}

// TestReplicasPurgeTogether lets replicas purge the same days at once.
func TestReplicasPurgeTogether(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	url := database(t)
	var clock atomic.Int64
	first := time.Date(2031, 3, 9, 22, 0, 0, 0, time.UTC)
	clock.Store(first.UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Load()) }
	all := make([]*postgres.Store, 3)
	for i := range all {
		all[i] = open(t, postgres.Options{URL: secret.New(url), Now: now})
	}
	for n := range 300 {
		do(t, all[n%3], start(idOf(first.Add(time.Duration(n%6)*day), n)))
		do(t, all[n%3], start(fmt.Sprintf("no day %d", n)))
	}
	clock.Add((40 * day).Microseconds())
	crowd(all, 2*len(all), func(_ int, s *postgres.Store) {
		for n := 1; n > 0; {
			var err error
			if n, err = s.Purge(context.Background(), now(), 50); err != nil || n > 50 {
				t.Errorf("Purge: %d, %v", n, err)
				return
			}
		}
	})
	for n := 1; n > 0; { // what one left to another
		var err error
		if n, err = all[0].Purge(t.Context(), now(), 50); err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]int{"verifications": 0, "subjects": 0, "pg_inherits WHERE inhparent = 'verifications'::regclass": 1 + 8} {
		var n int
		if query(t, url, `SELECT count(*) FROM `+table, &n); n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
}
