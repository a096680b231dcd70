package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// keeper is the one connection that writes the tables: rows come there from the
// redo log, and leave when a purge deletes them. It works beside the writer, which
// it never holds up. It speaks to the driver without database/sql between them: a
// pool of one has nothing to pool, and its locks and conversions cost more than a
// small statement.
type keeper struct {
	connector driver.Connector
	now       func() time.Time
	log       *slog.Logger
	bite      time.Duration    // for how long one Purge may hold up the others
	tick      func() time.Time // measures it
	redo      *redo
	files     *files

	folding sync.Mutex

	mu    sync.Mutex // guards what follows: tasks, a fold and who recovers take turns
	conn  driver.Conn
	stmts stmts
	inTx  bool
	ended bool
}

// task is what the keeper is asked for; one of its fields is set.
type task struct {
	purge  *bite
	beat   bool
	claim  *eventClaim
	settle *verify.EventResult
}

func (k *keeper) connect() (err error) {
	switch {
	case k.ended:
		return commit.ErrClosed
	case k.conn != nil:
		return nil
	}
	if k.conn, err = k.connector.Connect(context.Background()); err != nil {
		return err
	}
	if err := prepareAll(k.conn, k.stmts.all()); err != nil {
		return errors.Join(err, k.disconnect())
	}
	if err := impatient(k.conn); err != nil {
		return errors.Join(err, k.disconnect())
	}
	return nil
}

// impatient makes SQLite answer at once that a lock is held, for begin to wait in
// its own way. It comes last: to be made, a connection needs locks that SQLite
// has to wait for.
func impatient(conn driver.Conn) error {
	st, err := prepare(conn, `PRAGMA busy_timeout = 0`)
	if err != nil {
		return err
	}
	return errors.Join(st.exec(), st.close())
}

func (k *keeper) disconnect() error {
	if k.conn == nil {
		return nil
	}
	err := errors.Join(closeAll(k.stmts.all()), k.conn.Close())
	k.conn, k.stmts, k.inTx = nil, stmts{}, false
	return err
}

func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	return k.disconnect()
}

// transaction runs work in one transaction. The caller holds mu.
func (k *keeper) transaction(work func() error) (err error) {
	// Also after a panic: no transaction stays open. After a failed write a new
	// connection is the state that is known for sure.
	defer func() {
		if k.inTx || err != nil && !isBusy(err) {
			if k.inTx {
				// An error says that SQLite has rolled back already, or that the
				// connection is beyond use; closing it rolls back too.
				_ = k.stmts.rollback.exec()
			}
			_ = k.disconnect()
		}
	}()
	if err := k.connect(); err != nil {
		return unavailable("connect", err)
	}
	if err := k.begin(); err != nil {
		return unavailable("begin a transaction", err)
	}
	k.inTx = true
	if err := work(); err != nil {
		return unavailable("write", err)
	}
	if err := k.stmts.commit.exec(); err != nil {
		return unavailable("commit", err)
	}
	k.inTx = false
	return nil
}

// begin takes the write lock. Another process may hold it, and release it for only
// microseconds when it is as busy as this one: so it is asked for often. SQLite's
// own waiting, which impatient turns off, would sleep up to 100 ms between two
// questions and starve.
func (k *keeper) begin() error {
	const pause = 300 * time.Microsecond
	for start := time.Now(); ; <-time.After(pause) {
		err := k.stmts.begin.exec()
		if !isBusy(err) || time.Since(start) > busyWait {
			return err
		}
	}
}

// run does a batch of tasks in one transaction.
func (k *keeper) run(batch []task, out []commit.Result[any]) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.transaction(func() (err error) {
		for i, t := range batch {
			switch {
			case t.purge != nil:
				out[i].Value, err = k.purge(*t.purge)
			case t.beat:
				err = k.stmts.beat.exec(k.now().UnixMicro())
			case t.claim != nil:
				out[i].Value, err = k.claimEvents(t.claim)
			case t.settle != nil:
				out[i].Value, err = k.settleEvent(t.settle)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
