package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// writer runs batches, each as one transaction on its one connection. Only the
// queue's goroutine uses it.
type writer struct {
	config *pgx.ConnConfig
	codec  *codec
	now    func() time.Time // nil asks the database
	lost   func(*lostBatch) // is told of a COMMIT without an answer

	session *session // nil when it has to be made anew
	today   int32
	hints   recent[string, hint]

	dialing *dialing // a connection that is being made anew; nil when none is
	failure error    // why there was none for the last batch that had to do without
}

// hint is what else an operation on a verification will need. It saves a round
// trip; a wrong one costs a row too many.
type hint struct {
	subject verify.SubjectKey
	idem    verify.MAC // open, and to be settled; zero is none
}

// hintsKept are those of the last seconds under load, in about 3 MB.
const hintsKept = 8192

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
	wanted := w.foresee(batch)
	began := time.Now()
	for n := 1; ; n++ {
		err := w.try(batch, wanted, out)
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
		w.recover(err)
		if !again(err) || errors.Is(err, verify.ErrUnavailable) || n == maxRuns || time.Since(began) >= runWait || errors.Is(err, w.failure) {
			done = true
			return unavailable("write", err)
		}
		if refused(err) {
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
	case !refused(err), c == codeReadOnly, c == codeNoStatement, c == codePlanChanged, c == codeInternal:
		w.hangUp()
		return
	}
	b := &pgx.Batch{}
	b.Queue(`ROLLBACK`)
	if w.session.trip(b) != nil {
		w.hangUp()
	}
}

// foresee are the rows that the requests name themselves, and those that came
// with them before.
func (w *writer) foresee(batch []request) *keyset {
	k := newKeyset()
	for _, r := range batch {
		if r.op == nil {
			continue
		}
		if r.op.Idem != nil {
			k.idems.add(r.op.Idem.Key)
		}
		if r.op.ID == "" {
			k.subjects.add(r.op.Subject)
			continue
		}
		k.verifications.add(r.op.ID)
		h, ok := w.hints.get(r.op.ID)
		if !ok {
			k.subjectsOf.add(r.op.ID)
			continue
		}
		k.subjects.add(h.subject)
		if h.idem != (verify.MAC{}) {
			k.idems.add(h.idem)
		}
	}
	return k
}

// maxPasses bounds how often the operations may ask for more rows. Three are
// common; only operations that never ask for the same twice need more than ten.
const maxPasses = 50

// try runs the requests in one transaction, from its beginning. The rows that
// they need and nobody foresaw are added to wanted.
func (w *writer) try(batch []request, wanted *keyset, out []commit.Result[any]) error {
	if err := w.connect(context.Background()); err != nil {
		return err
	}
	t := &tx{session: w.session, codec: w.codec, today: w.today}
	if err := t.start(wanted); err != nil {
		return err
	}
	var changes verify.Changes
	for pass := 1; ; pass++ {
		changes = w.pass(t, batch, out)
		missed := t.rows.take(changes)
		if missed == nil {
			break
		}
		if pass == maxPasses {
			return fmt.Errorf("%w: the operations ask for ever more rows", verify.ErrUnavailable)
		}
		wanted.merge(missed)
		var err error
		if missed.first() > t.locked {
			err = t.fetch(missed)
		} else {
			// To lock them now could wait for somebody who waits for us. All
			// over again, with all of them in their order.
			err = t.start(wanted)
		}
		if err != nil {
			return err
		}
	}
	return w.finish(t, batch, changes, wanted)
}

// pass applies the operations to the rows that are there.
func (w *writer) pass(t *tx, batch []request, out []commit.Result[any]) verify.Changes {
	now := t.time()
	w.today = int32(t.now / microsPerDay) // #nosec G115 -- days
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
func (w *writer) finish(t *tx, batch []request, c verify.Changes, wanted *keyset) error {
	if len(c.Idems)+len(c.Subjects)+len(c.Verifications)+len(c.Limits) == 0 && !beats(batch) {
		b := &pgx.Batch{}
		b.Queue(`ROLLBACK`)
		if t.session.trip(b) != nil {
			w.hangUp() // what was read stays true
		}
		return nil
	}
	b, err := t.saves(c)
	if err != nil {
		// A record that cannot be written: no other run of the batch fares better.
		return fmt.Errorf("%w: %w", verify.ErrUnavailable, err)
	}
	switch err = t.commit(b); {
	case err == nil:
		w.remember(c)
		return nil
	case code(err) == codeUnique:
		wanted.addChanges(c) // one of these rows exists by now
		return err
	case refused(err), errors.Is(err, errNotCommitted):
		return err
	}
	return &lostError{&lostBatch{writer: t.session.id, batch: t.session.batch, cause: err, done: make(chan struct{})}}
}

func beats(batch []request) bool {
	for _, r := range batch {
		if r.beat {
			return true
		}
	}
	return false
}

// remember keeps hints for what comes next of the same verifications.
func (w *writer) remember(c verify.Changes) {
	for _, v := range c.Verifications {
		h, _ := w.hints.get(v.ID)
		h.subject = v.Subject
		w.hints.put(v.ID, h)
	}
	for _, i := range c.Idems {
		h, ok := w.hints.get(i.ID)
		if !ok {
			continue
		}
		h.idem = verify.MAC{}
		if !i.OpenUntil.IsZero() {
			h.idem = i.Key
		}
		w.hints.put(i.ID, h)
	}
}
