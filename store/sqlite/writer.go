package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// writer runs the operations, and writes what they changed into the redo log. Only
// the queue's goroutine uses it. Its connection to the database only reads.
type writer struct {
	connector driver.Connector
	now       func() time.Time
	files     *files
	redo      *redo
	keeper    *keeper
	full      chan struct{} // tells that a generation waits for the keeper
	fullRows  int           // as many rows make a generation full
	known     *known
	learn     chan *known // filters that are to be learned

	conn  driver.Conn // nil when it has to be made anew
	looks looks
	cache *cache

	entry   []byte // these are used again and again
	rows    []logged
	scratch row
	wanted  wanted
	events  uint64 // how many were written
}

// request is what the writer is asked for; one of its fields is set, or none, when
// it shall only look.
type request struct {
	op    *verify.Op
	touch bool // write an entry, to learn whether that can be done
	turn  bool // begin a new generation
}

func (w *writer) connect() (err error) {
	if w.conn != nil {
		return nil
	}
	if w.conn, err = w.connector.Connect(context.Background()); err != nil {
		return err
	}
	w.cache = newCache()
	if err := prepareAll(w.conn, w.looks.all()); err != nil {
		return errors.Join(err, w.close())
	}
	return nil
}

func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	err := errors.Join(closeAll(w.looks.all()), w.conn.Close())
	w.conn, w.looks, w.cache = nil, looks{}, nil
	return err
}

// run runs a batch of requests. What they change is durable with the next sync of
// the files.
func (w *writer) run(batch []request, out []commit.Result[any]) (err error) {
	if err := w.files.lock(); err != nil {
		return unavailable("lock the redo log", err)
	}
	done := false
	defer func() {
		w.files.unlock()
		if !done { // also after a panic: what is remembered may be wrong
			_ = w.close()
		}
	}()
	if err := w.begin(); err != nil {
		return unavailable("begin", err)
	}
	if err := w.apply(batch, out); err != nil {
		return unavailable("write", err)
	}
	done = true
	return nil
}

// begin learns whether anybody else has written, or a disk has failed.
func (w *writer) begin() error {
	if w.files.check() != nil {
		if err := w.takeOver(); err != nil {
			return err
		}
	}
	if err := w.connect(); err != nil {
		return err
	}
	version, err := w.looks.version.int()
	if err != nil {
		return err
	}
	if version == w.cache.version {
		return nil
	}
	// Who began to take the files over may have been killed before that shows in
	// them: what is written to a generation that is done is read by nobody.
	done, err := w.looks.redone.int()
	switch {
	case err != nil:
		return err
	case !w.files.writes(done):
		return w.takeOver()
	}
	w.cache.forget()
	w.cache.version = version
	return nil
}

// takeOver begins anew, from what the files have.
func (w *writer) takeOver() error {
	if err := w.close(); err != nil {
		return err
	}
	if err := w.keeper.recover(); err != nil {
		return err
	}
	w.anew()
	return w.connect()
}

var errFull = errors.New("the redo log is full: its rows do not come to their tables")

// apply runs the operations and writes what they changed.
func (w *writer) apply(batch []request, out []commit.Result[any]) error {
	if w.redo.size() > mostLogged && slices.ContainsFunc(batch, func(r request) bool { return r.op != nil }) {
		return errFull
	}
	if err := w.prefetch(batch); err != nil {
		return err
	}
	ops := verify.NewBatch(w.now(), w)
	touch := false
	for i, r := range batch {
		touch = touch || r.touch
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
	w.encode(changes)
	if len(w.rows) > 0 || touch {
		end, err := w.files.append(w.entry)
		if err != nil {
			return err
		}
		w.known.addLogged(w.rows)
		w.redo.add(slices.Clone(w.entry[entryHead:]), w.rows, end)
	}
	w.cache.keep(changes)
	for i, r := range batch {
		if r.turn {
			out[i].Err = w.turn()
		}
	}
	if w.redo.full(w.fullRows) {
		_ = w.turn() // what fails is found again when there is more to write
	}
	return nil
}

// turn begins a new generation, when the keeper is through with the one before the
// last.
func (w *writer) turn() error {
	if !w.redo.turns() {
		return nil
	}
	if err := w.files.turn(); err != nil {
		return unavailable("begin a file of the redo log", err)
	}
	w.redo.turn()
	if w.known.worn() {
		w.anew()
	}
	select {
	case w.full <- struct{}{}:
	default:
	}
	return nil
}
