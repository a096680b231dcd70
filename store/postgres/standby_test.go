package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// ownServer is a server for one test.
func ownServer(t *testing.T) *pgtest.Server {
	t.Helper()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// looker asks a server about its connections.
type looker struct {
	*testing.T
	conn *pgx.Conn
}

func look(t *testing.T, url string) looker {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return looker{t, conn}
}

// count returns the one number that a query selects.
func (l looker) count(query string) (n int) {
	l.Helper()
	if err := l.conn.QueryRow(l.Context(), query).Scan(&n); err != nil {
		l.Fatalf("%s: %v", query, err)
	}
	return n
}

// processes counts those of which a condition holds.
func (l looker) processes(condition string) int {
	l.Helper()
	return l.count(`SELECT count(*) FROM pg_stat_activity WHERE ` + condition)
}

// await waits until there is a process of which a condition holds.
func (l looker) await(condition string) {
	l.Helper()
	for deadline := time.Now().Add(20 * time.Second); l.processes(condition) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatalf("nobody is at it: %s", condition)
		}
	}
}

// Conditions on processes: a COMMIT, or somebody who asks after one, waits for the
// standby, or for a lock.
const (
	commitWaits  = `wait_event = 'SyncRep' AND query = 'COMMIT'`
	askWaits     = `wait_event = 'SyncRep' AND query LIKE 'UPDATE writers SET asked%'`
	askIsBehind  = `wait_event_type = 'Lock' AND query LIKE 'UPDATE writers SET asked%'`
	replayWaits  = `wait_event_type = 'Lock' AND query NOT LIKE 'UPDATE writers SET asked%'`
	someoneWaits = `wait_event = 'SyncRep'`
)

// result is what a call of Do returned.
type result struct {
	value any
	err   error
}

func doBeside(s *postgres.Store, op verify.Op) <-chan result {
	done := make(chan result, 1)
	go func() {
		value, err := s.Do(context.Background(), op)
		done <- result{value, err}
	}()
	return done
}

// TestAnAbsentStandby lets a COMMIT wait for its standby longer than the store
// waits for the COMMIT: the store gives the connection up, and nobody sees the
// transaction before a standby has it.
func TestAnAbsentStandby(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	url := server.Database(t)
	one, other := open(t, postgres.Options{URL: secret.New(url)}), open(t, postgres.Options{URL: secret.New(url)})
	id := idOf(time.Now(), 1)
	do(t, one, start(id))
	l := look(t, url)
	if err := server.AwaitStandby("absent"); err != nil {
		t.Fatal(err)
	}
	op := approve(id)
	op.Idem = &verify.Idem{Key: mac("key"), Body: mac("body")}
	inner := op.Decide
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, err := inner(now, s, v)
		d.Idem = verify.IdemState{ID: id, Outcome: "valid"}
		return d, err
	}
	first := doBeside(one, op)
	l.await(commitWaits)
	l.await(askIsBehind) // the connection was given up
	pending := func(when string) {
		t.Helper()
		for _, s := range []*postgres.Store{one, other} {
			if v, err := s.Get(t.Context(), id); err != nil || v.Status != verify.StatusPending {
				t.Errorf("%s: %v, %v", when, v, err)
			}
		}
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		pending("the standby is away")
	}
	replay := doBeside(other, op)
	l.await(replayWaits)
	if n := l.processes(commitWaits); n != 1 {
		t.Errorf("%d commits wait for the standby", n)
	}
	select {
	case r := <-first:
		t.Errorf("the first call returned %v, %v", r.value, r.err)
	case r := <-replay:
		t.Errorf("the second call returned %v, %v", r.value, r.err)
	default:
	}
	pending("just before the standby is back")
	server.Exec(t, url, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	if r := <-first; r.err != nil || r.value != true {
		t.Errorf("the first call: %v, %v", r.value, r.err)
	}
	r := <-replay
	if replayed, ok := r.value.(*verify.Replayed); r.err != nil || !ok || replayed.Outcome != "valid" {
		t.Errorf("the second call: %v, %v", r.value, r.err)
	}
}

