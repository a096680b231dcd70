package sqlite

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

	"github.com/sixdigit/sixdigit/store/commit"
)

// TestPurgeOfARefusedRow purges a row whose table does not take its newest version.
func TestPurgeOfARefusedRow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	var mu sync.Mutex
	now := time.Now()
	s := quiet(t, Options{Path: path, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	if _, err := s.Do(t.Context(), made("bad")); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TRIGGER damage BEFORE UPDATE ON verifications BEGIN SELECT RAISE(ABORT, 'damaged'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), counted("bad")); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	now = now.Add(100 * 24 * time.Hour)
	mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	start := time.Now()
	n, err := s.Purge(ctx, s.now(), 1000)
	if took := time.Since(start); took > time.Second {
		t.Errorf("Purge spun for %s: %d, %v", took, n, err)
	}
}

// TestNoDirtyReads lists while syncs take their time: nobody sees what is not durable.
func TestNoDirtyReads(t *testing.T) {
	t.Parallel()
	s := quiet(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	var durable atomic.Int64
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		op := counted("a")
		for i := 1; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			if err := s.writer.run([]request{{op: &op}}, make([]commit.Result[any], 1)); err != nil {
				t.Error(err)
				return
			}
			<-time.After(time.Millisecond) // the sync takes its time
			durable.Store(int64(i))        // before it is, to be fair
			if err := s.files.sync(); err != nil {
				t.Error(err)
			}
		}
	})
	dirty, looks := 0, 0
	for start := time.Now(); time.Since(start) < time.Second; looks++ {
		all, err := s.List(t.Context(), "a", "b", 10)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if int64(all[0].Checks) > durable.Load() {
			dirty++
		}
	}
	close(end)
	wg.Wait()
	if dirty > 0 {
		t.Errorf("%d of %d looks saw what was not durable", dirty, looks)
	}
}

// TestSettleTellsOfATurn settles while the next file takes no header.
func TestSettleTellsOfATurn(t *testing.T) {
	t.Parallel()
	s := quiet(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	i := (s.files.gen + 1) % 2
	was := s.files.f[i]
	ro, err := os.Open(was.Name())
	if err != nil {
		t.Fatal(err)
	}
	s.files.f[i] = ro // the disk takes no header
	err = s.settle(t.Context())
	if _, _, logged := s.redo.find(keyOf(tableVerifications, "a")); logged && err == nil {
		t.Error("settle: no error, and the row is not in its table")
	}
	s.files.f[i] = was
	_ = errors.Join(ro.Close(), s.Close())
}

// TestOwner lets root open the database of another user: the files are that user's.
func TestOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip()
	}
	path := filepath.Join(t.TempDir(), "a.db")
	s := quiet(t, Options{Path: path})
	_ = s.Close()
	for _, n := range []string{"-redo0", "-redo1"} {
		_ = os.Remove(path + n)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	quiet(t, Options{Path: path}) // or Export: the command line, by root
	for _, n := range []string{"-wal", "-redo0", "-redo1"} {
		info, err := os.Stat(path + n)
		if err != nil {
			t.Fatal(err)
		}
		if uid := fmt.Sprint(info.Sys()); !strings.Contains(uid, "65534") {
			t.Errorf("%s is root's", n)
		}
	}
}

// TestFoldAfterClose folds beside Close: no connection is left.
func TestFoldAfterClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := quiet(t, Options{Path: path})
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.submit(t.Context(), request{turn: true}); err != nil { // a Purge has come so far
		t.Fatal(err)
	}
	if err := s.stop(); err != nil { // Close, on another goroutine
		t.Fatal(err)
	}
	err := s.keeper.fold() // and the Purge goes on
	if s.keeper.conn != nil {
		t.Errorf("a connection is open after Close (fold: %v)", err)
	}
}

// TestReadyAlone asks an idle service whether it is ready, again and again.
func TestReadyAlone(t *testing.T) {
	t.Parallel()
	s := quiet(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	for range 200 {
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.redo.young.values); n > 100 {
		t.Errorf("%d entries, the file is used up to %d: a generation without rows never turns", n, s.files.tail)
	}
}
