package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// writer runs batches, each as one transaction on its one connection. Only the
// queue's goroutine uses it.
type writer struct {
	config *pgx.ConnConfig
	now    func() time.Time // nil asks the database
	lost   func(*lostBatch) // is told of a COMMIT without an answer
	made   *atomic.Pointer[daySet]
	purged *atomic.Pointer[bite]

	session *session // nil when it has to be made anew
	memory  *memory  // of the session
	odds    *odds
	fixed   [tableCount]*using
	tables  map[string]*using // of verifications
	spare   *rows             // to be used again

	dialing *dialing // a connection that is being made anew; nil when none is
	failure error    // why there was none for the last batch that had to do without

	trips, reruns atomic.Int64 // so many were made, for tests
}

func newWriter(config *pgx.ConnConfig, now func() time.Time) *writer {
	w := &writer{config: config, now: now, odds: newOdds(), tables: map[string]*using{}}
	for n := range w.fixed {
		w.fixed[n] = tableOf(n).using()
	}
	w.tables[parentTable] = w.fixed[tableVerifications]
	return w
}

// daysKept is how many tables of verifications are kept in mind: yesterday's and
// today's, and some that are asked for by chance.
const daysKept = 4

// tidy makes room in the tables for another batch.
func (w *writer) tidy() {
	if len(w.tables) > daysKept {
		clear(w.tables)
		w.tables[parentTable] = w.fixed[tableVerifications]
	}
	for _, u := range w.fixed {
		u.clear()
	}
	for _, u := range w.tables {
		u.clear()
	}
}

// useDay returns a table of verifications.
func (w *writer) useDay(name string) *using {
	u := w.tables[name]
	if u == nil {
		u = verificationsIn(name).using()
		w.tables[name] = u
	}
	return u
}

// use returns a table.
func (w *writer) use(n int) *using { return w.fixed[n] }

// maxRuns bounds how often a batch is run again.
const maxRuns = 10

// run commits a batch of requests in one transaction.
func (w *writer) run(batch []request, out []commit.Result[any]) error {
	done := false
	defer func() {
		if !done { // a panic, or Goexit in an operation
			w.hangUp()
		}
	}()
	wanted := newKeyset()
	began := time.Now()
	for n := 1; ; n++ {
		err := w.try(batch, wanted, n > 1, out)
		if err == nil {
			done = true
			return nil
		}
		if lost := (*lostError)(nil); errors.As(err, &lost) {
			w.hangUp()
			w.lost(lost.lostBatch)
			for i := range out {
				out[i] = commit.Result[any]{Value: &outcome{lost: lost.lostBatch, result: out[i]}}
			}
			done = true
			return nil
		}
		w.reruns.Add(1)
		w.recover(err)
		if !again(err) || errors.Is(err, verify.ErrUnavailable) || n == maxRuns || time.Since(began) >= runWait || errors.Is(err, w.failure) {
			done = true
			return unavailable("write", err)
		}
		if refused(err) && code(err) != codeMismatch {
			// Two that fail on each other must not meet again.
			<-time.After(jitter(time.Duration(n) * 2 * time.Millisecond))
		}
	}
}

// recover makes the connection good for another transaction, or gives it up.
func (w *writer) recover(err error) {
	if w.session == nil {
		return
	}
	switch c := code(err); {
	case c == codeNoTable, c == codePrivilege:
		w.made.Store(&daySet{}) // the partitions are not what we know of them
	case !refused(err), c == codeReadOnly, c == codeNoStatement, c == codePlanChanged, c == codeInternal:
		w.hangUp()
		return
	}
	if w.session.rollback() != nil || code(err) == codeSameStatement && w.session.forgetAll() != nil {
		w.hangUp()
	}
}

// maxPasses bounds how often the operations may ask for more rows. Two are
// common; only operations that never ask for the same twice need more than ten.
const maxPasses = 50

