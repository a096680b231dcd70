package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What a database may keep us waiting for. A person waits for the answer, and
// another replica may hold what is asked for: seconds, not minutes.
const (
	connectWait = 2 * time.Second         // one connection to be made
	tripWait    = 3 * time.Second         // one round trip
	runWait     = 5 * time.Second         // a batch, beyond which it is not run again
	renewWait   = time.Second             // a lost connection to be made anew, which goes on beside
	maxPause    = 500 * time.Millisecond  // between two tries to connect, on average
	lockWait    = 1500 * time.Millisecond // for another transaction's row
	quickWait   = 100 * time.Millisecond  // for a row that was not locked in its turn
)

// settings hold for a transaction of the writer. They go along with its first
// statement, so that they hold behind a pooler too. Those that a server does not
// know are left out.
func settings(wait time.Duration) map[string]string {
	return map[string]string{
		"lock_timeout":      milliseconds(wait),
		"statement_timeout": milliseconds(tripWait - 500*time.Millisecond),
		// A transaction whose replica has vanished lets go of its rows.
		"idle_in_transaction_session_timeout": milliseconds(tripWait),
		// A COMMIT without its standby comes with a warning.
		"client_min_messages": "warning",
		// Rows are found by their keys. A plan that was made for a small table
		// must not read a large one.
		"enable_seqscan":   "off",
		"enable_hashjoin":  "off",
		"enable_mergejoin": "off",
		"plan_cache_mode":  "force_generic_plan",
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// configure reads a URL and fills in what it leaves open.
func configure(url string) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The parser hides passwords only where it understands the URL.
		return nil, errors.New("postgres: the address is not understood; it is like postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	conn := c.ConnConfig
	if conn.ConnectTimeout <= 0 || conn.ConnectTimeout > time.Minute { // pgx's own is two minutes
		conn.ConnectTimeout = connectWait
	}
	if conn.ValidateConnect == nil {
		// A standby takes no writes, and answers with what was true a moment ago.
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "sixdigit"
	}
	return c, nil
}

// session is one connection of the writer.
type session struct {
	line
	conn  *pgx.Conn
	id    []byte // of its row in writers
	batch int64  // the number of its last batch
	stamp int64  // and the batch's number are the version of what it writes
	doubt bool   // the COMMIT was refused, for a reason that undoes nothing
	clock serverClock

	begin, beginQuick string // the first statement of a transaction
	prepares          bool   // statements may be prepared
	prepared          map[string]*pgconn.StatementDescription
	times             bool // lock_timeout is known
	sent              bool // the last trip has left
	standbys          bool // a COMMIT waited for one, as of the last transaction
}

// line is what is said about a connection's COMMITs, beside their answers.
type line struct {
	warned bool // by the server, since this was set to false
	// sealed connections send no cancel request. pgx sends one when it gives a
	// connection up. A COMMIT that waits for a standby would end its wait, and
	// others would see what a failover may undo.
	sealed atomic.Bool
}

// errSealed is for a cancel request that is not made.
var errSealed = errors.New("postgres: nothing is canceled on this connection")

// attach makes the line that of the one connection made with c.
func (l *line) attach(c *pgconn.Config) {
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		// "The transaction has already committed locally, but might not have been
		// replicated" has the code of any warning.
		l.warned = l.warned || n.SeverityUnlocalized == "WARNING"
	}
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if l.sealed.Load() {
			return nil, errSealed
		}
		return dial(ctx, network, addr)
	}
}

// connectFirst makes the first connection, for as long as that may take.
func (w *writer) connectFirst(ctx context.Context) error {
	s, err := w.open(ctx)
	if err == nil {
		w.adopt(s)
	}
	return err
}

// connect returns when there is a connection. One that was lost is made anew
// beside the batches: the first of them waits a moment for it, and as long as it
// comes to nothing all others are told so at once.
func (w *writer) connect(ctx context.Context) error {
	if w.session != nil {
		return nil
	}
	if w.dialing == nil {
		w.dialing = w.dial() //nolint:contextcheck // it outlives the batch that wants it
	}
	d := w.dialing
	wait := time.NewTimer(renewWait)
	defer wait.Stop()
	select {
	case <-d.made:
	case <-d.failed:
	case <-wait.C:
		d.fail(errNoAnswer)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-d.made:
		w.dialing = nil
		w.adopt(d.session)
		return nil
	default:
		w.failure = d.why()
		return w.failure
	}
}

// adopt makes the connection the writer's, who remembers nothing yet: what was
// true for the one before may not be what is there.
func (w *writer) adopt(s *session) { w.session, w.memory = s, newMemory(w.purged) }

// errNoAnswer is for a connection that is still being made.
var errNoAnswer = fmt.Errorf("postgres: connect: %w", context.DeadlineExceeded)

// dialing makes a connection, and does not give up until it is stopped.
type dialing struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has ended

	made    chan struct{} // closed when there is a session
	session *session

	failed chan struct{} // closed when nobody is to wait any more
	mu     sync.Mutex
	cause  error // why there is none yet
}

