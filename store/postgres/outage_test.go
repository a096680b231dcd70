package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// quickly is how soon a store must say that its database does not answer.
const quickly = 8 * time.Second

// down fails unless every method says quickly that the store is unavailable.
func down(t *testing.T, when string, s *postgres.Store) {
	t.Helper()
	var wg sync.WaitGroup
	for what, call := range map[string]func() error{
		"Do":    func() error { _, err := s.Do(t.Context(), start(idOf(time.Now(), 99))); return err },
		"Get":   func() error { _, err := s.Get(t.Context(), "x"); return err },
		"Due":   func() error { _, err := s.Due(t.Context(), 5); return err },
		"Purge": func() error { _, err := s.Purge(t.Context(), time.Now(), 5); return err },
		"Ready": func() error { return s.Ready(t.Context()) },
	} {
		wg.Go(func() {
			began := time.Now()
			if err := call(); !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("%s: %s: %v", when, what, err)
			}
			took := time.Since(began)
			t.Logf("%s: %s took %s", when, what, took.Round(time.Millisecond))
			if took > quickly {
				t.Errorf("%s: %s took %s", when, what, took)
			}
		})
	}
	wg.Wait()
}

// back waits until the store works again by itself.
func back(t *testing.T, when string, s *postgres.Store) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(time.Millisecond) {
		err := s.Ready(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", when, err)
		}
	}
}

// TestTheDatabaseGoesAway stops, kills and freezes a server of its own, and
// breaks the way to it.
func TestTheDatabaseGoesAway(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	proxy := pgtest.NewProxy(t, server)
	s := open(t, postgres.Options{URL: secret.New(proxy.URL(name(server.Database(t))))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	counted := 0
	again := func(when string) {
		t.Helper()
		back(t, when, s)
		counted++
		if n := do(t, s, count(id)); n != counted {
			t.Errorf("%s: counted %v, want %d", when, n, counted)
		}
	}
	restart := func() {
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	again("at first")
	s.Idle() // what is under way when it happens has to be asked after
	server.Stop()
	down(t, "stopped", s)
	restart()
	again("stopped and started")
	s.Idle()
	server.Kill()
	down(t, "killed", s)
	restart()
	again("killed and started")
	s.Idle()
	resume, err := server.Pause()
	if err != nil {
		t.Fatal(err)
	}
	down(t, "frozen", s)
	resume()
	again("frozen and thawed")
	s.Idle()
	speak := proxy.Silence()
	down(t, "silent", s)
	speak()
	again("silent and not any more")

	// While there is traffic, the first who calls may have to be asked after.
	speak = proxy.Silence()
	began := time.Now()
	if err := s.Ready(t.Context()); !errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("in the middle of traffic: %v", err)
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("in the middle of traffic that took %s", took)
	}
	speak()
	again("silent in the middle of traffic")

	// Nobody notices a server that is started anew between two calls.
	for range 3 {
		proxy.CutAll()
		counted++
		if n := do(t, s, count(id)); n != counted {
			t.Errorf("after a cut: counted %v, want %d", n, counted)
		}
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("after a cut: %v", err)
		}
	}
	server.Stop()
	restart()
	again("started anew")
}

// TestSilenceIsKnown: once somebody has waited in vain, others are told at once,
// but for the one who finds out whether the server answers again.
func TestSilenceIsKnown(t *testing.T) {
	t.Parallel()
	server := shared.Server(t)
	proxy := pgtest.NewProxy(t, server)
	url := secret.New(proxy.URL(name(server.Database(t))))
	s := open(t, postgres.Options{URL: url})
	keys, err := postgres.OpenKeys(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	speak := proxy.Silence()
	defer speak()
	calls := map[string]func() error{
		"Do":   func() error { _, err := s.Do(t.Context(), start(idOf(time.Now(), 1))); return err },
		"Get":  func() error { _, err := s.Get(t.Context(), "x"); return err },
		"ByID": func() error { _, err := keys.ByID(t.Context(), "x"); return err },
	}
	var all sync.WaitGroup
	for what, call := range calls {
		all.Go(func() {
			began := time.Now()
			if err := call(); !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(began); took > quickly {
				t.Errorf("%s: the first took %s", what, took)
			}
			var slow atomic.Int32
			var crowd sync.WaitGroup
			for range 50 {
				crowd.Go(func() {
					began := time.Now()
					if err := call(); !errors.Is(err, verify.ErrUnavailable) {
						t.Errorf("%s: %v", what, err)
					}
					if time.Since(began) > time.Second {
						slow.Add(1)
					}
				})
			}
			crowd.Wait()
			if n := slow.Load(); n > 1 {
				t.Errorf("%s: %d of 50 had to wait", what, n)
			}
		})
	}
	all.Wait()
	speak()
	back(t, "not silent any more", s)
	for deadline := time.Now().Add(quickly); ; time.Sleep(time.Millisecond) {
		_, err := s.Get(t.Context(), "x")
		_, keyErr := keys.ByID(t.Context(), "x")
		if errors.Is(err, verify.ErrNotFound) && errors.Is(keyErr, access.ErrNoKey) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not silent any more: %v, %v", err, keyErr)
		}
	}
}

// TestADeadlockRunsAgain lets somebody else lock rows in another order than the
// store does.
func TestADeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	id, ctx := idOf(time.Now(), 1), t.Context()
	do(t, s, start(id))
	do(t, s, start(id, charge(1)))
	s = open(t, postgres.Options{URL: secret.New(url)}) // one that remembers no rows locks them all
	other, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	exec := func(q string, args ...any) {
		t.Helper()
		if _, err := other.Exec(ctx, q, args...); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	limit := charge(1)
	exec(`BEGIN`)
	// The store is the one that finds out.
	exec(`SET deadlock_timeout = '1min'`)
	exec(`SELECT FROM counters WHERE place = $1 FOR UPDATE`, int64(limit.Key.Place()))
	var runs atomic.Int32
	op := count(id)
	inner := op.Decide
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		runs.Add(1)
		d, err := inner(now, s, v)
		d.Charges = []verify.Charge{limit}
		return d, err
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Do(context.Background(), op)
		done <- err
	}()
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		query(t, url, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`, &waiting)
	}
	exec(`SELECT FROM verifications WHERE id = $1 FOR UPDATE`, id) // here we meet
	exec(`COMMIT`)
	if err := <-done; err != nil || runs.Load() < 2 {
		t.Errorf("%d runs, %v", runs.Load(), err)
	}
	if v, err := s.Get(ctx, id); err != nil || v.Checks != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	deadlocks := 0
	for range 1000 { // the server counts when it comes to it
		if query(t, url, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`, &deadlocks); deadlocks > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if deadlocks == 0 {
		t.Error("there was no deadlock")
	}
}

