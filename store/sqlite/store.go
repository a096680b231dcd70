package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// Store keeps verifications in a file. It is safe for use by many goroutines.
type Store struct {
	queue  *commit.Queue[request, any]
	writer *writer
	pool   *sql.DB
	get    *sql.Stmt
	due    *sql.Stmt
	list   *sql.Stmt
	span   *sql.Stmt
	now    func() time.Time
	sweeps sweeps
	redo   *redo
	end    func() // ends tidy
	close  func() error
}

var _ verify.Store = (*Store)(nil)

// request is what the writer is asked for; one of its fields is set.
type request struct {
	op    *verify.Op
	purge *bite
	beat  bool

	claim  *eventClaim
	settle *verify.EventResult
	fold   bool
	look   bool
}

// Do implements verify.Store.
func (s *Store) Do(ctx context.Context, op verify.Op) (any, error) {
	return s.submit(ctx, request{op: &op})
}

func (s *Store) submit(ctx context.Context, r request) (any, error) {
	result, err := s.queue.Submit(ctx, r)
	if errors.Is(err, commit.ErrClosed) || errors.Is(err, commit.ErrPanicked) {
		err = unavailable("write", err)
	}
	return result, err
}

// Get implements verify.Store. It reads beside the writer.
func (s *Store) Get(ctx context.Context, id string) (*verify.Verification, error) {
	number, data, err := s.find(ctx, id)
	switch {
	case err == nil:
		return verify.ReadVerification(id, number, data)
	case errors.Is(err, sql.ErrNoRows):
		return nil, verify.ErrNotFound
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("read a verification", err)
	}
}

// selectVerification also tells which part of the redo log its snapshot has.
const selectVerification = `SELECT ` + selectSpan + `, v.number, v.data FROM (SELECT 1) LEFT JOIN verifications v ON v.id = ?`

// find returns a verification's newest version: what is remembered of the redo log
// goes before the table. The table is read first, and the log then had nothing that
// is not known by now. So what is remembered is good if it stood in the log by then
// or later, and the table's row if nothing has come there from the log in between.
// Otherwise another look tells, and where it does not, another process has written.
func (s *Store) find(ctx context.Context, id string) (number string, data []byte, err error) {
	k := keyOf(tableVerifications, id)
	for look := 1; ; look++ {
		before := s.redo.look(rowKey{})
		var first, ends int64
		var there sql.NullString
		if err := s.get.QueryRowContext(ctx, id).Scan(&first, &ends, &there, &data); err != nil {
			return "", nil, err
		}
		l := s.redo.look(k)
		switch {
		case ends > l.last || l.ended != before.ended:
		case l.first != 0 && first != 0 && first <= l.first:
			return string(l.row.number), l.row.data, nil
		case l.first != 0:
		case !there.Valid:
			return "", nil, sql.ErrNoRows
		default:
			return there.String, data, nil
		}
		if err := s.meet(ctx, look); err != nil {
			return "", nil, err
		}
	}
}

// meet has the writer look, after some looks of the readers.
func (s *Store) meet(ctx context.Context, look int) error {
	if look%3 != 0 {
		return nil
	}
	_, err := s.submit(ctx, request{look: true})
	return err
}

// current waits until the redo log is as it is remembered, which it is unless
// another process has written.
func (s *Store) current(ctx context.Context) error {
	for look := 1; ; look++ {
		begins, last := s.redo.span()
		var first, ends int64
		switch err := s.span.QueryRowContext(ctx).Scan(&first, &ends); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return unavailable("look at the redo log", err)
		}
		if ends <= last && (begins == 0 || first != 0 && first <= begins) {
			return nil
		}
		if err := s.meet(ctx, look); err != nil {
			return err
		}
	}
}

// Due implements verify.Store. It reads beside the writer, from an index of
// those to which something is owed.
func (s *Store) Due(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.dueBy(ctx, micros(s.now()), max(limit, 0))
	switch {
	case err == nil:
		return ids, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("look for what is due", err)
	}
}

type dueID struct {
	id  string
	due int64
}

func (s *Store) dueBy(ctx context.Context, now int64, limit int) (ids []string, err error) {
	if err := s.current(ctx); err != nil {
		return nil, err
	}
	all, logged := s.redo.due(now)
	rows, err := s.due.QueryContext(ctx, now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for n := 0; n < limit && rows.Next(); {
		var d dueID
		if err := rows.Scan(&d.id, &d.due); err != nil {
			return nil, err
		}
		if !logged[keyOf(tableVerifications, d.id)] { // else it is among all, or due no more
			all, n = append(all, d), n+1
		}
	}
	slices.SortStableFunc(all, func(a, b dueID) int { return cmp.Compare(a.due, b.due) })
	for _, d := range all[:min(limit, len(all))] {
		ids = append(ids, d.id)
	}
	return ids, rows.Err()
}

// Ready writes one row durably, to learn whether the store can keep what it is
// given. It fails with verify.ErrUnavailable and the cause.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.submit(ctx, request{beat: true})
	return err
}

// Close finishes what was begun, refuses what comes later and closes the file.
func (s *Store) Close() error { return s.close() }

func (s *Store) closeOnce() error {
	s.end()
	// The redo log is as durable as the tables: where something keeps its rows from
	// them, whoever opens the file next brings them there.
	ctx, cancel := context.WithTimeout(context.Background(), busyWait)
	_ = s.settle(ctx)
	cancel()
	s.queue.Close()
	// The writer goes last: the last connection to close moves SQLite's log into the
	// database file, which those of the pool may not.
	return errors.Join(s.get.Close(), s.due.Close(), s.list.Close(), s.span.Close(), s.pool.Close(), s.writer.close())
}