// TestCancelsProveNothing ends every wait for the standby, again and again, also
// that of whoever asks what became of a COMMIT: Do does not return before the
// standby is there.
func TestCancelsProveNothing(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	url := server.Database(t)
	// Also where a database or a role has its connections hear no warnings.
	one, other := open(t, postgres.Options{URL: secret.New(url + "&client_min_messages=error")}), open(t, postgres.Options{URL: secret.New(url)})
	ids := []string{idOf(time.Now(), 1), idOf(time.Now(), 2)}
	do(t, one, start(ids[0]))
	do(t, other, start(ids[1]))
	l := look(t, url)
	if err := server.AwaitStandby("absent"); err != nil {
		t.Fatal(err)
	}
	calls := []<-chan result{doBeside(one, count(ids[0])), doBeside(other, count(ids[1]))}
	for asks, deadline := 0, time.Now().Add(8*time.Second); asks < 6; time.Sleep(time.Millisecond) {
		asks += l.count(`SELECT count(*) FILTER (WHERE asks AND done) FROM (SELECT ` + askWaits + ` AS asks, pg_cancel_backend(pid) AS done FROM pg_stat_activity WHERE ` + someoneWaits + ` OFFSET 0) AS c`)
		for _, call := range calls {
			select {
			case r := <-call:
				t.Fatalf("Do returned %v, %v, and no standby knows", r.value, r.err)
			default:
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d asks were canceled", asks)
		}
	}
	server.Exec(t, url, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	for _, call := range calls {
		if r := <-call; r.err != nil || r.value != 1 {
			t.Errorf("with the standby: %v, %v", r.value, r.err)
		}
	}
}

// TestACommitIsRefused lets a COMMIT fail in several ways, and the server warn of
// something: only where nobody can tell whether it happened is it asked after.
func TestACommitIsRefused(t *testing.T) {
	t.Parallel()
	const (
		atOnce   = `CREATE TRIGGER hook AFTER UPDATE ON subjects FOR EACH ROW EXECUTE FUNCTION hook()`
		atCommit = `CREATE CONSTRAINT TRIGGER hook AFTER UPDATE ON subjects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hook()`
	)
	for name, c := range map[string]struct {
		trigger, raise string
		asked          int
		fails          bool
	}{
		"no reason that undoes it":   {trigger: atCommit, raise: `EXCEPTION USING ERRCODE = 'P0001'`, asked: 1},
		"completion unknown":         {trigger: atCommit, raise: `EXCEPTION USING ERRCODE = '40003'`, asked: 1},
		"serialization":              {trigger: atCommit, raise: `EXCEPTION USING ERRCODE = '40001'`},
		"deadlock":                   {trigger: atCommit, raise: `EXCEPTION USING ERRCODE = '40P01'`},
		"a constraint":               {trigger: atCommit, raise: `EXCEPTION USING ERRCODE = '23514'`, fails: true},
		"an error before the COMMIT": {trigger: atOnce, raise: `EXCEPTION USING ERRCODE = 'P0001'`, fails: true},
		"a warning at the COMMIT":    {trigger: atCommit, raise: `WARNING 'w'`, asked: 1},
		"a warning before it":        {trigger: atOnce, raise: `WARNING 'w'`},
		"a notice at the COMMIT":     {trigger: atCommit, raise: `NOTICE 'n'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := quick.Server(t)
			url := server.Database(t)
			s := open(t, postgres.Options{URL: secret.New(url)})
			id := idOf(time.Now(), 1)
			do(t, s, start(id))
			// Once only: what a sequence counts is not undone.
			server.Exec(t, url, `CREATE SEQUENCE calls`,
				`CREATE FUNCTION hook() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('calls') = 1 THEN RAISE `+c.raise+`; END IF; RETURN NULL; END $$`,
				c.trigger)
			n, err := s.Do(t.Context(), count(id))
			switch {
			case c.fails && !errors.Is(err, verify.ErrUnavailable):
				t.Errorf("Do: %v, %v", n, err)
			case !c.fails && (err != nil || n != 1):
				t.Errorf("Do: %v, %v", n, err)
			}
			l := look(t, url)
			if asked := l.count(`SELECT count(*) FROM writers WHERE asked > 0`); asked != c.asked {
				t.Errorf("asked after %d times, want %d", asked, c.asked)
			}
			if n := l.count(`SELECT last_value FROM calls WHERE is_called`); n < 1 {
				t.Error("nothing was raised")
			}
		})
	}
}

// TestAnAbsentStandbyKeepsFewWaiting: while no standby is there the store tries to
// connect again and again, and leaves behind the COMMIT it has given up, no more.
func TestAnAbsentStandbyKeepsFewWaiting(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	url := server.Database(t)
	s := open(t, postgres.Options{URL: secret.New(url + "&connect_timeout=1")})
	l := look(t, url)
	if err := server.AwaitStandby("absent"); err != nil {
		t.Fatal(err)
	}
	lost := doBeside(s, start(idOf(time.Now(), 0)))
	l.await(commitWaits)
	var tries int
	for until := time.Now().Add(8 * time.Second); time.Now().Before(until); tries++ {
		if _, err := s.Do(t.Context(), start(idOf(time.Now(), 1))); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("without a standby: %v", err)
		}
	}
	if tries < 2 {
		t.Errorf("only %d calls", tries)
	}
	// The first batch; and a connection that is being made.
	if n := l.processes(someoneWaits); n > 2 {
		t.Errorf("%d processes of the server wait", n)
	}
	server.Exec(t, url, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	back(t, "with the standby", s)
	<-lost
}
