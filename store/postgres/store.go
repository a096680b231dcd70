package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// Store keeps verifications in a PostgreSQL database. It is safe for use by many
// goroutines, and any number of stores may share a database.
type Store struct {
	queue  *commit.Queue[request, any]
	writer *writer
	pool   *pgxpool.Pool
	gets   breaker
	clock  func() time.Time // nil asks the database
	sweeps *sweeps
	made   partitions
	days   atomic.Pointer[daySet] // that have partitions
	purged atomic.Pointer[bite]   // by the purges so far

	life  context.Context // until Close
	end   context.CancelFunc
	asked sync.WaitGroup // after lost batches
}

var _ verify.Store = (*Store)(nil)

// request is what the writer is asked for; one of its fields is set.
type request struct {
	op   *verify.Op
	beat bool
}

// Do implements verify.Store.
func (s *Store) Do(ctx context.Context, op verify.Op) (any, error) {
	return s.submit(ctx, request{op: &op})
}

// submit hands a request to the writer. Where the connection breaks at the COMMIT
// it waits to know what became of it; where nothing has, it hands the request in
// once more, unless the caller has gone.
func (s *Store) submit(ctx context.Context, r request) (any, error) {
	var cause error
	for range maxRuns {
		result, err := s.queue.Submit(ctx, r)
		if errors.Is(err, commit.ErrClosed) || errors.Is(err, commit.ErrPanicked) {
			return nil, unavailable("write", err)
		}
		o, ok := result.(*outcome)
		if !ok {
			return result, err
		}
		<-o.lost.done
		switch o.lost.fate {
		case committed:
			return o.result.Value, o.result.Err
		case unknown:
			return nil, unavailable("commit; nobody knows whether it happened", o.lost.cause)
		}
		cause = o.lost.cause
	}
	return nil, unavailable("commit; it did not happen", cause)
}

// lose looks after a lost batch beside the writer.
func (s *Store) lose(l *lostBatch) { s.asked.Go(func() { s.settle(l) }) }

// now is the store's time.
func (s *Store) now(ctx context.Context) (time.Time, error) {
	if s.clock != nil {
		return s.clock(), nil
	}
	var us int64
	err := read(ctx, func(ctx context.Context) error { return s.pool.QueryRow(ctx, `SELECT `+clock).Scan(&us) })
	return time.UnixMicro(us).UTC(), err
}

// read runs a query that changes nothing, once more where the connection turns
// out to be broken.
func read(ctx context.Context, query func(context.Context) error) error {
	for try := 0; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, tripWait)
		err := query(bounded)
		late := bounded.Err() != nil || timedOut(err)
		cancel()
		if err == nil || late || try > 0 || errors.Is(err, pgx.ErrNoRows) || !again(err) {
			return err
		}
	}
}

// Get implements verify.Store.
func (s *Store) Get(ctx context.Context, id string) (*verify.Verification, error) {
	var number string
	var data []byte
	err := s.gets.read(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT number, data FROM verifications WHERE day = $1 AND id = $2`, dayOf(id), id).Scan(&number, &data)
	})
	switch {
	case err == nil:
		return verify.ReadVerification(id, number, data)
	case errors.Is(err, pgx.ErrNoRows):
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
	ids, err := s.dueNow(ctx, limit)
	switch {
	case err == nil:
		return ids, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("look for what is due", err)
	}
}

// dueNow says due > 0 because that is what the index is of.
func (s *Store) dueNow(ctx context.Context, limit int) (ids []string, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	err = read(ctx, func(ctx context.Context) error {
		found, err := s.pool.Query(ctx, `SELECT id FROM verifications WHERE due > 0 AND due <= $1 ORDER BY due LIMIT $2`, micros(now), max(limit, 0))
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(found, pgx.RowTo[string])
		return err
	})
	return ids, err
}

// Ready writes one row durably, to learn whether the store can keep what it is
// given. It fails with verify.ErrUnavailable and the cause.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.submit(ctx, request{beat: true})
	return err
}

// Close finishes what was begun, refuses what comes later and closes the
// connections.
func (s *Store) Close() error {
	s.queue.Close()
	s.asked.Wait()
	s.end()
	s.writer.hangUp()
	s.pool.Close()
	return nil
}
