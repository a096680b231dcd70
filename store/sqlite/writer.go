package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// writer is the one connection that writes. Only the queue's goroutine uses it.
// It speaks to the driver without database/sql between them: a pool of one has
// nothing to pool, and its locks and conversions cost more than a small
// statement.
type writer struct {
	connector driver.Connector
	now       func() time.Time
	log       *slog.Logger
	bite      time.Duration    // for how long one Purge may hold up the others
	tick      func() time.Time // measures it

	conn  driver.Conn // nil when it has to be made anew
	stmts stmts
	cache *cache
	inTx  bool

	redo    *redo
	full    int // as many rows make a generation full
	least   int // so many rows a transaction brings to the tables at least
	tx      txn
	value   []byte // these three are used again and again
	scratch row
	wanted  wanted
}

// txn is what the transaction under way does to the redo log.
type txn struct {
	seq   int64 // of its value in the log
	value []byte
	rows  []logged

	table, next int // how far the old generation is in its tables
	refused     []rowKey
	folded      bool // it is there as a whole
	cut         int  // so many values are deleted
}

// has reports whether a row is part of the transaction's value.
func (t *txn) has(k rowKey) bool {
	return slices.ContainsFunc(t.rows, func(l logged) bool { return l.key == k })
}

func newWriter(c driver.Connector, now func() time.Time, log *slog.Logger) *writer {
	return &writer{connector: c, now: now, log: log, bite: purgeBite, tick: time.Now, redo: newRedo(), full: fullRows, least: leastBite}
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.connector.Connect(ctx)
	if err != nil {
		return err
	}
	w.conn, w.cache = conn, newCache()
	if err := w.stmts.prepare(conn); err != nil {
		return errors.Join(err, w.close())
	}
	if err := impatient(conn); err != nil {
		return errors.Join(err, w.close())
	}
	return nil
}

// impatient makes SQLite answer at once that a lock is held, for lock to wait in
// its own way. It comes last: to be made, a connection needs locks that SQLite
// has to wait for.
func impatient(conn driver.Conn) error {
	st, err := prepare(conn, `PRAGMA busy_timeout = 0`)
	if err != nil {
		return err
	}
	return errors.Join(st.exec(), st.close())
}

func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	err := errors.Join(w.stmts.close(), w.conn.Close())
	w.conn, w.stmts, w.cache, w.inTx = nil, stmts{}, nil, false
	return err
}

// run commits a batch of requests in one transaction.
func (w *writer) run(batch []request, out []commit.Result[any]) (err error) {
	// Also after a panic: no transaction stays open.
	defer func() {
		if w.inTx || err != nil && !isBusy(err) {
			w.abandon()
		}
	}()
	if err := w.begin(); err != nil {
		return unavailable("begin a transaction", err)
	}
	if err := w.apply(batch, out); err != nil {
		return unavailable("write", err)
	}
	if err := w.stmts.commit.exec(); err != nil {
		return unavailable("commit", err)
	}
	w.inTx = false
	w.publish()
	return nil
}

// abandon gives the transaction up, and the connection with it: after a failed
// write a new one is the state that is known for sure.
func (w *writer) abandon() {
	if w.inTx {
		// An error says that SQLite has rolled back already, or that the
		// connection is beyond use; closing it rolls back too.
		_ = w.stmts.rollback.exec()
	}
	_ = w.close()
}

// begin takes the write lock and learns whether anybody else has written.
func (w *writer) begin() error {
	if err := w.connect(context.Background()); err != nil {
		return err
	}
	if err := w.lock(); err != nil {
		return err
	}
	w.inTx = true
	version, err := w.stmts.version.int()
	if err != nil {
		return err
	}
	if version != w.cache.version {
		w.cache.forget()
		if err := w.compare(); err != nil {
			return err
		}
		w.cache.version = version
	}
	w.tx = txn{rows: w.tx.rows[:0]}
	if old := w.redo.old; old != nil {
		w.tx.table, w.tx.next, w.tx.refused = old.table, old.next, old.refused
	}
	return nil
}

// lock begins the transaction. Another process may hold the lock, and release
// it for only microseconds when it is as busy as this one: so it is asked for
// often. SQLite's own waiting, which impatient turns off, would sleep up to
// 100 ms between two questions and starve.
func (w *writer) lock() error {
	const pause = 300 * time.Microsecond
	for start := time.Now(); ; <-time.After(pause) {
		err := w.stmts.begin.exec()
		if !isBusy(err) || time.Since(start) > busyWait {
			return err
		}
	}
}

var errFull = errors.New("the redo log is full: its rows do not come to their tables")

// apply runs the operations, writes what they changed, and then the rest.
func (w *writer) apply(batch []request, out []commit.Result[any]) error {
	if w.redo.size() > mostLogged && slices.ContainsFunc(batch, func(r request) bool { return r.op != nil }) {
		return errFull
	}
	if err := w.prefetch(batch); err != nil {
		return err
	}
	ops := verify.NewBatch(w.now(), w)
	for i, r := range batch {
		if r.op == nil {
			continue
		}
		result, err := ops.Apply(*r.op)
		if lost := (*verify.StoreError)(nil); errors.As(err, &lost) {
			return err
		}
		out[i] = commit.Result[any]{Value: result, Err: err}
	}
	changes := ops.Changes()
	if err := w.save(changes); err != nil {
		return err
	}
	w.cache.keep(changes) // a failure from here on throws the cache away
	bite := max(2*len(w.tx.rows), w.least)
	for i, r := range batch {
		var err error
		switch {
		case r.purge != nil:
			out[i].Value, err = w.purge(*r.purge)
		case r.beat:
			err = w.stmts.beat.exec(w.now().UnixMicro())
		case r.claim != nil:
			out[i].Value, err = w.claimEvents(r.claim)
		case r.settle != nil:
			out[i].Value, err = w.settleEvent(r.settle)
		case r.fold:
			w.redo.turn()
			bite = max(bite, foldBite)
		}
		if err != nil {
			return err
		}
	}
	return w.fold(bite)
}