// try runs the requests in one transaction. At first they are decided on what the
// writer remembers, as far as that goes. With care nothing is guessed: every row
// is locked before anything is decided. The rows that are needed are added to
// wanted.
func (w *writer) try(batch []request, wanted *keyset, care bool, out []commit.Result[any]) error {
	if err := w.connect(context.Background()); err != nil {
		return err
	}
	t := &tx{writer: w, days: *w.made.Load()}
	locks := wanted
	if care {
		wanted.merge(w.foresee(batch).named)
		t.rows = newRows()
	} else {
		t.rows, locks = w.guess(batch)
	}
	about, ok := w.session.clock.now()
	t.now = about
	if care || !ok || !locks.empty() {
		t.rows.addAbsent(locks)
		if err := t.start(locks); err != nil {
			return err
		}
	}
	changes, err := w.decide(t, batch, locks, out)
	if err == nil {
		if t.begun {
			t.learn(w.foresee(batch).fresh)
		}
		err = w.finish(t, batch, changes, about)
	}
	if err != nil {
		t.rows.addTo(wanted)
		wanted.addChanges(changes)
		return err
	}
	t.rows.clear()
	w.spare = t.rows
	return nil
}

// decide runs the operations until all rows that they need are there.
func (w *writer) decide(t *tx, batch []request, locks *keyset, out []commit.Result[any]) (verify.Changes, error) {
	for range maxPasses {
		changes := w.pass(t, batch, out)
		missed := t.rows.take(changes)
		if missed == nil {
			return changes, nil
		}
		locks.merge(missed)
		var err error
		if t.begun && missed.first() > t.locked {
			err = t.fetch(missed)
		} else {
			// To lock them now could wait for somebody who waits for us. All
			// over again, with all of them in their order.
			t.rows.addAbsent(locks)
			err = t.start(locks)
		}
		if err != nil {
			return changes, err
		}
	}
	return verify.Changes{}, fmt.Errorf("%w: the operations ask for ever more rows", verify.ErrUnavailable)
}

// pass applies the operations to the rows that are there.
func (w *writer) pass(t *tx, batch []request, out []commit.Result[any]) verify.Changes {
	now := time.UnixMicro(t.now).UTC()
	if w.now != nil {
		now = w.now()
	}
	ops := verify.NewBatch(now, t.rows)
	for i, r := range batch {
		out[i] = commit.Result[any]{}
		if r.op != nil {
			out[i].Value, out[i].Err = ops.Apply(*r.op)
		}
	}
	return ops.Changes()
}

// finish makes what changed durable.
func (w *writer) finish(t *tx, batch []request, c verify.Changes, about int64) error {
	version := w.session.stamp + w.session.batch
	if !t.begun {
		version++ // the batch has no number yet
	}
	s := t.saves(c, version)
	guesses := t.rows.made()
	if len(c.Idems)+len(c.Subjects)+len(c.Verifications)+len(c.Counters)+len(c.Events) == 0 && !beats(batch) {
		return w.leave(t, s, guesses, about)
	}
	sent := time.Now()
	err := t.commit(s, about)
	if err == nil {
		w.memory.arrived()
		w.odds.right(guesses)
		return nil
	}
	w.memory.failed()
	switch {
	case refused(err) && !w.session.doubt, errors.Is(err, errNotCommitted), !w.session.sent:
		return err
	default:
		return &lostError{&lostBatch{writer: t.session.id, batch: t.session.batch, cause: err, sent: sent, done: make(chan struct{})}}
	}
}

// leave ends a transaction that changes nothing.
func (w *writer) leave(t *tx, s *saving, guesses [classes]int, about int64) error {
	err := t.confirm(s, about)
	switch {
	case err == nil:
		w.odds.right(guesses)
	case t.begun && len(s.checks) == 0 && !t.session.standbys:
		w.hangUp() // what was read stays true
		err = nil
	}
	return err
}

func beats(batch []request) bool {
	for _, r := range batch {
		if r.beat {
			return true
		}
	}
	return false
}