func (w *writer) dial() *dialing {
	ctx, stop := context.WithCancel(context.Background())
	d := &dialing{stop: stop, done: make(chan struct{}), made: make(chan struct{}), failed: make(chan struct{})}
	go func() {
		defer close(d.done)
		defer stop()
		for pause := 20 * time.Millisecond; ; pause = min(maxPause, 2*pause) {
			s, err := w.open(ctx)
			if err == nil {
				d.session = s
				close(d.made)
				return
			}
			d.fail(err)
			select {
			case <-time.After(pause/2 + jitter(pause)):
			case <-ctx.Done():
				return
			}
		}
	}()
	return d
}

func (d *dialing) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cause == nil {
		close(d.failed)
	}
	d.cause = err
}

func (d *dialing) why() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cause
}

// jitter is a part of d by chance, so that replicas do not move in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(mathrand.Uint64() % uint64(d)) // #nosec G115 G404 -- neither negative nor secret
}

// open makes a connection and its row in writers. Each host has its time.
func (w *writer) open(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.ConnectTimeout*time.Duration(1+len(w.config.Fallbacks))+tripWait)
	defer cancel()
	s := &session{id: make([]byte, 16), clock: newServerClock(), prepared: map[string]*pgconn.StatementDescription{}}
	if _, err := rand.Read(s.id); err != nil {
		return nil, err
	}
	// Versions of 62 bits, drawn by chance and counted on: no two connections
	// write the same, so that a row that is what it was has not been another
	// meanwhile.
	s.stamp = int64(mathrand.Uint64()>>2) + 1 // #nosec G115 G404 -- 62 bits, not secret
	config := w.config.Copy()
	s.prepares = config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement
	s.attach(&config.Config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s.conn = conn
	known, err := knownSettings(ctx, conn)
	if err == nil {
		s.times = slices.Contains(known, "lock_timeout")
		s.begin, s.beginQuick = beginning(known, lockWait), beginning(known, quickWait)
		var now int64
		sent := time.Now()
		if err = conn.QueryRow(ctx, `INSERT INTO writers (key, batch, used, asked) VALUES ($1, 0, `+clock+`, 0) RETURNING used`, s.id).Scan(&now); err == nil {
			s.clock.hear(now, sent)
			// Not before: where no standby confirms the row, tries to connect would
			// leave one process of the server behind each.
			s.sealed.Store(true)
			return s, nil
		}
	}
	_ = conn.Close(ctx)
	return nil, err
}

// clock is the database's time, in microseconds.
const clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

const microsPerDay = secondsPerDay * 1_000_000

func knownSettings(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	var wanted []string
	for name := range settings(0) {
		wanted = append(wanted, name)
	}
	found, err := conn.Query(ctx, `SELECT name FROM pg_settings WHERE name = ANY($1::text[])`, wanted)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// beginning is the first statement of a transaction: it writes the connection's
// row ($1) with the number of the batch ($2), returns the time and whether a COMMIT
// waits for a standby, and makes the settings. It fails where the row is gone, where somebody has asked after a lost
// batch already, and where the time is not about $3, unless that is zero.
func beginning(known []string, wait time.Duration) string {
	slices.Sort(known)
	var b strings.Builder
	b.WriteString(`WITH w AS (UPDATE writers SET batch = $2::bigint, used = ` + clock + ` WHERE key = $1::bytea AND asked = 0 RETURNING used) SELECT max(used), ` +
		unless(fmt.Sprintf(`count(*) = 1 AND ($3::bigint = 0 OR abs(max(used) - $3::bigint) <= %d)`, clockSlip.Microseconds())) + `, coalesce(current_setting('synchronous_standby_names', true), '') <> ''`)
	all := settings(wait)
	for _, name := range known {
		fmt.Fprintf(&b, `, set_config('%s', '%s', true)`, name, all[name])
	}
	return b.String() + ` FROM w`
}

// hangUp gives the connection up, also one that is being made. What it has not
// committed is undone.
func (w *writer) hangUp() {
	if d := w.dialing; d != nil {
		d.stop()
		<-d.done
		w.session, w.dialing = d.session, nil
	}
	if w.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	_ = w.session.conn.Close(ctx) // it may be gone already
	// What it wrote last may not be what is there: another server may be in charge.
	w.session, w.memory = nil, nil
}

// breaker spares callers a wait in vain: once a server has let somebody wait for
// nothing, one caller at a time finds out whether it answers again, and all others
// are told at once.
type breaker struct {
	mu     sync.Mutex
	cause  error // of the last wait; nil where the server answers
	asking bool  // somebody finds out
}

// read is read behind the breaker.
func (b *breaker) read(ctx context.Context, query func(context.Context) error) error {
	b.mu.Lock()
	cause, asking := b.cause, b.asking
	b.asking = cause != nil
	b.mu.Unlock()
	if cause != nil && asking {
		return cause
	}
	err := read(ctx, query)
	b.mu.Lock()
	defer b.mu.Unlock()
	if cause != nil {
		b.asking = false
	}
	switch {
	case ctx.Err() != nil: // the caller had less patience, or has gone
	case err != nil && timedOut(err):
		b.cause = err
	default:
		b.cause = nil
	}
	return err
}
