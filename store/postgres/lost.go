package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
// confirmed both. A warning says that it has not.
func (s *Store) ask(ctx context.Context, l *lostBatch) (fate, error) {
	var line line
	config := s.writer.config.Copy()
	line.attach(&config.Config)
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return unknown, err
	}
	line.sealed.Store(true)
	ctx, cancel := context.WithTimeout(ctx, tripWait)
	defer cancel()
	defer func() { _ = conn.Close(ctx) }()
	// One transaction, without a BEGIN. Its commit comes with the end of the batch,
	// and is not subject to the settings' time.
	b, binary := &pgconn.Batch{}, []int16{pgx.BinaryFormatCode}
	b.ExecParams(askSettings, [][]byte{[]byte(milliseconds(tripWait - 500*time.Millisecond))}, nil, nil, nil)
	b.ExecParams(`UPDATE writers SET asked = asked + 1 WHERE key = $1 RETURNING batch`, [][]byte{l.writer}, nil, binary, binary)
	line.warned = false
	results, err := conn.ExecBatch(ctx, b).ReadAll()
	switch {
	case err != nil:
		return unknown, err
	case len(results) != 2:
		return unknown, errNotCommitted
	case line.warned:
		return unknown, errNotReplicated
	}
	return l.judge(results[1].Rows)
}

// askSettings are made for an ask. One that waits for a row in vain ends by itself:
// nobody cancels it.
const askSettings = `SELECT set_config(s.name, w.value, true) FROM pg_settings AS s, ` +
	`(VALUES ('statement_timeout', $1::text), ('client_min_messages', 'warning')) AS w (name, value) WHERE s.name = w.name`

// judge tells the fate from the connection's row, which holds the number of the
// last batch that was committed.
func (l *lostBatch) judge(rows [][][]byte) (fate, error) {
	if len(rows) == 0 {
		// Made before the connection's first batch, and gone: this server takes
		// over from one whose last moments it has not seen.
		return undone, nil
	}
	switch last, err := int64Of(rows[0][0]); {
	case err != nil:
		return unknown, err
	case last == l.batch:
		return committed, nil
	}
	return undone, nil
}

// conclude makes the trip that ends with the transaction's COMMIT.
func (t *tx) conclude(to trip) error {
	s, reached := t.session, false
	reach := func(pgconn.CommandTag) error {
		s.warned, reached = false, true // what was warned of before is no matter
		return nil
	}
	s.doubt = false
	if len(to) == 0 {
		_ = reach(pgconn.CommandTag{})
	} else {
		to[len(to)-1].done = reach
	}
	to.say(`COMMIT`)
	to[len(to)-1].done = func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errNotCommitted
		}
		return nil
	}
	err := t.send(to)
	if err == nil && s.warned {
		return errNotReplicated
	}
	s.doubt = reached && refused(err) && !undoes(err)
	return err
}
