package sqlite

import (
	"context"
	"database/sql"
	"errors"
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
	now    func() time.Time
	sweeps sweeps
}

var _ verify.Store = (*Store)(nil)

// request is what the writer is asked for; one of its fields is set.
type request struct {
	op    *verify.Op
	purge *bite
	beat  bool

	claim  *eventClaim
	settle *verify.EventResult
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

// Get implements verify.Store.
func (s *Store) Get(ctx context.Context, id string) (*verify.Verification, error) {
	var number string
	var data []byte
	switch err := s.get.QueryRowContext(ctx, id).Scan(&number, &data); {
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

// Due implements verify.Store. It reads beside the writer, from an index of
// those to which something is owed.
func (s *Store) Due(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.dueBy(ctx, micros(s.now()), limit)
	switch {
	case err == nil:
		return ids, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("look for what is due", err)
	}
}

func (s *Store) dueBy(ctx context.Context, now int64, limit int) (ids []string, err error) {
	rows, err := s.due.QueryContext(ctx, now, max(limit, 0)) // less than zero is no limit to SQLite
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
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
func (s *Store) Close() error {
	s.queue.Close()
	// The writer goes last: the last connection to close moves the log into the
	// database file, which those of the pool may not.
	return errors.Join(s.get.Close(), s.due.Close(), s.list.Close(), s.pool.Close(), s.writer.close())
}
