package verify

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// idemLife is for how long an idempotency key is remembered.
const idemLife = 24 * time.Hour

// Batch applies operations to a store's rows, one after the other, and gathers
// what they come to. An operation that fails leaves no trace; the next sees
// what the earlier ones did. The rows are read through, and every row is
// written once, however many operations touched it.
//
// All rules of consistency stand here, once: stores that load and save rows in
// one transaction behave alike.
type Batch struct {
	now  time.Time
	rows Rows

	*tables // nil when the batch has ended
	events  []Event
}

// tables are the rows as a batch has them so far.
type tables struct {
	subjects      map[SubjectKey]entry[*Subject] // nil where the store has none
	verifications map[string]entry[*Verification]
	counters      map[Place]entry[Counters]
	idems         map[MAC]entry[*IdemRow]
	tally         tally // of the operation at hand
}

// spareTables are those of batches that have ended: to make maps grow costs as
// much as all that a batch does with them.
var spareTables = sync.Pool{New: func() any {
	return &tables{
		subjects:      map[SubjectKey]entry[*Subject]{},
		verifications: map[string]entry[*Verification]{},
		counters:      map[Place]entry[Counters]{},
		idems:         map[MAC]entry[*IdemRow]{},
	}
}}

// entry is a row as the batch has it so far.
type entry[T any] struct {
	row     T
	changed bool
}

// NewBatch returns a batch at a time. One batch has one time, in whole
// microseconds: that is what every store can keep.
func NewBatch(now time.Time, rows Rows) *Batch {
	return &Batch{now: plain(now), rows: rows, tables: spareTables.Get().(*tables)}
}

// StoreError is a failure to read rows: the whole batch is lost, not one
// operation.
type StoreError struct{ Err error }

// Error describes the failure.
func (e *StoreError) Error() string { return "verify: read rows: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Is reports that a *StoreError is an ErrUnavailable.
func (e *StoreError) Is(target error) bool { return target == ErrUnavailable }

// Apply runs one operation. Its error undoes the operation alone, but for a
// *StoreError, which ends the batch.
func (b *Batch) Apply(op Op) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			// What was decided is not applied yet: apply does not panic.
			result, err = nil, fmt.Errorf("verify: an operation panicked: %v", panicKind(p))
		}
	}()
	if op.Idem != nil {
		replayed, err := b.replay(op)
		if replayed != nil || err != nil {
			return asAny(replayed), err
		}
	}
	s, v, err := b.load(op)
	if err != nil {
		return nil, err
	}
	d, err := op.Decide(b.now, s, v)
	if err != nil {
		return nil, err
	}
	if d.Subject != nil && d.Subject.unread {
		return nil, errUnread
	}
	if op.Idem != nil && d.Settle != nil && d.Settle.Key == op.Idem.Key {
		return nil, errSettlesItself
	}
	if err := b.charge(&d); err != nil {
		return nil, err
	}
	settled, err := b.settle(d.Settle)
	if err != nil {
		return nil, err
	}
	b.apply(&op, &d, settled)
	return d.Result, nil
}

// errSettlesItself is for an operation that says two things about one key.
var errSettlesItself = errors.New("verify: an operation cannot settle its own idempotency key")

// errUnread is for an operation that would write a subject over that it has not
// read.
var errUnread = errors.New("verify: an operation has changed a subject that it said it does without")

// panicKind keeps the value of a panic, which may hold anything, out of logs.
func panicKind(p any) string { return fmt.Sprintf("%T", p) }

func asAny(r *Replayed) any {
	if r == nil {
		return nil
	}
	return r
}

// replay returns what the operation came to when it was done before, or nil.
func (b *Batch) replay(op Op) (*Replayed, error) {
	row, err := b.idem(op.Idem.Key)
	switch {
	case err != nil:
		return nil, err
	case row == nil || !b.now.Before(row.ExpiresAt):
		return nil, nil
	case row.Body != op.Idem.Body, op.ID != "" && op.ID != row.ID:
		// The id stands in the path, not in the body. One verification's answer
		// must never be given for another.
		return nil, ErrIdemMismatch
	case b.now.Before(row.OpenUntil):
		return nil, ErrInFlight
	}
	v, err := b.verification(row.ID)
	if err != nil {
		return nil, err
	}
	return &Replayed{IdemState: row.IdemState, Verification: v.Clone(), Now: b.now}, nil
}

// load returns copies of the operation's records.
func (b *Batch) load(op Op) (*Subject, *Verification, error) {
	if op.ID == "" {
		s, err := b.subject(op.Subject)
		if err != nil || op.Session == (MAC{}) {
			return s, nil, err
		}
		for _, p := range s.Pending {
			if p.Session == op.Session {
				v, err := b.verification(p.ID)
				return s, v.copy(), err
			}
		}
		return s, nil, nil
	}
	v, err := b.verification(op.ID)
	switch {
	case err != nil:
		return nil, nil, err
	case v == nil || v.App != op.App && !op.AnyApp:
		return nil, nil, ErrNotFound
	case op.IsAlone(v):
		return &Subject{Key: v.Subject, unread: true}, v.Clone(), nil
	}
	s, err := b.subject(v.Subject)
	if err != nil {
		return nil, nil, err
	}
	return s, v.copy(), nil
}

