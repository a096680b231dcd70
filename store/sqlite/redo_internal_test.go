package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/store/storetest"
	"github.com/sixdigit/sixdigit/verify"
)

// restless opens a store whose generations are full at once, so that every state of
// the log is passed through.
func restless(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.writer.fullRows = 5
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// drop ends a store as a kill does: what is in the log stays there.
func drop(t testing.TB, s *Store) {
	t.Helper()
	s.end()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.close = func() error { return nil }
}

// TestStore runs the suite on stores that are between log and tables most of the
// time, and are killed where others are closed, or closed.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, now func() time.Time) storetest.Instance {
		o := Options{Path: filepath.Join(t.TempDir(), "data", "sixdigit.db"), Now: now}
		s, opened := restless(t, o), 1
		return storetest.Instance{Store: s, Reopen: func() verify.Store {
			if opened%2 == 0 {
				drop(t, s)
			} else if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			s, opened = restless(t, o), opened+1
			if opened%3 == 0 { // as it comes
				s.writer.fullRows = fullRows
			}
			return s
		}}
	})
}

// made makes a verification, or counts a check of it.
func made(id string) verify.Op {
	return verify.Op{Subject: verify.SubjectKey{1}, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		to, err := phone.Parse("+14155552671")
		if err != nil {
			return verify.Decision{}, err
		}
		v := &verify.Verification{
			ID: id, App: "app", Subject: verify.SubjectKey{1}, To: to, Status: verify.StatusPending, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			Sends: []verify.Send{{ID: id + ".1", NextAt: now.Add(-time.Second)}},
		}
		return verify.Decision{Verification: v, Subject: s, Charges: []verify.Charge{{Limit: verify.Limit{Burst: 1000, Every: time.Hour}, Key: verify.LimitKey{9: 1}}}}, nil
	}}
}

func counted(id string) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Checks++
		return verify.Decision{Result: v.Checks, Verification: v}, nil
	}}
}

