package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	// Every character that means something in an URI.
	dir := filepath.Join(t.TempDir(), "a b%20c?d#e&f=g;h'i")
	path := filepath.Join(dir, "x?mode=memory#.db")
	s := open(t, sqlite.Options{Path: path})
	do(t, s, start("a"))
	modes := func() {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(e.Name(), filepath.Base(path)) || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v", e.Name(), info.Mode())
			}
		}
		if len(entries) != 5 { // -wal and -shm, -redo0 and -redo1
			t.Errorf("%d files, want the database and four beside it", len(entries))
		}
	}
	modes()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // #nosec G302 -- what a careless copy leaves behind
		t.Fatal(err)
	}
	s = open(t, sqlite.Options{Path: path})
	do(t, s, count("a"))
	modes()
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	open(t, sqlite.Options{Path: newer})
	meddle(t, newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	for path, want := range map[string]string{"": "no path", text: "not a database", newer: "newer version", dir: "is a directory", filepath.Join(text, "x.db"): "not a directory"} {
		_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", filepath.Base(path), err, want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(canceled, sqlite.Options{Path: filepath.Join(dir, "never.db")}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a dead context: %v", err)
	}
}

// meddle changes a database behind its store's back.
func meddle(t *testing.T, path string, queries ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, q := range queries {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyOpenAtOnce opens one new file in many places at once: one of them
// makes the tables.
func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.db")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Do(context.Background(), start(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, sqlite.Options{Path: path})
	for i := range 6 {
		if _, err := s.Get(t.Context(), fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
	}
}

// TestTwoStoresOnOneFile lets two stores, as two processes are, count on one
// verification in turns and at once.
func TestTwoStoresOnOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "two.db")
	a, b := open(t, sqlite.Options{Path: path}), open(t, sqlite.Options{Path: path})
	do(t, a, start("x"))
	for n := 1; n < 10; n += 2 {
		if got := do(t, a, count("x")); got != n {
			t.Fatalf("the first counted %v, want %d", got, n)
		}
		if got := do(t, b, count("x")); got != n+1 {
			t.Fatalf("the second counted %v, want %d: it remembers a row that the first has changed", got, n+1)
		}
	}
	var calls atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 16 { // the first keeps its writer busy without a pause
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := a.Do(context.Background(), count("x")); err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for range 25 {
		do(t, b, count("x"))
		calls.Add(1)
	}
	close(stop)
	wg.Wait()
	if got, want := do(t, b, count("x")), int(calls.Load())+11; got != want {
		t.Errorf("%v counts, want %d", got, want)
	}
}

// TestADamagedRowIsItsOwn damages one row's record: who needs it fails, the rest
// of the batch does not.
func TestADamagedRowIsItsOwn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "damaged.db")
	s := open(t, sqlite.Options{Path: path})
	for _, id := range []string{"data", "number", "sound"} {
		do(t, s, start(id))
	}
	if err := s.Close(); err != nil { // and everything is in its table
		t.Fatal(err)
	}
	s = open(t, sqlite.Options{Path: path})
	meddle(t, path,
		`UPDATE verifications SET data = x'7b' WHERE id = 'data'`,
		`UPDATE verifications SET number = '+1' WHERE id = 'number'`)
	begun, gate := make(chan struct{}), make(chan struct{})
	errs := make([]error, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		op := start("holder")
		decide := op.Decide
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			close(begun)
			<-gate
			return decide(now, s, v)
		}
		if _, err := s.Do(context.Background(), op); err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i, id := range []string{"data", "sound", "number"} {
		wg.Go(func() { _, errs[i] = s.Do(context.Background(), count(id)) })
	}
	close(gate)
	wg.Wait()
	damaged := (*verify.RowError)(nil)
	if !errors.As(errs[0], &damaged) || errs[1] != nil || !errors.As(errs[2], &damaged) {
		t.Errorf("errors %v", errs)
	}
	if _, err := s.Get(t.Context(), "data"); !errors.As(err, &damaged) {
		t.Errorf("Get: %v", err)
	}
	for _, err := range errs {
		if err != nil && strings.Contains(err.Error(), "+1") {
			t.Errorf("a number is in the error: %v", err)
		}
	}
}

func TestObserveAndClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "closed.db")
	var sizes atomic.Int64
	s := open(t, sqlite.Options{Path: path, Observe: func(n int, _ time.Duration) { sizes.Add(int64(n)) }})
	do(t, s, start("a"))
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if n := sizes.Load(); n < 2 || n > 4 { // the redo log's own, if a second has gone by
		t.Errorf("%d operations observed, want 2", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("Close has left the log behind: %v", err)
	}
	_, doErr := s.Do(t.Context(), count("a"))
	_, getErr := s.Get(t.Context(), "a")
	_, dueErr := s.Due(t.Context(), 5)
	_, purgeErr := s.Purge(t.Context(), time.Now(), 5)
	for what, err := range map[string]error{"Do": doErr, "Get": getErr, "Due": dueErr, "Purge": purgeErr, "Ready": s.Ready(t.Context())} {
		if !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
}