// TestARowThatStaysLocked holds a row for longer than anybody waits.
func TestARowThatStaysLocked(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	id, ctx := idOf(time.Now(), 1), t.Context()
	do(t, s, start(id))
	other, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	if _, err := other.Exec(ctx, `BEGIN; SELECT FROM verifications FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := s.Do(ctx, count(id)); !errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("Do: %v", err)
	}
	if took := time.Since(began); took > quickly {
		t.Errorf("that took %s", took)
	}
	if _, err := other.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if n := do(t, s, count(id)); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestAnIdleTransactionIsEnded: a replica that holds rows and says nothing more
// holds up the others for seconds, not for as long as its connection lasts.
func TestAnIdleTransactionIsEnded(t *testing.T) {
	t.Parallel()
	url := database(t)
	one, other := open(t, postgres.Options{URL: secret.New(url)}), open(t, postgres.Options{URL: secret.New(url)})
	id := idOf(time.Now(), 1)
	do(t, one, start(id))
	begun, gate, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	wake := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(wake) // or its store would never close
	var runs atomic.Int32
	op := count(id)
	inner := op.Decide
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if runs.Add(1) == 1 {
			close(begun)
			<-gate
		}
		return inner(now, s, v)
	}
	go func() {
		_, err := one.Do(context.Background(), op)
		done <- err
	}()
	<-begun
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, err := other.Do(t.Context(), count(id))
		if err == nil {
			if n != 1 {
				t.Errorf("counted %v", n)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	wake()
	if err := <-done; err != nil || runs.Load() < 2 {
		t.Errorf("the one that slept: %d runs, %v", runs.Load(), err)
	}
	if v, err := other.Get(t.Context(), id); err != nil || v.Checks != 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	var sizes atomic.Int64
	s := open(t, postgres.Options{URL: secret.New(database(t)), Observe: func(n int, _ time.Duration) { sizes.Add(int64(n)) }})
	do(t, s, start(idOf(time.Now(), 1)))
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := sizes.Load(); n != 2 {
		t.Errorf("%d operations observed, want 2", n)
	}
	down(t, "closed", s)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	db := database(t)
	newer := database(t)
	open(t, postgres.Options{URL: secret.New(newer)})
	shared.Server(t).Exec(t, newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`, `UPDATE compatible SET oldest = 9999`)
	for url, want := range map[string]struct {
		text        string
		unavailable bool
	}{
		"":                                    {"connect", true}, // what the environment says, which is nothing here
		newer:                                 {"newer version", false},
		"nope":                                {"not understood", false},
		"postgres://user:hush@:not a port/db": {"not understood", false},
		strings.Replace(db, name(db), "nowhere", 1):    {"no such database", true},
		"postgres://u:hush@127.0.0.1:1/db":             {"refused", true},
		db + "&default_transaction_read_only=on":       {"it takes no writes", true},
		db + "&target_session_attrs=standby":           {"hot standby", true},
		"postgres://u:hush@127.0.0.1:1,127.0.0.1:2/db": {"refused", true},
	} {
		if url == "" {
			continue
		}
		_, err := postgres.Open(t.Context(), postgres.Options{URL: secret.New(url)})
		if err == nil || !strings.Contains(err.Error(), want.text) || errors.Is(err, verify.ErrUnavailable) != want.unavailable {
			t.Errorf("%s: %v, want %q", want.text, err, want.text)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("a password is in the error: %v", err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Open(canceled, postgres.Options{URL: secret.New(db)}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a dead context: %v", err)
	}
}
