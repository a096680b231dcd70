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
	return w.codec.subject(k, data)
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
	return w.codec.verification(id, number, data)
}

// Limit implements verify.Rows.
func (w *writer) Limit(k verify.LimitKey) (int64, error) {
	if value, ok := w.cache.limits.get(k); ok {
		return value, nil
	}
	row, err := w.stmts.limit.row(k[:])
	if row == nil || err != nil {
		return 0, err
	}
	value, _ := row[0].(int64)
	return value, nil
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
	return w.codec.idem(data)
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
		data, err := encode(v)
		if err != nil {
			return err
		}
		if err := w.stmts.saveVerification.exec(v.ID, v.To.E164(), micros(v.CreatedAt), micros(v.Ended()), micros(v.DueAt()), data); err != nil {
			return fmt.Errorf("save a verification: %w", err)
		}
	}
	for _, s := range c.Subjects {
		data, err := encode(s)
		if err != nil {
			return err
		}
		if err := w.stmts.saveSubject.exec(s.Key[:], micros(s.Quiet()), micros(s.Failed()), data); err != nil {
			return fmt.Errorf("save a subject: %w", err)
		}
	}
	for _, l := range c.Limits {
		if err := w.saveLimit(l); err != nil {
			return fmt.Errorf("save a limit: %w", err)
		}
	}
	for _, i := range c.Idems {
		data, err := encode(i.IdemRow)
		if err != nil {
			return err
		}
		if err := w.stmts.saveIdem.exec(i.Key[:], micros(i.ExpiresAt), data); err != nil {
			return fmt.Errorf("save an idempotency key: %w", err)
		}
	}
	return nil
}

func (w *writer) saveLimit(l verify.LimitRow) error {
	if l.Value == 0 { // cleared
		return w.stmts.clearLimit.exec(l.Key[:])
	}
	return w.stmts.saveLimit.exec(l.Key[:], l.Value, micros(l.ExpiresAt))
}

// cache remembers rows as they were last committed. Its records are never
// changed: a Batch hands operations copies. It holds good while no other
// connection has written, which the database's version tells.
type cache struct {
	version       int64
	verifications recent[string, *verify.Verification]
	subjects      recent[verify.SubjectKey, *verify.Subject]
	limits        recent[verify.LimitKey, int64]
}

// How many rows are remembered: those of the last seconds under load, in about
// 10 MB. The second half of a start and most checks find their rows here.
const (
	recordsKept = 2048
	limitsKept  = 16384
)

func newCache() *cache {
	return &cache{
		verifications: newRecent[string, *verify.Verification](recordsKept),
		subjects:      newRecent[verify.SubjectKey, *verify.Subject](recordsKept),
		limits:        newRecent[verify.LimitKey, int64](limitsKept),
	}
}

func (c *cache) keep(changes verify.Changes) {
	for _, v := range changes.Verifications {
		c.verifications.put(v.ID, v)
	}
	for _, s := range changes.Subjects {
		c.subjects.put(s.Key, s)
	}
	for _, l := range changes.Limits {
		c.limits.put(l.Key, l.Value)
	}
}

func (c *cache) forget() {
	c.verifications.clear()
	c.subjects.clear()
	c.limits.clear()
}
