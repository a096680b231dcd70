package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/secret"
)

// ErrInUse says that a service is connected to the database.
var ErrInUse = errors.New("postgres: a service uses the database; stop it first")

// copyName is what a copy calls itself, so that it can tell services from itself.
const copyName = "sixdigit copy"

// copyTables are the tables whose rows are copied. writers is not among them: it
// is about connections.
const copyTables = `verifications, subjects, counters, idems, api_keys, services, events`

// copyDays is how far back a copy makes partitions; older days land in
// verifications_rest. Rows are kept for 30 days unless somebody asks for more.
const copyDays = 100

// Export hands every row of the database to each, as transfer.Source says. It
// fails with ErrInUse when a service is connected under the application_name of
// the URL (sixdigit); meanwhile nobody can change a row. The tables are brought
// up to date first.
func Export(ctx context.Context, url secret.String, each func(transfer.Rows) error) error {
	return copying(ctx, url, pgx.RepeatableRead, `LOCK TABLE `+copyTables+` IN SHARE MODE`, func(tx pgx.Tx) error {
		want, err := countRows(ctx, tx)
		if err != nil {
			return err
		}
		h := &handover{each: each}
		for _, read := range []func(context.Context, pgx.Tx) error{h.verifications, h.subjects, h.places, h.idems, h.apiKeys, h.services, h.outbox} {
			if err := read(ctx, tx); err != nil {
				return err
			}
			if err := h.flush(); err != nil {
				return err
			}
		}
		if h.counts != want {
			return fmt.Errorf("postgres: read were %s, and there are %s", h.counts, want)
		}
		return nil
	})
}

// Import fills an empty database with the rows of a source, and returns how many
// there are now. All of them are written in one transaction, or none. Like
// Export it wants no service beside it.
func Import(ctx context.Context, url secret.String, from transfer.Source) (counts transfer.Counts, err error) {
	err = copying(ctx, url, pgx.ReadCommitted, `LOCK TABLE `+copyTables+` IN EXCLUSIVE MODE`, func(tx pgx.Tx) error {
		there, err := countRows(ctx, tx)
		switch {
		case err != nil:
			return err
		case there != transfer.Counts{}:
			return fmt.Errorf("postgres: the database to copy to is not empty: it has %s; name another, or empty this one", there)
		}
		f := &filler{tx: tx, days: set[int32]{}}
		var handed transfer.Counts
		err = from(ctx, func(r transfer.Rows) error {
			handed.Add(r.Count())
			return f.insert(ctx, r)
		})
		if err != nil {
			return err
		}
		if counts, err = countRows(ctx, tx); err == nil && counts != handed {
			err = fmt.Errorf("postgres: handed over were %s, and there are %s", handed, counts)
		}
		return err
	})
	return counts, err
}

