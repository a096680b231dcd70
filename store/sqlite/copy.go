package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sixdigit/sixdigit/internal/transfer"
)

// existing returns the whole path of a database that exists: an URL has no other.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("sqlite: there is no database: %w", err)
	}
	return resolved(path)
}

// aloneWait is for how long a command that is about to end may still have the
// database open.
const aloneWait = time.Second

// ErrInUse says that another process has the database open: a service, mostly.
var ErrInUse = errors.New("sqlite: another process has the database open; stop the service first")

// Export hands every row of the database to each, as transfer.Source says. The
// database must exist. It is Export's alone until it returns: nobody can write a
// row that was passed already, and a service that runs makes it fail with
// ErrInUse. The tables are brought up to date first.
func Export(ctx context.Context, path string, each func(transfer.Rows) error) error {
	path, err := existing(path)
	if err != nil {
		return err
	}
	return alone(ctx, path, func(tx *sql.Conn) error {
		want, err := count(ctx, tx)
		if err != nil {
			return err
		}
		h := &handover{each: each}
		for _, read := range []func(context.Context, *sql.Conn) error{h.verifications, h.subjects, h.counters, h.idems, h.apiKeys, h.services, h.events} {
			if err := read(ctx, tx); err != nil {
				return err
			}
			if err := h.flush(); err != nil {
				return err
			}
		}
		if h.counts != want {
			return fmt.Errorf("sqlite: read were %s, and there are %s; the database may be damaged", h.counts, want)
		}
		return nil
	})
}

// Import fills an empty database, which need not exist yet, with the rows of a
// source, and returns how many there are now. All of them are written in one
// transaction, or none.
func Import(ctx context.Context, path string, from transfer.Source) (counts transfer.Counts, err error) {
	if path, err = prepareFile(path); err != nil {
		return counts, err
	}
	err = alone(ctx, path, func(tx *sql.Conn) error {
		there, err := count(ctx, tx)
		switch {
		case err != nil:
			return err
		case there != transfer.Counts{}:
			return fmt.Errorf("sqlite: %s, the database to copy to, is not empty: it has %s; name another, or empty this one", path, there)
		}
		w := &filler{tx: tx}
		if err := w.prepare(ctx); err != nil {
			return err
		}
		defer w.close()
		var handed transfer.Counts
		err = from(ctx, func(r transfer.Rows) error {
			handed.Add(r.Count())
			return w.insert(ctx, r)
		})
		if err != nil {
			return err
		}
		if counts, err = count(ctx, tx); err == nil && counts != handed {
			err = fmt.Errorf("sqlite: handed over were %s, and there are %s", handed, counts)
		}
		return err
	})
	return counts, err
}

// alone runs work in one transaction on a database that nobody else has open.
func alone(ctx context.Context, path string, work func(tx *sql.Conn) error) error {
	// Twice: tables must not change under a service that has them open.
	if err := exclusively(ctx, path, func(*sql.Conn) error { return nil }); err != nil {
		return err
	}
	if err := migrate(ctx, path); err != nil {
		return err
	}
	if err := settle(path); err != nil { //nolint:contextcheck // A transaction that has begun is not broken off.
		return err
	}
	return exclusively(ctx, path, func(tx *sql.Conn) error {
		done, err := settled(ctx, path, tx)
		switch {
		case err != nil:
			return unavailable("look at the redo log", err)
		case !done: // somebody came and was killed in between
			return ErrInUse
		}
		return work(tx)
	})
}

// settle brings the log of a database to its tables that nobody has open.
func settle(path string) (err error) {
	k, err := newKeeper(path, Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close(), k.files.close()) }()
	if err := k.open(); err != nil {
		return unavailable("bring the redo log to the tables", err)
	}
	if _, kept := k.redo.oldest(); len(kept.rows) > 0 {
		return unavailable("bring the redo log to the tables", errRefused)
	}
	return nil
}

var errRefused = errors.New("a table refuses a row of the redo log; the database may be damaged")

