package pgtest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/pgtest"
)

func cluster(t *testing.T) *pgtest.Cluster {
	t.Helper()
	c, err := pgtest.OpenCluster()
	pgtest.Check(t, err)
	data := []string{c.Primary().Data(), c.Standby().Data()}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, dir := range data {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a server's files are left behind: %v", err)
			}
		}
	})
	return c
}

// TestCluster fails over twice, so that each server was both. What was confirmed
// is there afterwards, and what was not is not: the standby is away just before.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	url := c.URL("postgres")
	c.Primary().Exec(t, url, `CREATE TABLE t (n integer)`)
	count := func() int {
		t.Helper()
		n, err := ask(t, url, `SELECT count(*) FROM t`, patient)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 2 {
		if err := c.Synchronous(); err != nil {
			t.Fatal(err)
		}
		c.Primary().Exec(t, url, `INSERT INTO t VALUES (1)`)
		if _, err := ask(t, c.Standby().URL("postgres"), `INSERT INTO t VALUES (0) RETURNING n`, patient); err == nil {
			t.Error("the standby takes writes")
		}
		c.Standby().Stop()
		if _, err := ask(t, url, `INSERT INTO t VALUES (2) RETURNING n`, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without the standby a commit was answered with %v", err)
		}
		c.Primary().Kill()
		if err := c.Standby().Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, url, `SELECT 1`, patient); err == nil {
			t.Error("the standby is taken for a primary")
		}
		if err := c.Promote(); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != round+1 {
			t.Errorf("%d rows after %d failovers", n, round+1)
		}
		if err := c.Rejoin(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(url, pgtest.User+":", pgtest.User+":x", 1)); err == nil {
		t.Error("a wrong password will do")
	}
}

// TestAwaitStandby: from its return on commits wait, and they did not before.
func TestAwaitStandby(t *testing.T) {
	t.Parallel()
	s := server(t)
	url := s.Database(t)
	s.Exec(t, url, `CREATE TABLE t (n integer)`)
	if err := s.AwaitStandby("absent"); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, url, `INSERT INTO t VALUES (1) RETURNING n`, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a commit was answered with %v", err)
	}
}

func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	s := server(t)
	s.Database(t)
	p := pgtest.NewProxy(t, s)
	conn, err := pgx.Connect(t.Context(), p.URL("test1"))
	if err != nil {
		t.Fatal(err)
	}
	resume := p.Refuse()
	if _, err := conn.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("a connection was not cut")
	}
	<-conn.PgConn().CleanupDone()
	if _, err := ask(t, p.URL("test1"), `SELECT 1`, patient); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a newcomer was answered with %v", err)
	}
	resume()
	if n, err := ask(t, p.URL("test1"), `SELECT 1`, patient); n != 1 || err != nil {
		t.Errorf("and let in again: %d, %v", n, err)
	}
}
