package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	loopback = "127.0.0.1"
	// standbyName is what a standby calls itself to its primary.
	standbyName = "standby"
	// nobody is a standby that there never is.
	nobody = "nobody"
)

// Cluster is a primary and a standby, which streams all that the primary writes.
// Each has a port of its own on loopback, which it keeps, and a password.
type Cluster struct {
	nodes   [2]*Server
	primary int
}

// OpenCluster starts a primary and its standby. The primary does not wait for the
// standby until Synchronous is called. settings are Open's, for both.
func OpenCluster(settings ...string) (*Cluster, error) {
	c, password := &Cluster{}, rand.Text()
	for i := range c.nodes {
		// A standby looks again for its primary, and whether it is promoted, after
		// so long; after 5 s otherwise.
		s, err := newServer(append([]string{"wal_retrieve_retry_interval=100ms"}, settings...))
		if err == nil {
			c.nodes[i], s.password = s, password
			s.port, err = freePort()
		}
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start() error {
	if err := c.Primary().init(); err != nil {
		return err
	}
	if err := c.Primary().Start(); err != nil {
		return err
	}
	return c.Rejoin()
}

// freePort finds a port on loopback that its server can have again after it was
// down: below those that systems give to outgoing connections.
func freePort() (int, error) {
	for range 100 {
		port := 20_000 + int(mathrand.Uint64()%10_000) // #nosec G115 G404 -- small, and no secret
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return port, ln.Close()
		}
	}
	return 0, errors.New("pgtest: no port is free")
}

// Primary is the server that takes writes, or did until it went down.
func (c *Cluster) Primary() *Server { return c.nodes[c.primary] }

// Standby is the other one.
func (c *Cluster) Standby() *Server { return c.nodes[1-c.primary] }

// URL is the address of a database: both servers, and whichever takes writes.
func (c *Cluster) URL(database string) string {
	var hosts []string
	for _, s := range c.nodes {
		hosts = append(hosts, net.JoinHostPort(loopback, strconv.Itoa(s.port)))
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(User, c.nodes[0].password), Host: strings.Join(hosts, ","), Path: "/" + database,
		RawQuery: "sslmode=disable&target_session_attrs=read-write",
	}
	return u.String()
}

// Synchronous lets the primary confirm no commit before its standby has it on its
// disk.
func (c *Cluster) Synchronous() error { return c.Primary().AwaitStandby(standbyName) }

// Promote makes the standby the primary, which waits for no standby of its own.
// The one that was must be down.
func (c *Cluster) Promote() error {
	err := c.Standby().run(`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`, `SELECT pg_promote(true, 60)`)
	if err == nil {
		c.primary = 1 - c.primary
	}
	return err
}

// Rejoin makes the server that is not the primary a new standby, from a copy of
// the primary. What it had is lost.
func (c *Cluster) Rejoin() error {
	primary, s := c.Primary(), c.Standby()
	s.Kill()
	s.forget()
	if err := os.RemoveAll(s.data()); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	cmd := s.command("pg_basebackup", "--pgdata", s.data(), "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
		"--dbname", fmt.Sprintf("host=%s port=%d user=%s application_name=%s", loopback, primary.port, User, standbyName))
	cmd.Env = append(cmd.Env, "PGPASSWORD="+primary.password)
	if err := s.perform(cmd); err != nil {
		return err
	}
	return s.Start()
}

// Close ends both servers and removes their files.
func (c *Cluster) Close() error {
	var all []error
	for _, s := range c.nodes {
		if s != nil {
			all = append(all, s.Close())
		}
	}
	return errors.Join(all...)
}

// AwaitStandby lets commits wait for a standby of that name, there or not. When it
// returns no further commit is confirmed without it.
//
// A server heeds a new setting some time after it was told to. So it is first told
// to wait for nobody, until a commit is seen to do so; from then on each waits.
func (s *Server) AwaitStandby(name string) error {
	const set = `ALTER SYSTEM SET synchronous_standby_names = '%s'`
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := s.run(fmt.Sprintf(set, nobody), `SELECT pg_reload_conf()`); err != nil {
		return err
	}
	probe, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() {
		_ = probe.Close(ctx)
		<-probe.PgConn().CleanupDone()
	}()
	look, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = look.Close(ctx) }()
	for waits := false; !waits; {
		if waits, err = commitWaits(ctx, probe, look); err != nil {
			return err
		}
	}
	return s.run(fmt.Sprintf(set, name), `SELECT pg_reload_conf()`)
}

// commitWaits commits something on one connection, and reports whether that waits
// for a standby, as seen on the other. Then it ends the wait.
func commitWaits(ctx context.Context, probe, look *pgx.Conn) (waits bool, err error) {
	done := make(chan error, 1)
	go func() {
		_, err := probe.Exec(ctx, `SELECT pg_logical_emit_message(true, '', '')`)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return waits, err
		case <-time.After(time.Millisecond):
		}
		// Its wait is canceled, not its transaction: that is only warned of.
		var n int
		err := look.QueryRow(ctx, `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'`, probe.PgConn().PID()).Scan(&n)
		if err != nil {
			return false, errors.Join(err, <-done)
		}
		waits = waits || n > 0
	}
}

// run runs statements as the server's owner, each by itself.
func (s *Server) run(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, q := range statements {
		if _, err := conn.Exec(ctx, q).ReadAll(); err != nil {
			return fmt.Errorf("pgtest: %s: %w", q, err)
		}
	}
	return nil
}