// settled reports whether all that the redo log of a database has is in its tables.
func settled(ctx context.Context, path string, tx *sql.Conn) (yes bool, err error) {
	l, err := openFiles(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var done uint64
	var id []byte
	var refused bool
	if err := tx.QueryRowContext(ctx, `SELECT generation, database, EXISTS (SELECT 1 FROM refused) FROM redone`).Scan(&done, &id, &refused); err != nil {
		return false, err
	}
	copy(l.id[:], id)
	all, err := l.read()
	if err != nil {
		return false, err
	}
	g := newGeneration(0, 0)
	_, err = live(g, all, done)
	return len(g.values) == 0 && !refused, err
}

// exclusively takes the lock that every connection to a database in WAL mode
// shares as long as it is open. So it fails while there is one, also an idle
// one.
func exclusively(ctx context.Context, path string, work func(tx *sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "locking_mode(exclusive)", "synchronous(full)", "cache_size(-32768)", "secure_delete(fast)"))
	if err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return unavailable("open "+path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, q := range []string{fmt.Sprintf(`PRAGMA busy_timeout = %d`, aloneWait.Milliseconds()), `BEGIN EXCLUSIVE`} {
		if _, err := conn.ExecContext(ctx, q); isBusy(err) {
			return fmt.Errorf("%w (%s)", ErrInUse, path)
		} else if err != nil {
			return unavailable("take the database for ourselves", err)
		}
	}
	if err := work(conn); err != nil {
		// Whatever ended the work must not keep the lock from being given back.
		_, rollback := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		return errors.Join(err, rollback)
	}
	if _, err := conn.ExecContext(ctx, `COMMIT`); err != nil {
		return unavailable("commit", err)
	}
	return nil
}

// count counts the rows of all tables.
func count(ctx context.Context, tx *sql.Conn) (c transfer.Counts, err error) {
	err = tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM verifications), (SELECT count(*) FROM subjects),
		(SELECT count(*) FROM counters), (SELECT count(*) FROM idems), (SELECT count(*) FROM api_keys), (SELECT count(*) FROM services), (SELECT count(*) FROM events)`).
		Scan(&c.Verifications, &c.Subjects, &c.Counters, &c.Idems, &c.APIKeys, &c.Services, &c.Events)
	if err != nil {
		return c, unavailable("count the rows", err)
	}
	return c, nil
}

// handover gathers rows into bites.
type handover struct {
	each   func(transfer.Rows) error
	rows   transfer.Rows
	n      int
	counts transfer.Counts
}

func (h *handover) flush() error {
	if h.n == 0 {
		return nil
	}
	rows := h.rows
	h.rows, h.n = transfer.Rows{}, 0
	h.counts.Add(rows.Count())
	return h.each(rows)
}

// read goes through a query's rows; add takes one of them.
func (h *handover) read(ctx context.Context, tx *sql.Conn, query string, add func(scan func(...any) error) error) (err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return unavailable("read rows to copy", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := add(rows.Scan); err != nil {
			return unavailable("read rows to copy", err)
		}
		if h.n++; h.n >= transfer.Bite {
			if err := h.flush(); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return unavailable("read rows to copy", err)
	}
	return nil
}

func (h *handover) verifications(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT id, number, ended_at, due, data FROM verifications ORDER BY seq`, func(scan func(...any) error) error {
		var v transfer.Verification
		err := scan(&v.ID, &v.Number, &v.Ended, &v.Due, &v.Data)
		v.Data = notNil(v.Data) // an empty one is read as nil
		h.rows.Verifications = append(h.rows.Verifications, v)
		return err
	})
}

func (h *handover) subjects(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT key, quiet_from, failed, data FROM subjects`, func(scan func(...any) error) error {
		var s transfer.Subject
		err := scan(&s.Key, &s.Quiet, &s.Failed, &s.Data)
		s.Data = notNil(s.Data)
		h.rows.Subjects = append(h.rows.Subjects, s)
		return err
	})
}

func (h *handover) counters(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT place, expires_at, data FROM counters`, func(scan func(...any) error) error {
		var c transfer.Counters
		err := scan(&c.Place, &c.Expires, &c.Data)
		c.Data = notNil(c.Data)
		h.rows.Counters = append(h.rows.Counters, c)
		return err
	})
}

