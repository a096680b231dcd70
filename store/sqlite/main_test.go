package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// What the test binary does when a test runs it again, as a process that can be
// killed or brought into trouble of its own.
const (
	childEnv    = "SIXDIGIT_STORE_CHILD"
	pathEnv     = "SIXDIGIT_STORE_PATH"
	childWrites = "writes"
	childFull   = "full disk"
	childLocked = "read-only folder"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		goleak.VerifyTestMain(m)
		return
	case childWrites:
		err = writeUntilKilled(os.Getenv(pathEnv))
	case childFull:
		err = fillDisk(os.Getenv(pathEnv))
	case childLocked:
		err = useLockedFolder(os.Getenv(pathEnv))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child prepares a run of the test binary.
func child(t *testing.T, what, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) // #nosec G204 -- ourselves
	cmd.Env = append(append(os.Environ(), childEnv+"="+what, pathEnv+"="+path), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// start makes a verification of a subject that has the same name.
func start(id string) verify.Op {
	var key verify.SubjectKey
	copy(key[:], id)
	return verify.Op{Subject: key, Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
		to, err := phone.Parse("+14155552671")
		if err != nil {
			return verify.Decision{}, err
		}
		v := &verify.Verification{ID: id, App: "app", Subject: key, To: to, Status: verify.StatusPending, CreatedAt: now.Local(), ExpiresAt: now.Add(10 * time.Minute).Local()}
		s.Pending = append(s.Pending, verify.Pending{ID: id, ExpiresAt: v.ExpiresAt})
		return verify.Decision{Result: id, Verification: v, Subject: s}, nil
	}}
}

// count adds a check to a verification and returns how many it has.
func count(id string) verify.Op {
	return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Checks++
		return verify.Decision{Result: v.Checks, Verification: v}, nil
	}}
}

func do(t *testing.T, s *sqlite.Store, op verify.Op) any {
	t.Helper()
	result, err := s.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// writeUntilKilled starts verifications and writes each id out once Do has
// returned.
func writeUntilKilled(path string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	errs := make(chan error)
	for g := range 16 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, n)
				if _, err := s.Do(context.Background(), start(id)); err != nil {
					errs <- err
					return
				}
				if _, err := fmt.Println(id); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

// TestKill kills a process that writes, several times on one file, and looks for
// everything that it had been told was kept.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kill.db")
	acknowledged := map[string]bool{}
	for round := range 4 {
		// The writer lives in another time zone than the reader.
		cmd := child(t, childWrites, path, "TZ=Asia/Kathmandu")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // what came before the kill has been read
			}
			acknowledged[strings.TrimSpace(line)] = true
			if n == 200*(round+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
		if len(acknowledged) < 200*(round+1) {
			t.Fatalf("round %d: the writer ended by itself after %d", round, len(acknowledged))
		}
		s := open(t, sqlite.Options{Path: path})
		for id := range acknowledged {
			v, err := s.Get(t.Context(), id)
			if err != nil {
				t.Fatalf("round %d: %s was acknowledged: %v", round, id, err)
			}
			if age := time.Since(v.CreatedAt); v.CreatedAt.Location() != time.UTC || age < -time.Minute || age > time.Hour {
				t.Fatalf("made at %s, read at %s", v.CreatedAt, time.Now())
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d operations acknowledged and found", len(acknowledged))
}

// unavailable returns an error unless err is verify.ErrUnavailable.
func unavailable(when string, err error) error {
	switch {
	case errors.Is(err, verify.ErrUnavailable):
		return nil
	case err == nil:
		return errors.New(when + ": no error")
	default:
		return fmt.Errorf("%s: %w", when, err)
	}
}

// fillDisk lets the disk, as this process sees it, become full and be emptied
// again.
func fillDisk(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	var kept []string
	write := func(round string) error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		for i := range 100 {
			wg.Go(func() {
				id := fmt.Sprintf("%s-%d", round, i)
				_, err := s.Do(ctx, start(id))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				} else {
					kept = append(kept, id)
				}
			})
		}
		wg.Wait()
		return failed
	}
	if err := write("before"); err != nil {
		return err
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	for round := range 3 {
		wal, err := os.Stat(path + "-wal")
		if err != nil {
			return err
		}
		full := was
		full.Cur = uint64(wal.Size()) + 2000 // #nosec G115 -- a file's size; in the middle of a page
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
			return err
		}
		if err := unavailable("writing to a full disk", write(fmt.Sprintf("full%d", round))); err != nil {
			return err
		}
		if err := unavailable("ready on a full disk", s.Ready(ctx)); err != nil {
			return err
		}
		if _, err := s.Get(ctx, "before-7"); err != nil {
			return fmt.Errorf("reading from a full disk: %w", err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			return err
		}
		if err := errors.Join(s.Ready(ctx), write(fmt.Sprintf("after%d", round))); err != nil {
			return fmt.Errorf("after the disk was full: %w", err)
		}
	}
	if len(kept) < 400 {
		return fmt.Errorf("only %d operations were kept", len(kept))
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = sqlite.Open(ctx, sqlite.Options{Path: path}); err != nil {
		return err
	}
	for _, id := range kept {
		if _, err := s.Get(ctx, id); err != nil {
			return fmt.Errorf("%s was kept: %w", id, err)
		}
	}
	return s.Close()
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	if err := child(t, childFull, filepath.Join(t.TempDir(), "full.db")).Run(); err != nil {
		t.Fatal(err)
	}
}

// nobody is a user who may write nowhere.
const nobody = 65534

// useLockedFolder opens a store in a folder that this user may not write to, and
// again when it may.
func useLockedFolder(path string) error {
	if os.Getuid() == 0 { // whom no mode stops
		if err := syscall.Setuid(nobody); err != nil {
			return err
		}
	}
	ctx := context.Background()
	_, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if fault := unavailable("a read-only folder", err); fault != nil {
		return fault
	}
	if !strings.Contains(err.Error(), path) {
		return fmt.Errorf("which folder? %w", err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil { // #nosec G302 -- a folder
		return err
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return fmt.Errorf("when the folder can be written: %w", err)
	}
	if err := errors.Join(s.Ready(ctx), s.Close()); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o400); err != nil {
		return err
	}
	_, err = sqlite.Open(ctx, sqlite.Options{Path: path})
	return unavailable("a read-only file", err)
}

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "sixdigit-store") //nolint:usetesting // Another user must get into it.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o500); err != nil { // #nosec G302 -- a folder
		t.Fatal(err)
	}
	if err := child(t, childLocked, filepath.Join(dir, "locked.db")).Run(); err != nil {
		t.Fatal(err)
	}
}
