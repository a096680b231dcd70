package pgtest_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T, settings ...string) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Open(settings...)
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Data()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the server's files are left behind: %v", err)
		}
	})
	return s
}

// ask runs a query for one number, on a connection of its own.
func ask(t *testing.T, url, query string, within time.Duration) (n int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = conn.Close(ctx)
		<-conn.PgConn().CleanupDone()
	}()
	return n, conn.QueryRow(ctx, query).Scan(&n)
}

const patient = time.Minute

func TestServer(t *testing.T) {
	t.Parallel()
	s := server(t, "work_mem=5MB")
	url := s.Database(t)
	s.Exec(t, url, `CREATE TABLE t (n integer)`, `INSERT INTO t VALUES (7)`)
	if n, err := ask(t, url, `SELECT setting::integer FROM pg_settings WHERE name = 'work_mem'`, patient); n != 5*1024 || err != nil {
		t.Errorf("work_mem is %d, %v", n, err)
	}
	if n, err := ask(t, url, `SELECT count(*) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'on'`, patient); n != 3 || err != nil {
		t.Errorf("%d settings make commits durable, want 3; %v", n, err)
	}
	if other := s.Database(t); other == url {
		t.Error("two databases are one")
	}
	for what, end := range map[string]func(){"stopped": s.Stop, "killed": s.Kill} {
		end()
		if _, err := ask(t, url, `SELECT n FROM t`, patient); err == nil {
			t.Errorf("%s: it answers", what)
		}
		if _, err := s.Pause(); err == nil {
			t.Errorf("%s: it can be paused", what)
		}
		if err := s.Start(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := s.Start(); err == nil {
			t.Error("it started twice")
		}
		if n, err := ask(t, url, `SELECT n FROM t`, patient); n != 7 || err != nil {
			t.Errorf("%s and started: %d, %v", what, n, err)
		}
	}
	resume, err := s.Pause()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, url, `SELECT n FROM t`, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("paused: %v", err)
	}
	resume()
	if n, err := ask(t, url, `SELECT n FROM t`, patient); n != 7 || err != nil {
		t.Errorf("and resumed: %d, %v", n, err)
	}
}

// TestProxyCuts cuts a transaction at its COMMIT in every way, and looks whether
// it happened.
func TestProxyCuts(t *testing.T) {
	t.Parallel()
	s := server(t)
	url := s.Database(t)
	s.Exec(t, url, `CREATE TABLE t (cut integer, mode text)`)
	p := pgtest.NewProxy(t, s)
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		for cut, want := range map[pgtest.Cut]int{pgtest.CutNowhere: 1, pgtest.CutBefore: 0, pgtest.CutBetween: -1, pgtest.CutAfter: 1, pgtest.CutAndSilent: 1} {
			p.AtCommit(func() pgtest.Cut { return cut })
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			conn, err := pgx.Connect(ctx, p.URL("test1")+"&default_query_exec_mode="+mode)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(ctx, `BEGIN`); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(ctx, `INSERT INTO t VALUES ($1, $2)`, int(cut), mode); err != nil {
				t.Fatal(err)
			}
			if _, err = conn.Exec(ctx, `COMMIT`); (err == nil) != (cut == pgtest.CutNowhere) {
				t.Errorf("%s, cut %d: %v", mode, cut, err)
			}
			if silent := errors.Is(err, context.DeadlineExceeded); silent != (cut == pgtest.CutAndSilent) {
				t.Errorf("%s, cut %d: %v", mode, cut, err)
			}
			_ = conn.Close(ctx)
			<-conn.PgConn().CleanupDone()
			cancel()
			for { // until the server has noticed
				if n, err := ask(t, url, `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`, patient); err != nil {
					t.Fatal(err)
				} else if n == 0 {
					break
				}
			}
			n, err := ask(t, url, `SELECT count(*) FROM t`, patient)
			if err != nil || want >= 0 && n != want {
				t.Errorf("%s, cut %d: %d rows, %v; want %d", mode, cut, n, err, want)
			}
			s.Exec(t, url, `DELETE FROM t`)
		}
	}
}

func TestProxySilence(t *testing.T) {
	t.Parallel()
	s := server(t)
	s.Database(t)
	p := pgtest.NewProxy(t, s)
	conn, err := pgx.Connect(t.Context(), p.URL("test1"))
	if err != nil {
		t.Fatal(err)
	}
	speak := p.Silence()
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), `SELECT 1`)
		answered <- err
	}()
	if _, err := ask(t, p.URL("test1"), `SELECT 1`, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent network: %v", err)
	}
	select {
	case err := <-answered:
		t.Errorf("a silent network has answered: %v", err)
	default:
	}
	speak()
	if err := <-answered; err != nil {
		t.Errorf("and when it is silent no more: %v", err)
	}
	p.CutAll()
	if _, err := conn.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("a connection was not cut")
	}
	<-conn.PgConn().CleanupDone()
}

func TestWithoutPostgreSQL(t *testing.T) {
	t.Setenv("SIXDIGIT_REQUIRE_POSTGRES", "")
	t.Setenv("SIXDIGIT_TEST_ALL", "")
	skips := &recorder{TB: t}
	pgtest.Check(skips, nil)
	if skips.skipped {
		t.Error("a test that can run was skipped")
	}
	if pgtest.Check(skips, pgtest.ErrNotInstalled); !skips.skipped {
		t.Error("a test that cannot run was not skipped")
	}
	for _, env := range []string{"SIXDIGIT_REQUIRE_POSTGRES", "SIXDIGIT_TEST_ALL"} {
		t.Setenv(env, "1")
		fatal := &recorder{TB: t}
		pgtest.Check(fatal, pgtest.ErrNotInstalled)
		if !fatal.failed {
			t.Errorf("%s is set, and a test that cannot run was skipped", env)
		}
		t.Setenv(env, "")
	}
}

// recorder is a test that only remembers that it failed.
type recorder struct {
	testing.TB
	failed, skipped bool
}

func (r *recorder) Helper()      {}
func (r *recorder) Fatal(...any) { r.failed = true }
func (r *recorder) Skip(...any)  { r.skipped = true }