func (h *handover) idems(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT key, expires_at, data FROM idems`, func(scan func(...any) error) error {
		var i transfer.Idem
		err := scan(&i.Key, &i.Expires, &i.Data)
		i.Data = notNil(i.Data)
		h.rows.Idems = append(h.rows.Idems, i)
		return err
	})
}

func (h *handover) apiKeys(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT `+keyColumns+` FROM api_keys`, func(scan func(...any) error) error {
		var k transfer.APIKey
		err := scan(&k.ID, &k.Hash, &k.Name, &k.App, &k.Scopes, &k.Created, &k.Used, &k.Revoked, &k.Expires)
		h.rows.APIKeys = append(h.rows.APIKeys, k)
		return err
	})
}

// filler writes rows into an empty database.
type filler struct {
	tx                                            *sql.Conn
	verification, subject, counters, idem, apiKey *sql.Stmt
	service, event                                *sql.Stmt
}

func (w *filler) prepare(ctx context.Context) error {
	for to, query := range map[**sql.Stmt]string{
		&w.verification: `INSERT INTO verifications (id, number, created, ended_at, due, data) VALUES (?, ?, ?, ?, ?, ?)`,
		&w.subject:      `INSERT INTO subjects (key, quiet_from, failed, data) VALUES (?, ?, ?, ?)`,
		&w.counters:     `INSERT INTO counters (place, expires_at, data) VALUES (?, ?, ?)`,
		&w.idem:         `INSERT INTO idems (key, expires_at, data) VALUES (?, ?, ?)`,
		&w.apiKey:       `INSERT INTO api_keys (` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		&w.service:      `INSERT INTO services (sid, app, created, data) VALUES (?, ?, ?, ?)`,
		&w.event:        insertEvent,
	} {
		st, err := w.tx.PrepareContext(ctx, query)
		if err != nil {
			w.close()
			return unavailable("prepare to copy", err)
		}
		*to = st
	}
	return nil
}

func (w *filler) close() {
	for _, st := range []*sql.Stmt{w.verification, w.subject, w.counters, w.idem, w.apiKey, w.service, w.event} {
		if st != nil {
			_ = st.Close() // the connection ends with it
		}
	}
}

func (w *filler) insert(ctx context.Context, r transfer.Rows) error {
	exec := func(st *sql.Stmt, args ...any) error {
		if _, err := st.ExecContext(ctx, args...); err != nil {
			return unavailable("write a copied row", err)
		}
		return nil
	}
	for _, v := range r.Verifications {
		if err := exec(w.verification, v.ID, v.Number, transfer.CreatedIn(v.Data), v.Ended, v.Due, v.Data); err != nil {
			return err
		}
	}
	for _, s := range r.Subjects {
		if err := exec(w.subject, s.Key, s.Quiet, s.Failed, s.Data); err != nil {
			return err
		}
	}
	for _, c := range r.Counters {
		if err := exec(w.counters, c.Place, c.Expires, c.Data); err != nil {
			return err
		}
	}
	for _, i := range r.Idems {
		if err := exec(w.idem, i.Key, i.Expires, i.Data); err != nil {
			return err
		}
	}
	for _, k := range r.APIKeys {
		if err := exec(w.apiKey, k.ID, k.Hash, k.Name, k.App, k.Scopes, k.Created, k.Used, k.Revoked, k.Expires); err != nil {
			return err
		}
	}
	for _, s := range r.Services {
		if err := exec(w.service, s.SID, s.App, s.Created, s.Data); err != nil {
			return err
		}
	}
	for _, e := range r.Events {
		if err := exec(w.event, e.ID, e.App, e.Type, e.Key, e.Created, e.Due, e.Tries, e.Payload); err != nil {
			return err
		}
	}
	return nil
}
