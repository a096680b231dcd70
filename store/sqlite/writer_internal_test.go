package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// TestTheWriterAsksItself lets another connection hold the write lock. The
// writer must learn so at once: where SQLite waited in its own way, one question
// would take as long as busyWait. Once the lock is free, the operation runs.
func TestTheWriterAsksItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "held.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	other, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	other.SetMaxOpenConns(1)
	var patience int64
	if err := other.QueryRow(`PRAGMA busy_timeout`).Scan(&patience); err != nil || patience != busyWait.Milliseconds() {
		t.Errorf("another connection waits %d ms, %v; want %s", patience, err, busyWait)
	}
	for _, which := range []string{"the first connection", "one made anew"} {
		if _, err := other.Exec(`BEGIN IMMEDIATE`); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		if err := s.keeper.stmts.begin.exec(); !isBusy(err) {
			t.Fatalf("%s: the lock is held, and the writer was told %v", which, err)
		}
		if took := time.Since(asked); took > busyWait/2 {
			t.Errorf("%s: the answer took %s", which, took)
		}
		done := make(chan error, 1)
		go func() { done <- s.Ready(context.Background()) }()
		if _, err := other.Exec(`ROLLBACK`); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", which, err)
		}
		// A statement that fails makes the writer give its connection up.
		_, err := s.keep(t.Context(), task{purge: &bite{keys: []any{struct{}{}}}})
		if !errors.Is(err, verify.ErrUnavailable) || s.keeper.conn != nil {
			t.Fatalf("a key of no kind: %v", err)
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