// copying runs work in one transaction that has locked the tables.
func copying(ctx context.Context, url secret.String, level pgx.TxIsoLevel, lock string, work func(pgx.Tx) error) (err error) {
	pool, err := configure(url.Reveal())
	if err != nil {
		return err
	}
	config := pool.ConnConfig
	services := config.RuntimeParams["application_name"]
	config.RuntimeParams["application_name"] = copyName
	if err := connected(ctx, config, services); err != nil {
		return err // before the tables change under one
	}
	if err := migrate(ctx, config); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return unavailable("connect", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil {
		return unavailable("begin to copy", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit it does nothing
	for _, q := range []string{
		fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockWait.Milliseconds()),
		`SET LOCAL statement_timeout = 0`,
		`SET LOCAL idle_in_transaction_session_timeout = 0`, // the other store may be slow
		lock,
	} {
		if _, err := tx.Exec(ctx, q); code(err) == codeLockWait {
			return ErrInUse
		} else if err != nil {
			return unavailable("take the tables for ourselves", err)
		}
	}
	if err := work(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return unavailable("commit the copy; all of it was written, or nothing", err)
	}
	return nil
}

// leaveTime is what a service that has just ended may take to be gone.
const leaveTime = time.Second

// connected looks for services. One whose role we may not see, or that a pooler
// stands before, is not found.
func connected(ctx context.Context, config *pgx.ConnConfig, name string) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return unavailable("connect", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for began := time.Now(); ; <-time.After(leaveTime / 20) {
		var n int
		err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`, name).Scan(&n)
		switch {
		case refused(err):
			return nil // a server that keeps no such list
		case err != nil:
			return unavailable("look for services", err)
		case n == 0:
			return nil
		case time.Since(began) > leaveTime:
			return fmt.Errorf("%w: it has %d connections", ErrInUse, n)
		}
	}
}

// countRows counts the rows of all tables that are copied.
func countRows(ctx context.Context, tx pgx.Tx) (c transfer.Counts, err error) {
	err = tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM verifications), (SELECT count(*) FROM subjects),
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

// handedError marks an error of who takes the rows: it is not the database's.
type handedError struct{ error }

// read goes through a query's rows; add takes the one that was just scanned.
func (h *handover) read(ctx context.Context, tx pgx.Tx, query string, scans []any, add func()) error {
	rows, err := tx.Query(ctx, query)
	if err == nil {
		_, err = pgx.ForEachRow(rows, scans, func() error {
			add()
			if h.n++; h.n < transfer.Bite {
				return nil
			}
			if err := h.flush(); err != nil {
				return handedError{err}
			}
			return nil
		})
	}
	var handed handedError
	switch {
	case errors.As(err, &handed):
		return handed.error
	case err != nil:
		return unavailable("read rows to copy", err)
	}
	return nil
}

func (h *handover) verifications(ctx context.Context, tx pgx.Tx) error {
	var v transfer.Verification
	return h.read(ctx, tx, `SELECT id, number, ended, due, data FROM verifications ORDER BY day, id`,
		[]any{&v.ID, &v.Number, &v.Ended, &v.Due, &v.Data}, func() { h.rows.Verifications = append(h.rows.Verifications, v) })
}

func (h *handover) subjects(ctx context.Context, tx pgx.Tx) error {
	var s transfer.Subject
	return h.read(ctx, tx, `SELECT key, quiet, failed, data FROM subjects`,
		[]any{&s.Key, &s.Quiet, &s.Failed, &s.Data}, func() { h.rows.Subjects = append(h.rows.Subjects, s) })
}

func (h *handover) places(ctx context.Context, tx pgx.Tx) error {
	var c transfer.Counters
	return h.read(ctx, tx, `SELECT place, expires, data FROM counters`,
		[]any{&c.Place, &c.Expires, &c.Data}, func() { h.rows.Counters = append(h.rows.Counters, c) })
}

func (h *handover) idems(ctx context.Context, tx pgx.Tx) error {
	var i transfer.Idem
	return h.read(ctx, tx, `SELECT key, expires, data FROM idems`,
		[]any{&i.Key, &i.Expires, &i.Data}, func() { h.rows.Idems = append(h.rows.Idems, i) })
}

func (h *handover) apiKeys(ctx context.Context, tx pgx.Tx) error {
	var k transfer.APIKey
	return h.read(ctx, tx, `SELECT `+keyColumns+` FROM api_keys`,
		[]any{&k.ID, &k.Hash, &k.Name, &k.App, &k.Scopes, &k.Created, &k.Used, &k.Revoked, &k.Expires}, func() { h.rows.APIKeys = append(h.rows.APIKeys, k) })
}

// importVersion is the version of all rows that are copied. Connections draw
// theirs from 62 bits.
const importVersion = 1

// filler writes rows into an empty database.
type filler struct {
	tx   pgx.Tx
	days set[int32] // whose partition is there, or cannot be made
}

// copied are rows of a table.
type copied struct {
	name    string
	columns []string
	n       int
	row     func(i int) []any
}

func (f *filler) insert(ctx context.Context, r transfer.Rows) error {
	for _, v := range r.Verifications {
		if err := f.partition(ctx, dayOf(v.ID)); err != nil {
			return err
		}
	}
	for _, table := range []copied{
		{"verifications", []string{"day", "id", "subject", "number", "ended", "due", "version", "data"}, len(r.Verifications), func(i int) []any {
			v := &r.Verifications[i]
			return []any{dayOf(v.ID), v.ID, transfer.SubjectIn(v.Data), v.Number, v.Ended, v.Due, importVersion, v.Data}
		}},
		{"subjects", []string{"key", "quiet", "failed", "version", "data"}, len(r.Subjects), func(i int) []any {
			s := &r.Subjects[i]
			return []any{s.Key, s.Quiet, s.Failed, importVersion, s.Data}
		}},
		{"counters", []string{"place", "expires", "version", "data"}, len(r.Counters), func(i int) []any {
			c := &r.Counters[i]
			return []any{c.Place, c.Expires, importVersion, c.Data}
		}},
		{"idems", []string{"key", "expires", "version", "data"}, len(r.Idems), func(i int) []any {
			e := &r.Idems[i]
			return []any{e.Key, e.Expires, importVersion, e.Data}
		}},
		{"api_keys", []string{"id", "hash", "name", "app", "scopes", "created", "used", "revoked", "expires"}, len(r.APIKeys), func(i int) []any {
			k := &r.APIKeys[i]
			return []any{k.ID, k.Hash, k.Name, k.App, k.Scopes, k.Created, k.Used, k.Revoked, k.Expires}
		}},
		{"services", []string{"sid", "app", "created", "data"}, len(r.Services), func(i int) []any {
			s := &r.Services[i]
			return []any{s.SID, s.App, s.Created, s.Data}
		}},
		eventRows(r.Events),
	} {
		if table.n == 0 {
			continue
		}
		source := pgx.CopyFromSlice(table.n, func(i int) ([]any, error) { return table.row(i), nil })
		if _, err := f.tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, source); err != nil {
			return unavailable("write copied rows of "+table.name, err)
		}
	}
	return nil
}

// partition makes a day's partition, while nobody else needs the tables. Where
// that is refused the rows land in verifications_rest, as they do in the service.
func (f *filler) partition(ctx context.Context, day int32) error {
	today := int32(time.Now().Unix() / secondsPerDay) // #nosec G115 -- days
	if _, known := f.days[day]; known || day < today-copyDays || day > today+partitionsAhead {
		return nil
	}
	f.days.add(day)
	err := pgx.BeginFunc(ctx, f.tx, func(savepoint pgx.Tx) error {
		_, err := savepoint.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s PARTITION OF verifications FOR VALUES FROM (%d) TO (%d) WITH (fillfactor = 80)`, partitionName(day), day, day+1))
		return err
	})
	if err != nil && !refused(err) {
		return unavailable("make a day's partition", err)
	}
	return nil
}
