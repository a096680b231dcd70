package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// stmt is a prepared statement of the writer's connection, or the keeper's.
type stmt struct {
	st   driver.Stmt
	args []driver.NamedValue // used again and again
	dest []driver.Value
}

func prepare(conn driver.Conn, query string) (*stmt, error) {
	st, err := conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	return &stmt{st: st}, nil
}

func (s *stmt) close() error { return s.st.Close() }

func (s *stmt) bind(args []any) []driver.NamedValue {
	s.args = s.args[:0]
	for i, a := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s.args
}

func (s *stmt) exec(args ...any) error {
	_, err := s.run(args)
	return err
}

// changed runs the statement and returns how many rows it changed.
func (s *stmt) changed(args ...any) (int64, error) {
	r, err := s.run(args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (s *stmt) run(args []any) (driver.Result, error) {
	st, ok := s.st.(driver.StmtExecContext)
	if !ok {
		return nil, errors.New("the driver's statements take no context")
	}
	// Nobody may stop one operation's statement in a transaction of many.
	return st.ExecContext(context.Background(), s.bind(args))
}

// row runs a query for at most one row, nil when there is none. The row is good
// until the next call.
func (s *stmt) row(args ...any) (_ []driver.Value, err error) {
	st, ok := s.st.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("the driver's statements take no context")
	}
	rows, err := st.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.dest == nil {
		s.dest = make([]driver.Value, len(rows.Columns()))
	}
	switch err := rows.Next(s.dest); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.dest, nil
}

// each hands the rows of a query to read, one after the other. A row is good
// until the next.
func (s *stmt) each(read func(row []driver.Value) error, args ...any) (err error) {
	st, ok := s.st.(driver.StmtQueryContext)
	if !ok {
		return errors.New("the driver's statements take no context")
	}
	rows, err := st.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(dest); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := read(dest); err != nil {
			return err
		}
	}
}

// int runs a query that answers with one number.
func (s *stmt) int() (int64, error) {
	row, err := s.row()
	if err != nil {
		return 0, err
	}
	if len(row) == 1 {
		if n, ok := row[0].(int64); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("a query for one number answered with %d columns", len(row))
}

// selectRedone is the generation up to which all rows are in their tables.
const selectRedone = `SELECT generation FROM redone`

// looks are the statements of the writer, which only reads.
type looks struct {
	version, redone                       *stmt
	verification, subject, counters, idem *stmt
	someVerifications                     [len(sizes)]*stmt
	someSubjects, someCounters            [len(sizes)]*stmt
}

func (s *looks) all() map[**stmt]string {
	all := map[**stmt]string{
		&s.version:      `PRAGMA data_version`, // changes when another connection commits
		&s.redone:       selectRedone,
		&s.verification: `SELECT number, data FROM verifications WHERE id = ?`,
		&s.subject:      `SELECT NULL, data FROM subjects WHERE key = ?`,
		&s.counters:     `SELECT NULL, data FROM counters WHERE place = ?`,
		&s.idem:         `SELECT NULL, data FROM idems WHERE key = ?`,
	}
	for i, size := range sizes {
		keys := `(?` + strings.Repeat(`, ?`, size-1) + `)`
		all[&s.someVerifications[i]] = `SELECT id, number, data FROM verifications WHERE id IN ` + keys
		all[&s.someSubjects[i]] = `SELECT key, data FROM subjects WHERE key IN ` + keys
		all[&s.someCounters[i]] = `SELECT place, data FROM counters WHERE place IN ` + keys
	}
	return all
}

// stmts are the keeper's statements.
type stmts struct {
	begin, commit, rollback, beat              *stmt
	redone, setRedone, refused, refuse, forget *stmt
	database                                   *stmt

	saveVerification, saveSubject, saveCounters, saveIdem *stmt
	dropVerification, dropSubject, dropCounters, dropIdem *stmt
	clearCounters                                         *stmt

	outbox outboxStmts
}

func (s *stmts) all() map[**stmt]string {
	all := map[**stmt]string{
		&s.begin:    `BEGIN IMMEDIATE`,
		&s.commit:   `COMMIT`,
		&s.rollback: `ROLLBACK`,
		&s.beat:     `INSERT INTO heartbeat (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at`,

		&s.redone:    selectRedone,
		&s.database:  `SELECT database FROM redone`,
		&s.setRedone: `UPDATE redone SET generation = ?`,
		&s.refused:   `SELECT seq, rows FROM refused ORDER BY seq`,
		&s.refuse:    `INSERT INTO refused (rows) VALUES (?)`,
		&s.forget:    `DELETE FROM refused`,

		&s.saveVerification: `INSERT INTO verifications (id, number, created, ended_at, due, data) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET number = excluded.number, created = excluded.created, ended_at = excluded.ended_at, due = excluded.due, data = excluded.data`,
		&s.saveSubject: `INSERT INTO subjects (key, quiet_from, failed, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET quiet_from = excluded.quiet_from, failed = excluded.failed, data = excluded.data`,
		&s.saveCounters: `REPLACE INTO counters (place, expires_at, data) VALUES (?, ?, ?)`,
		&s.saveIdem: `INSERT INTO idems (key, expires_at, data) VALUES (?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, data = excluded.data`,

		// A row found to be over may have been changed since: each looks again.
		&s.dropVerification: `DELETE FROM verifications WHERE id = ?1 AND ended_at < ?2 AND (due = 0 OR ended_at < ?4)`,
		&s.dropSubject:      `DELETE FROM subjects WHERE key = ?1 AND quiet_from <= ?3 AND failed < ?2`,
		&s.dropCounters:     `DELETE FROM counters WHERE place = ?1 AND expires_at <= ?3`,
		&s.dropIdem:         `DELETE FROM idems WHERE key = ?1 AND expires_at <= ?3`,
		&s.clearCounters:    `DELETE FROM counters WHERE place = ?`,
	}
	maps.Copy(all, s.outbox.all())
	return all
}

func prepareAll(conn driver.Conn, all map[**stmt]string) error {
	for st, query := range all {
		prepared, err := prepare(conn, query)
		if err != nil {
			return err
		}
		*st = prepared
	}
	return nil
}

func closeAll(all map[**stmt]string) error {
	var errs []error
	for st := range all {
		if *st != nil {
			errs = append(errs, (*st).close())
		}
	}
	return errors.Join(errs...)
}
