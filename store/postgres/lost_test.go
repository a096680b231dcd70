package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestLostCommits cuts the connection at every other COMMIT, before it arrives,
// while it runs, or before its answer arrives: whatever Do returns is true, and
// nothing happens twice.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	server := shared.Server(t)
	direct := server.Database(t)
	proxy := pgtest.NewProxy(t, server)
	s := open(t, postgres.Options{URL: secret.New(proxy.URL(name(direct)))})
	const counters, callers, each = 4, 16, 140
	for i := range counters {
		do(t, s, start(idOf(time.Now(), i)))
	}
	var cuts [pgtest.CutAndSilent]atomic.Int32
	proxy.AtCommit(func() pgtest.Cut { // by one connection at a time, the writer's
		cut := pgtest.Cut(chance.IntN(2 * len(cuts)))
		if int(cut) >= len(cuts) {
			cut = pgtest.CutNowhere
		}
		cuts[cut].Add(1)
		return cut
	})
	var told [counters]atomic.Int32
	var approved atomic.Int32
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				n := (c + i) % counters
				if _, err := s.Do(context.Background(), count(idOf(time.Now(), n))); err != nil {
					t.Errorf("count: %v", err)
					return
				}
				told[n].Add(1)
				// A verification of its own, and two right codes for it at once.
				id := idOf(time.Now(), 1000+c*each+i)
				if _, err := s.Do(context.Background(), start(id)); err != nil {
					t.Errorf("start: %v", err)
					return
				}
				var both sync.WaitGroup
				for range 2 {
					both.Go(func() {
						if ok, err := s.Do(context.Background(), approve(id)); err != nil {
							t.Errorf("approve: %v", err)
						} else if ok == true {
							approved.Add(1)
						}
					})
				}
				both.Wait()
			}
		})
	}
	wg.Wait()
	proxy.AtCommit(func() pgtest.Cut { return pgtest.CutNowhere })
	lost := 0
	for i := range cuts[1:] {
		lost += int(cuts[i+1].Load())
	}
	t.Logf("%d commits were cut of %d; the seed was %d", lost, lost+int(cuts[0].Load()), seed)
	if lost < 200 {
		t.Errorf("only %d commits were cut", lost)
	}
	if n := approved.Load(); n != callers*each {
		t.Errorf("%d right codes were answered with yes, want %d", n, callers*each)
	}
	other := open(t, postgres.Options{URL: secret.New(direct)})
	for n := range told {
		v, err := other.Get(t.Context(), idOf(time.Now(), n))
		if err != nil || v.Checks != int(told[n].Load()) {
			t.Errorf("counter %d: %v, %v; %d calls were told that they count (seed %d)", n, v, err, told[n].Load(), seed)
		}
	}
}

// name is the database's name in a URL of the test server.
func name(url string) string {
	path, _, _ := strings.Cut(url, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// TestALostCommitIsHeld lets the answer to a COMMIT never come while the
// connection stays open: within seconds the truth is known.
func TestALostCommitIsHeld(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	db := server.Database(t)
	proxy := pgtest.NewProxy(t, server)
	s := open(t, postgres.Options{URL: secret.New(proxy.URL(name(db)))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	var once atomic.Bool
	proxy.AtCommit(func() pgtest.Cut {
		if once.CompareAndSwap(false, true) {
			return pgtest.CutAndSilent
		}
		return pgtest.CutNowhere
	})
	if n := do(t, s, count(id)); n != 1 {
		t.Errorf("counted %v", n)
	}
	if n := do(t, s, count(id)); n != 2 {
		t.Errorf("counted %v", n)
	}
}

// TestNobodyKnows cuts a COMMIT, and the way to the database with it: in the
// end Do says that the store is unavailable, and everything before and after is
// answered quickly.
func TestNobodyKnows(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	db := server.Database(t)
	proxy := pgtest.NewProxy(t, server)
	s := open(t, postgres.Options{URL: secret.New(proxy.URL(name(db)))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	resume := make(chan func(), 1)
	proxy.AtCommit(func() pgtest.Cut {
		resume <- proxy.Silence()
		return pgtest.CutAfter
	})
	lost := make(chan error, 1)
	go func() {
		_, err := s.Do(context.Background(), count(id))
		lost <- err
	}()
	open := <-resume
	defer open()
	began := time.Now()
	if _, err := s.Do(t.Context(), count(id)); !errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("without a way to the database: %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("that took %s", took)
	}
	err := <-lost
	if !errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("the lost one: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("that took %s", took)
	}
	proxy.AtCommit(func() pgtest.Cut { return pgtest.CutNowhere })
	open()
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, err := s.Do(t.Context(), count(id))
		if err == nil && (n == 1 || n == 2) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("with the way open again: %v, %v", n, err)
		}
	}
}

// TestACommitWithoutItsStandby lets somebody cancel a COMMIT that waits for a
// standby. The server says that it is done, and that a failover may undo it: Do
// must not return before a standby has it.
func TestACommitWithoutItsStandby(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	url := server.Database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	// Only from here on does every COMMIT wait: a server heeds a setting some time
	// after it was told to.
	if err := server.AwaitStandby("absent"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		n, err := s.Do(context.Background(), count(id))
		if err == nil && n != 1 {
			err = fmt.Errorf("counted %v", n)
		}
		done <- err
	}()
	waits := func(query string) string {
		return `SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '` + query + `'`
	}
	wait := func(asking string) (pid int) {
		for deadline := time.Now().Add(10 * time.Second); pid == 0; time.Sleep(time.Millisecond) {
			if query(t, url, waits(asking), &pid); time.Now().After(deadline) {
				t.Fatalf("nobody waits in %q", asking)
			}
		}
		return pid
	}
	pid := wait("COMMIT")
	server.Exec(t, url, fmt.Sprintf(`SELECT pg_cancel_backend(%d)`, pid))
	wait("UPDATE writers SET asked%")
	select {
	case err := <-done:
		t.Fatalf("Do returned %v, and no standby knows", err)
	default:
	}
	server.Exec(t, url, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
