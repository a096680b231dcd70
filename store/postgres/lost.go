package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/store/commit"
)

// lostBatch is a batch whose COMMIT got no answer: its connection broke. Its
// callers wait until its fate is known, while the writer goes on.
type lostBatch struct {
	writer []byte // the connection's row
	batch  int64  // its number there, if it was committed
	cause  error
	sent   time.Time

	done chan struct{} // closed when fate is known
	fate fate
}

// lostError tells of a lost batch.
type lostError struct{ *lostBatch }

// Error describes the failure.
func (e *lostError) Error() string {
	return "postgres: the outcome of a commit is not known: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *lostError) Unwrap() error { return e.cause }

type fate int

const (
	unknown   fate = iota // nobody could be asked in time
	committed             // the results stand
	undone                // nothing of it was written, nor will be
)

// outcome is the result of an operation in a lost batch.
type outcome struct {
	lost   *lostBatch
	result commit.Result[any]
}

// askTime is until when, since it was sent, a batch's fate is asked after. A server that has
// failed is replaced in that time, if it is replaced by itself; beyond it,
// whoever waits for the answer has gone.
const askTime = 10 * time.Second

// settle finds a lost batch's fate out, or gives up.
func (s *Store) settle(l *lostBatch) {
	defer close(l.done)
	ctx, cancel := context.WithDeadline(s.life, l.sent.Add(askTime))
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		if fate, err := s.ask(ctx, l); err == nil {
			l.fate = fate
			return
		}
		select {
		case <-time.After(pause + jitter(pause)):
		case <-ctx.Done():
			return
		}
	}
}

// ask asks once. The lost transaction holds the connection's row, if the server
// is still about it: then the statement waits for its end. After that nothing can
// come of it any more. And since the statement writes, its own commit comes
// after the lost one in the log: where a standby has to confirm it, it has
// confirmed both.
func (s *Store) ask(ctx context.Context, l *lostBatch) (fate, error) {
	ctx, cancel := context.WithTimeout(ctx, tripWait)
	defer cancel()
	var last int64
	err := s.pool.QueryRow(ctx, `UPDATE writers SET asked = asked + 1 WHERE key = $1 RETURNING batch`, l.writer).Scan(&last)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// Made before the connection's first batch, and gone: this server takes
		// over from one whose last moments it has not seen.
		return undone, nil
	case err != nil:
		return unknown, err
	case last == l.batch:
		return committed, nil
	}
	return undone, nil
}