// charge works the limits out without writing them, so that a refusal by the
// last leaves the first as they were.
func (b *Batch) charge(d *Decision) error {
	b.tally = b.tally[:0]
	for _, k := range d.Clear {
		if _, err := b.value(k); err != nil {
			return err
		}
		b.tally.put(LimitRow{Key: k, ExpiresAt: b.now})
	}
	for _, r := range d.Set {
		if _, err := b.value(r.Key); err != nil {
			return err
		}
		b.tally.put(LimitRow{r.Key, r.Value, plain(r.ExpiresAt)})
	}
	for i := range d.Refunds {
		c := &d.Refunds[i]
		if c.Limit.Burst <= 0 {
			continue
		}
		old, err := b.value(c.Key)
		if err != nil {
			return err
		}
		if next := c.Limit.giveBack(old, c.At, b.now); next != old {
			b.tally.put(LimitRow{c.Key, next, c.Limit.expires(next)})
		}
	}
	return b.take(d.Charges)
}

// take takes the charges, all of them or none.
func (b *Batch) take(charges []Charge) error {
	var refused *LimitError
	for i := range charges {
		c := &charges[i]
		if c.Limit.Burst <= 0 {
			continue
		}
		old, err := b.value(c.Key)
		if err != nil {
			return err
		}
		next, retry, ok := c.take(old, b.now)
		if !ok {
			// The longest wait is the true one; naming the first would send the
			// caller back too early.
			if refused == nil || retry > refused.RetryAfter {
				refused = &LimitError{Name: c.Limit.Name, RetryAfter: retry}
				if !c.Guard {
					refused.key, refused.daily = c.Key, c.Limit.Every == 0
				}
			}
			continue
		}
		if next != old {
			b.tally.put(LimitRow{c.Key, next, c.Limit.expires(next)})
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

// value is a counter's value as the operation at hand has it so far.
func (b *Batch) value(k LimitKey) (int64, error) {
	c, err := b.countersAt(k.Place())
	if r := b.tally.find(k); r != nil {
		return r.Value, err
	}
	return c.Value(k), err
}

// tally is what an operation's charges come to: a score of counters at most.
type tally []LimitRow

func (t tally) find(k LimitKey) *LimitRow {
	for i := range t {
		if t[i].Key == k {
			return &t[i]
		}
	}
	return nil
}

func (t *tally) put(r LimitRow) {
	if known := t.find(r.Key); known != nil {
		*known = r
		return
	}
	*t = append(*t, r)
}

// added counts the rows that a place's counters are to have more.
func (t tally) added(p Place, c Counters) (n int) {
	for i := range t {
		if k := t[i].Key; k.Place() == p && c.find(k) < 0 {
			n++
		}
	}
	return n
}

func (b *Batch) settle(s *Settlement) (*IdemRow, error) {
	if s == nil {
		return nil, nil
	}
	row, err := b.idem(s.Key)
	if err != nil || row == nil {
		return nil, err // forgotten meanwhile: there is nothing to settle
	}
	next := *row
	switch {
	case !s.Forget:
		next.IdemState = s.plain()
	case row.ID != s.ID || row.Outcome != s.Outcome || !b.now.Before(row.ExpiresAt):
		return nil, nil // forgotten already, and perhaps used again since
	default:
		next.ExpiresAt = b.now
	}
	return &next, nil
}

// apply writes the decision down. Its records are the batch's, and the store's,
// from now on: nobody changes them any more.
func (b *Batch) apply(op *Op, d *Decision, settled *IdemRow) {
	if d.Subject != nil {
		d.Subject.plain()
		b.subjects[d.Subject.Key] = entry[*Subject]{d.Subject, true}
	}
	if d.Former != nil {
		d.Former.plain()
		b.verifications[d.Former.ID] = entry[*Verification]{d.Former, true}
	}
	if d.Verification != nil {
		d.Verification.plain()
		d.Verification.wipe()
		b.verifications[d.Verification.ID] = entry[*Verification]{d.Verification, true}
	}
	for i := range b.tally {
		r := &b.tally[i]
		place := r.Key.Place()
		e := b.counters[place]
		if !e.changed { // it is the store's
			e = entry[Counters]{e.row.current(b.now, b.tally.added(place, e.row)), true}
		}
		e.row = e.row.set(*r)
		b.counters[place] = e
	}
	if op.Idem != nil {
		row := &IdemRow{IdemState: d.Idem.plain(), Body: op.Idem.Body, ExpiresAt: b.now.Add(idemLife)}
		b.idems[op.Idem.Key] = entry[*IdemRow]{row, true}
	}
	if settled != nil {
		b.idems[d.Settle.Key] = entry[*IdemRow]{settled, true}
	}
	for _, e := range d.Events {
		e.CreatedAt, e.Payload = b.now, slices.Clone(e.Payload)
		b.events = append(b.events, e)
	}
}

// Changes returns every row that the batch changed, and ends the batch.
func (b *Batch) Changes() Changes {
	c := b.changes()
	clear(b.subjects)
	clear(b.verifications)
	clear(b.counters)
	clear(b.idems)
	spareTables.Put(b.tables)
	b.tables = nil
	return c
}

func (b *Batch) changes() Changes {
	c := Changes{
		Subjects:      make([]*Subject, 0, len(b.subjects)),
		Verifications: make([]*Verification, 0, len(b.verifications)),
		Counters:      make([]CountersEntry, 0, len(b.counters)),
		Events:        b.events,
	}
	for _, e := range b.subjects {
		if e.changed {
			c.Subjects = append(c.Subjects, e.row)
		}
	}
	for _, e := range b.verifications {
		if e.changed {
			c.Verifications = append(c.Verifications, e.row)
		}
	}
	for place, e := range b.counters {
		if e.changed {
			c.Counters = append(c.Counters, CountersEntry{place, e.row})
		}
	}
	for k, e := range b.idems {
		if e.changed {
			c.Idems = append(c.Idems, IdemEntry{k, *e.row})
		}
	}
	return c
}
