package sqlite

import (
	"fmt"

	"github.com/sixdigit/sixdigit/verify"
)

var _ verify.Rows = (*writer)(nil)

// Subject implements verify.Rows.
func (w *writer) Subject(k verify.SubjectKey) (*verify.Subject, error) {
	if s, ok := w.cache.subjects.get(k); ok {
		return s, nil
	}
	row, err := w.stmts.subject.row(k[:])
	if row == nil || err != nil {
		return nil, err
	}
	data, err := blob(row[0])
	if err != nil {
		return nil, err
	}
	return verify.ReadSubject(k, data)
}

// Verification implements verify.Rows.
func (w *writer) Verification(id string) (*verify.Verification, error) {
	if v, ok := w.cache.verifications.get(id); ok {
		return v, nil
	}
	row, err := w.stmts.verification.row(id)
	if row == nil || err != nil {
		return nil, err
	}
	number, _ := row[0].(string)
	data, err := blob(row[1])
	if err != nil {
		return nil, err
	}
	return verify.ReadVerification(id, number, data)
}

// Counters implements verify.Rows.
func (w *writer) Counters(p verify.Place) (verify.Counters, error) {
	if c, ok := w.cache.counters.get(p); ok {
		return c, nil
	}
	row, err := w.stmts.counters.row(int64(p))
	if row == nil || err != nil {
		return nil, err
	}
	data, err := blob(row[0])
	if err != nil {
		return nil, err
	}
	return verify.ReadCounters(data)
}

// Idem implements verify.Rows.
func (w *writer) Idem(k verify.MAC) (*verify.IdemRow, error) {
	row, err := w.stmts.idem.row(k[:])
	if row == nil || err != nil {
		return nil, err
	}
	data, err := blob(row[0])
	if err != nil {
		return nil, err
	}
	return verify.ReadIdem(data)
}

func blob(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, &verify.RowError{Err: fmt.Errorf("a record is of type %T", v)}
	}
	return b, nil
}

// save writes every changed row. One statement for each row: statements for
// many rows at once measured no faster.
func (w *writer) save(c verify.Changes) error {
	for _, v := range c.Verifications {
		err := w.stmts.saveVerification.exec(v.ID, v.To.E164(), micros(v.CreatedAt), micros(v.Ended()), micros(v.DueAt()), v.Record())
		if err != nil {
			return fmt.Errorf("save a verification: %w", err)
		}
	}
	for _, s := range c.Subjects {
		if err := w.stmts.saveSubject.exec(s.Key[:], micros(s.Quiet()), micros(s.Failed()), s.Record()); err != nil {
			return fmt.Errorf("save a subject: %w", err)
		}
	}
	for _, e := range c.Counters {
		if err := w.saveCounters(e); err != nil {
			return fmt.Errorf("save counters: %w", err)
		}
	}
	for _, i := range c.Idems {
		if err := w.stmts.saveIdem.exec(i.Key[:], micros(i.ExpiresAt), i.Record()); err != nil {
			return fmt.Errorf("save an idempotency key: %w", err)
		}
	}
	return w.addEvents(c.Events)
}

func (w *writer) saveCounters(e verify.CountersEntry) error {
	if len(e.Counters) == 0 {
		return w.stmts.clearCounters.exec(int64(e.Place))
	}
	return w.stmts.saveCounters.exec(int64(e.Place), e.Expires(), []byte(e.Counters))
}

// cache remembers rows as they were last committed. Its records are never
// changed: a Batch hands operations copies. It holds good while no other
// connection has written, which the database's version tells.
type cache struct {
	version       int64
	verifications recent[string, *verify.Verification]
	subjects      recent[verify.SubjectKey, *verify.Subject]
	counters      recent[verify.Place, verify.Counters]
}

// How many rows are remembered: those of the last seconds under load, in about
// 10 MB. The second half of a start and most checks find their rows here.
const (
	recordsKept  = 2048
	countersKept = 8192
)

func newCache() *cache {
	return &cache{
		verifications: newRecent[string, *verify.Verification](recordsKept),
		subjects:      newRecent[verify.SubjectKey, *verify.Subject](recordsKept),
		counters:      newRecent[verify.Place, verify.Counters](countersKept),
	}
}

func (c *cache) keep(changes verify.Changes) {
	for _, v := range changes.Verifications {
		c.verifications.put(v.ID, v)
	}
	for _, s := range changes.Subjects {
		c.subjects.put(s.Key, s)
	}
	for _, e := range changes.Counters {
		c.counters.put(e.Place, e.Counters)
	}
}

func (c *cache) forget() {
	c.verifications.clear()
	c.subjects.clear()
	c.counters.clear()
}
