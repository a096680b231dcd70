package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// quiet opens a store that brings nothing to its tables by itself.
func quiet(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	s.end = func() {}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestTakeoverDiesAfterCommit lets a second process take over and die after the
// rows are in their tables and before the files say so. The first goes on, and
// loses nothing.
func TestTakeoverDiesAfterCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := quiet(t, Options{Path: path})
	if _, err := s.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	k, err := newKeeper(path, Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range k.files.f { // writes fail from here on: a kill at recover's erase
		ro, err := os.Open(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		k.files.f[i] = ro
	}
	if err := k.open(); err == nil {
		t.Fatal("erase should have failed")
	}
	_ = errors.Join(k.close(), k.files.close())

	for i := 1; i <= 5; i++ { // answered without error
		if n, err := s.Do(t.Context(), counted("a")); err != nil || n != i {
			t.Fatal(n, err)
		}
	}
	if v, err := s.Get(t.Context(), "a"); err != nil || v.Checks != 5 {
		t.Fatalf("before: %+v, %v", v, err)
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get(t.Context(), "a"); err != nil || v.Checks != 5 {
		t.Errorf("after the fold: %d checks, %v; 5 were answered", v.Checks, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = quiet(t, Options{Path: path})
	if v, err := s.Get(t.Context(), "a"); err != nil || v.Checks != 5 {
		t.Errorf("after a reopen: %d checks, %v; 5 were answered", v.Checks, err)
	}
}

// TestHalfErased opens a log of which a generation that is in its tables was erased in
// part.
func TestHalfErased(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := quiet(t, Options{Path: path})
	var at []int64
	for _, id := range []string{"a", "b", "c"} {
		at = append(at, s.files.tail)
		if _, err := s.Do(t.Context(), made(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.submit(t.Context(), request{turn: true}); err != nil {
		t.Fatal(err)
	}
	old, _, err := s.keeper.foldOld() // committed; forget comes next
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := s.files.forgetBite(old.number, at[0], at[1]); gone || err != nil { // so far it came
		t.Fatal(gone, err)
	}
	drop(t, s)
	s, err = Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatalf("all is in the tables, and: %v", err)
	}
	_ = s.Close()
}

// TestForgetKilledBetweenBites is killed while a generation is erased: a number that
// is purged later is readable nowhere.
func TestForgetKilledBetweenBites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	now := time.Now()
	o := Options{Path: path, Now: func() time.Time { return now }}
	s := quiet(t, o)
	big := strings.Repeat("x", 60<<10)
	for i := range 8 {
		op := made(fmt.Sprint(i))
		decide := op.Decide
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := decide(now, s, v)
			if err == nil {
				d.Verification.Metadata = map[string]string{"p": big}
			}
			return d, err
		}
		if _, err := s.Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.submit(t.Context(), request{turn: true}); err != nil {
		t.Fatal(err)
	}
	old, _, err := s.keeper.foldOld()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.files.forgetBite(old.number, headerSize, 256<<10); err != nil {
		t.Fatal(err)
	}
	drop(t, s)
	s = quiet(t, o)
	now = now.Add(100 * 24 * time.Hour)
	for n := 1; n > 0; {
		if n, err = s.Purge(t.Context(), now, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // whole generations later
		if _, err := s.Do(t.Context(), made("z")); err != nil {
			t.Fatal(err)
		}
		if err := s.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(100 * 24 * time.Hour)
	for n := 1; n > 0; {
		if n, err = s.Purge(t.Context(), now, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-redo0", path + "-redo1"} {
		data, _ := os.ReadFile(name)
		if n := bytes.Count(data, []byte("+14155552671")); n > 0 {
			t.Errorf("%s has a purged number %d times", filepath.Base(name), n)
		}
	}
}

// TestRecoveredIsNotAllAppended fails a sync and gives the page up, as the kernel may.
// Who was run beside that sync is not told that all is well.
func TestRecoveredIsNotAllAppended(t *testing.T) {
	t.Parallel()
	s := quiet(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	run := func(id string) (from int64) {
		from = s.files.tail
		op := made(id)
		if err := s.writer.run([]request{{op: &op}}, make([]commit.Result[any], 1)); err != nil {
			t.Fatal(err)
		}
		return from
	}
	a := run("a")
	b := run("b")                                                                     // while a is synced
	if _, err := s.files.f[s.files.gen%2].WriteAt(make([]byte, b-a), a); err != nil { // a's page as the disk has it
		t.Fatal(err)
	}
	s.files.fail(errors.New("EIO"))                                                    // a's fdatasync
	if err := s.writer.run([]request{{}}, make([]commit.Result[any], 1)); err != nil { // the next batch recovers
		t.Fatal(err)
	}
	run("c")
	if err := s.writer.turn(); err != nil { // which pushes c, and says nothing of b
		t.Fatal(err)
	}
	if err := s.files.sync(); err == nil { // b's sync: its callers are answered
		t.Error("b's callers are told that all is well")
	}
}

// TestCopyPutBack puts an older copy of the database beside files that are done with.
func TestCopyPutBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := quiet(t, Options{Path: path})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)
	s = quiet(t, Options{Path: path})
	for i := range 6 {
		if _, err := s.Do(t.Context(), made(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if err := s.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	s = quiet(t, Options{Path: path})
	for range 3 {
		_, _ = s.Get(t.Context(), "x")
		if s.files.foreign() || s.files.check() != nil {
			t.Errorf("nobody else is there: foreign %t, %v (each look recovers)", s.files.foreign(), s.files.check())
		}
	}
}

// TestEventsOfAnother looks for an event that was written through another store.
func TestEventsOfAnother(t *testing.T) {
	t.Parallel()
	o := Options{Path: filepath.Join(t.TempDir(), "a.db")}
	a, b := quiet(t, o), quiet(t, o)
	op := made("v")
	decide := op.Decide
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, err := decide(now, s, v)
		d.Events = []verify.Event{{ID: "e", App: "app", Type: "t", Key: "v", CreatedAt: now, Payload: []byte("{}")}}
		return d, err
	}
	if _, err := b.Do(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	drop(t, b)
	events, err := a.ClaimEvents(t.Context(), "app", 10, time.Minute)
	if err != nil || len(events) != 1 {
		t.Errorf("claimed are %d events, %v", len(events), err)
	}
	if events, err = a.OldestEvents(t.Context(), 10); err != nil || len(events) != 1 {
		t.Errorf("the oldest are %d events, %v", len(events), err)
	}
}

// TestSymlink opens one file by two names: it has one log, and one lock.
func TestSymlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "real.db")
	link := filepath.Join(t.TempDir(), "link.db")
	a := quiet(t, Options{Path: file})
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	b := quiet(t, Options{Path: link})
	if _, err := a.Do(t.Context(), made("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Do(t.Context(), made("b")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for _, id := range []string{"a", "b"} {
			if _, err := s.Get(t.Context(), id); err != nil {
				t.Errorf("%s: %s was answered: %v", filepath.Base(path), id, err)
			}
		}
		_ = s.Close()
	}
}
