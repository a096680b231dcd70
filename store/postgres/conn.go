package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
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
	maxPause    = time.Second             // between two tries to connect
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
	conn   *pgx.Conn
	id     []byte // of its row in writers
	batch  int64  // the number of its last batch
	stamp  int64  // and the batch's number are the version of what it writes
	warned bool   // the server was not sure that a COMMIT is safe
	clock  serverClock

	begin, beginQuick string // the first statement of a transaction
	prepared          map[string]*pgconn.StatementDescription
	named             int  // statements so far
	times             bool // lock_timeout is known
	sent              bool // the last trip has left
}

// connect makes a connection, unless the last try has failed just now.
func (w *writer) connect(ctx context.Context) error {
	if w.session != nil {
		return nil
	}
	if time.Since(w.failed) < w.pause {
		return w.failure
	}
	ctx, cancel := context.WithTimeout(ctx, connectWait*time.Duration(1+len(w.config.Fallbacks)))
	defer cancel()
	s, err := w.open(ctx)
	if err != nil {
		w.pause = min(maxPause, max(2*w.pause, 20*time.Millisecond)) + jitter(20*time.Millisecond)
		w.failed, w.failure = time.Now(), err
		return err
	}
	w.session, w.pause = s, 0
	return nil
}

// jitter is a part of d by chance, so that replicas do not move in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(mathrand.Uint64() % uint64(d)) // #nosec G115 G404 -- neither negative nor secret
}

// open makes a connection and its row in writers.
func (w *writer) open(ctx context.Context) (*session, error) {
	s := &session{id: make([]byte, 16), clock: newServerClock(), prepared: map[string]*pgconn.StatementDescription{}}
	if _, err := rand.Read(s.id); err != nil {
		return nil, err
	}
	// Versions of 62 bits, drawn by chance and counted on: no two connections
	// write the same, so that a row that is what it was has not been another
	// meanwhile.
	s.stamp = int64(mathrand.Uint64()>>2) + 1 // #nosec G115 G404 -- 62 bits, not secret
	config := w.config.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		// "The transaction has already committed locally, but might not have
		// been replicated": a COMMIT that answers so is not one to rely on. That
		// warning has no code of its own, and no other belongs there.
		s.warned = s.warned || n.SeverityUnlocalized == "WARNING"
	}
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
			w.memory = newMemory(w.purged)
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
// row ($1) with the number of the batch ($2), returns the time, and makes the
// settings. It fails where the row is gone, where somebody has asked after a lost
// batch already, and where the time is not about $3, unless that is zero.
func beginning(known []string, wait time.Duration) string {
	slices.Sort(known)
	var b strings.Builder
	b.WriteString(`WITH w AS (UPDATE writers SET batch = $2::bigint, used = ` + clock + ` WHERE key = $1::bytea AND asked = 0 RETURNING used) SELECT max(used), ` +
		unless(fmt.Sprintf(`count(*) = 1 AND ($3::bigint = 0 OR abs(max(used) - $3::bigint) <= %d)`, clockSlip.Microseconds())))
	all := settings(wait)
	for _, name := range known {
		fmt.Fprintf(&b, `, set_config('%s', '%s', true)`, name, all[name])
	}
	return b.String() + ` FROM w`
}

// hangUp gives the connection up. What it has not committed is undone.
func (w *writer) hangUp() {
	if w.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	_ = w.session.conn.Close(ctx) // it may be gone already
	// What it wrote last may not be what is there: another server may be in charge.
	w.session, w.memory = nil, nil
}
