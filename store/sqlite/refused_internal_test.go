package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// TestARowThatItsTableRefuses damages a table for one row. What was promised is
// kept, everybody else goes on, also after a kill, and the row comes to its table
// once that takes it.
func TestARowThatItsTableRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "refused.db")
	var told bytes.Buffer
	o := Options{Path: path, Log: slog.New(slog.NewTextHandler(&told, nil))}
	s := restless(t, o)
	db, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const damage = `CREATE TRIGGER damage BEFORE INSERT ON verifications WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ABORT, 'damaged'); END`
	if _, err := db.ExecContext(t.Context(), damage); err != nil {
		t.Fatal(err)
	}
	checks := 0
	use := func() {
		t.Helper()
		for range 50 {
			checks++
			for _, id := range []string{"good", "bad"} {
				if n, err := s.Do(t.Context(), counted(id)); err != nil || n != checks {
					t.Fatalf("%s: %v checks, %v; want %d", id, n, err, checks)
				}
				if v, err := s.Get(t.Context(), id); err != nil || v.Checks != checks {
					t.Fatalf("Get of %s: %+v, %v; want %d checks", id, v, err, checks)
				}
			}
			if err := s.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var rows, values int
		if err := db.QueryRow(`SELECT (SELECT count(*) FROM verifications), (SELECT count(*) FROM refused)`).Scan(&rows, &values); err != nil || rows != 1 || values != 1 {
			t.Fatalf("%d rows in the table, %d values in the log, %v", rows, values, err)
		}
	}
	for _, id := range []string{"good", "bad"} {
		if _, err := s.Do(t.Context(), made(id)); err != nil {
			t.Fatal(err)
		}
	}
	use()
	drop(t, s)
	s = restless(t, o)
	use()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if said := told.String(); !strings.Contains(said, "is kept aside") || strings.Contains(said, "+1415") {
		t.Errorf("said was %q", said)
	}
	if err := settle(path); err == nil || !strings.Contains(err.Error(), "refuses a row") {
		t.Errorf("a copy of it: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), `DROP TRIGGER damage`); err != nil {
		t.Fatal(err)
	}
	if err := settle(path); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM verifications`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows in the table, %v", n, err)
	}
}

// TestAProgramOfTheVersionBefore has a file open while it is brought up to date.
// It must not write over what is in the log: it must not write.
func TestAProgramOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "before.db")
	db := tablesOf(t, path, 6)
	defer func() { _ = db.Close() }()
	writes := map[string]string{
		"verifications": `INSERT INTO verifications (id, number, created, ended, due, data) VALUES ('a', '', 1, 2, 0, x'7b7d') ON CONFLICT (id) DO UPDATE SET ended = excluded.ended`,
		"subjects":      `INSERT INTO subjects (key, quiet, failed, data) VALUES (x'01', 1, 2, x'7b7d') ON CONFLICT (key) DO UPDATE SET quiet = excluded.quiet`,
		"counters":      `REPLACE INTO counters (place, expires, data) VALUES (1, 2, x'')`,
		"idems":         `INSERT INTO idems (key, expires, data) VALUES (x'01', 1, x'7b7d') ON CONFLICT (key) DO UPDATE SET expires = excluded.expires`,
	}
	prepared := map[string]*sql.Stmt{}
	for table, query := range writes {
		st, err := db.PrepareContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		if _, err := st.ExecContext(t.Context()); err != nil {
			t.Fatalf("%s, before: %v", table, err)
		}
		prepared[table] = st
	}
	s := restless(t, Options{Path: path})
	if _, err := s.Do(t.Context(), made("b")); err != nil {
		t.Fatal(err)
	}
	for table, st := range prepared {
		if _, err := st.ExecContext(t.Context()); err == nil {
			t.Errorf("%s: it still writes", table)
		}
	}
}

// TestTheLogStaysSmall changes a few rows all the time: they never make a
// generation full, but their values do.
func TestTheLogStaysSmall(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "small.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	padding := strings.Repeat("x", 64<<10)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				_, err := s.Do(context.Background(), verify.Op{ID: "a", App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
					v.Metadata = map[string]string{"padding": padding}
					return verify.Decision{Verification: v}, nil
				}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, f := range s.files.f {
		if info, err := f.Stat(); err != nil || info.Size() > 2*fullSize {
			t.Errorf("%s has %d bytes, %v", f.Name(), info.Size(), err)
		}
	}
	if size := s.redo.size(); size > 2*fullSize {
		t.Errorf("%d bytes are in memory", size)
	}
}
