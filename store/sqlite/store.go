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
	tasks  *commit.Queue[task, any]
	keeper *keeper
	files  *files
	redo   *redo
	pool   *sql.DB
	get    *sql.Stmt
	due    *sql.Stmt
	list   *sql.Stmt
	now    func() time.Time
	sweeps sweeps
	end    func() // ends tidy
	close  func() error
}

var _ verify.Store = (*Store)(nil)

// Do implements verify.Store.
func (s *Store) Do(ctx context.Context, op verify.Op) (any, error) {
	return s.submit(ctx, request{op: &op})
}

func (s *Store) submit(ctx context.Context, r request) (any, error) {
	return submitted(s.queue.Submit(ctx, r))
}

// keep has the keeper do a task.
func (s *Store) keep(ctx context.Context, t task) (any, error) {
	return submitted(s.tasks.Submit(ctx, t))
}

func submitted(result any, err error) (any, error) {
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

const selectVerification = `SELECT number, data FROM verifications WHERE id = ?`

// find returns a verification's newest version. What the redo log has goes before
// the table: a row leaves the log when it is in its table, which is read after.
func (s *Store) find(ctx context.Context, id string) (number string, data []byte, err error) {
	if ctx.Err() != nil {
		return "", nil, ctx.Err()
	}
	if err := s.fresh(ctx); err != nil {
		return "", nil, err
	}
	if r, seq, ok := s.redo.find(keyOf(tableVerifications, id)); ok {
		return string(r.number), r.data, s.files.wait(ctx, seq)
	}
	err = s.get.QueryRowContext(ctx, id).Scan(&number, &data)
	return number, data, err
}

// fresh sees that what is remembered of the redo log is what it is, which only
// another process changes.
func (s *Store) fresh(ctx context.Context) error {
	if !s.files.foreign() {
		return nil
	}
	_, err := s.submit(ctx, request{})
	return err
}

// durable waits until what was remembered of the log up to an entry is durable.
func (s *Store) durable(ctx context.Context, last uint64) error {
	err := s.files.wait(ctx, last)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return unavailable("sync the redo log", err)
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
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	all, logged, last := s.redo.due(now)
	if err := s.durable(ctx, last); err != nil {
		return nil, err
	}
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

// Ready writes durably, to the redo log and to a table, to learn whether the store
// can keep what it is given. It fails with verify.ErrUnavailable and the cause.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := s.submit(ctx, request{touch: true}); err != nil {
		return err
	}
	_, err := s.keep(ctx, task{beat: true})
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
	return s.stop()
}

// stop ends everything, and leaves the redo log as it is.
func (s *Store) stop() error {
	s.queue.Close()
	s.tasks.Close()
	// The keeper goes last: the last connection to close moves SQLite's log into the
	// database file, which those of the pool may not.
	return errors.Join(s.get.Close(), s.due.Close(), s.list.Close(), s.pool.Close(), s.writer.close(), s.keeper.close(), s.files.close())
}