// TestTwoStoresAndKills lets two stores work on one file in turns, kills them,
// and has others write to it: each sees at once what the other was told is kept,
// by every way to look.
func TestTwoStoresAndKills(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- a test
	ctx, o := t.Context(), Options{Path: filepath.Join(t.TempDir(), "two.db")}
	stores := []*Store{restless(t, o), restless(t, o)}
	other, err := sql.Open("sqlite", writeDSN(o.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	checks := map[string]int{}
	var ids []string
	for step := range 300 {
		n := r.IntN(2)
		s := stores[n]
		switch what := r.IntN(100); {
		case what < 15 || len(ids) == 0:
			id := fmt.Sprintf("v%04d", step)
			if _, err := s.Do(ctx, made(id)); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		case what < 50:
			id := ids[r.IntN(len(ids))]
			checks[id]++
			if got, err := s.Do(ctx, counted(id)); err != nil || got != checks[id] {
				t.Fatalf("step %d: %s has %v checks, %v; want %d", step, id, got, err, checks[id])
			}
		case what < 90:
			id := ids[r.IntN(len(ids))]
			if v, err := s.Get(ctx, id); err != nil || v.Checks != checks[id] {
				t.Fatalf("step %d: Get of %s: %d checks, %v; want %d", step, id, v.Checks, err, checks[id])
			}
		case what < 93:
			all, err := s.List(ctx, "v", "w", 1000)
			if err != nil || len(all) != len(ids) {
				t.Fatalf("step %d: %d are listed, %v; want %d", step, len(all), err, len(ids))
			}
			for _, v := range all {
				if v.Checks != checks[v.ID] {
					t.Fatalf("step %d: %s is listed with %d checks, want %d", step, v.ID, v.Checks, checks[v.ID])
				}
			}
		case what < 95:
			if due, err := s.Due(ctx, 1000); err != nil || len(due) != len(ids) {
				t.Fatalf("step %d: %d are due, %v; want %d", step, len(due), err, len(ids))
			}
		case what < 98: // neither store's doing
			if _, err := other.ExecContext(ctx, `UPDATE heartbeat SET at = at + 1`); err != nil {
				t.Fatal(err)
			}
		default:
			drop(t, s)
			stores[n] = restless(t, o)
		}
	}
}

// TestLooksBesideTheWriter has readers look while the log is written and brought
// to the tables: nobody ever sees less than what was answered before.
func TestLooksBesideTheWriter(t *testing.T) {
	t.Parallel()
	s := restless(t, Options{Path: filepath.Join(t.TempDir(), "beside.db")})
	ids := []string{"a", "b", "c", "d", "e", "f", "g"}
	for _, id := range ids {
		if _, err := s.Do(t.Context(), made(id)); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			for n := 1; n <= 150; n++ {
				if _, err := s.Do(context.Background(), counted(id)); err != nil {
					t.Error(err)
					return
				}
				if v, err := s.Get(context.Background(), id); err != nil || v.Checks != n {
					t.Errorf("Get of %s: %+v, %v after %d checks", id, v, err, n)
					return
				}
				all, err := s.List(context.Background(), id, id+"\x00", 5)
				if err != nil || len(all) != 1 || all[0].Checks != n {
					t.Errorf("List of %s: %+v, %v after %d checks", id, all, err, n)
					return
				}
				if due, err := s.Due(context.Background(), 100); err != nil || len(due) != len(ids) {
					t.Errorf("due are %q, %v", due, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestExportAfterAKill exports a database whose rows are in the log alone.
func TestExportAfterAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "killed.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := s.Do(t.Context(), made(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	inTable := func(db *sql.DB) (n int) {
		if err := db.QueryRow(`SELECT count(*) FROM verifications`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := inTable(s.pool); n != 0 {
		t.Fatalf("%d rows are in their table already: this test shows nothing", n)
	}
	drop(t, s)
	var c transfer.Counts
	err = Export(t.Context(), path, func(r transfer.Rows) error { c.Add(r.Count()); return nil })
	if err != nil || c.Verifications != 40 || c.Subjects != 1 || c.Counters != 1 {
		t.Errorf("exported are %s, %v", c, err)
	}
}

// inFiles are the entries of the generations that are not in their tables.
func inFiles(t testing.TB, s *Store) (all [][]byte) {
	t.Helper()
	if err := s.files.lock(); err != nil {
		t.Fatal(err)
	}
	defer s.files.unlock()
	found, err := s.files.read()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		all = append(all, f.values...)
	}
	return all
}

// TestTidy waits for the rows to come to their table without anybody's doing.
func TestTidy(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "tidy.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(10 * time.Millisecond) // a real clock, a real file
	defer poll.Stop()
	for start := time.Now(); ; <-poll.C {
		var rows, log int
		if err := s.pool.QueryRow(`SELECT count(*) FROM verifications`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		log = len(inFiles(t, s))
		if rows == 1 && log == 0 {
			return
		}
		if time.Since(start) > 30*foldEvery {
			t.Fatalf("%d rows in the table, %d in the log", rows, log)
		}
	}
}

// TestNothingStaysReadable purges a verification and looks for its number in the
// file, in which the log and its free pages are.
func TestNothingStaysReadable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gone.db")
	now := time.Now()
	s, err := Open(t.Context(), Options{Path: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			if _, err := s.Do(context.Background(), made(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	number := []byte("+14155552671")
	found := func() (all int) {
		t.Helper()
		for _, name := range []string{path, path + "-wal", path + "-redo0", path + "-redo1"} {
			data, err := os.ReadFile(name) // #nosec G304 -- ours
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all += bytes.Count(data, number)
		}
		return all
	}
	if found() == 0 {
		t.Fatal("the number is nowhere: this test shows nothing")
	}
	now = now.Add(100 * 24 * time.Hour)
	for n := 1; n > 0; {
		if n, err = s.Purge(t.Context(), now, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // SQLite's own log goes with the last connection
		t.Fatal(err)
	}
	if n := found(); n > 0 {
		t.Errorf("a purged number is in the files %d times", n)
	}
}

// FuzzParse feeds the log's reader with anything: it takes what append wrote, and
// nothing makes it panic.
func FuzzParse(f *testing.F) {
	one := row{tableVerifications, []byte("id"), []byte("+1"), [3]int64{1, -2, 3}, []byte("{}")}
	f.Add(one.append([]byte{rowFormat}))
	f.Add(row{tableCounters, appendPlace(nil, -7), nil, [3]int64{5}, nil}.append(one.append([]byte{rowFormat})))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		rows, err := parse(value)
		if err != nil {
			return
		}
		g := newGeneration(1, 1)
		g.add(value, rows)
		for k, at := range g.rows {
			r, ok := g.find(k)
			if !ok || keyOf(r.table, r.key) != k {
				t.Fatalf("row %v is found as %v, %t", k, r, ok)
			}
			again, rest, err := readRow(r.append(nil))
			if err != nil || len(rest) > 0 || !slices.Equal(again.key, r.key) || !slices.Equal(again.data, r.data) || again.times != r.times || at.to > uint32(len(value)) {
				t.Fatalf("%v is read again as %v, %v", r, again, err)
			}
		}
	})
}
