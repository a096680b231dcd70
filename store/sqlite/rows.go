package sqlite

import (
	"fmt"
	"slices"

	"github.com/sixdigit/sixdigit/verify"
)

var _ verify.Rows = (*writer)(nil)

// Subject implements verify.Rows.
func (w *writer) Subject(k verify.SubjectKey) (*verify.Subject, error) {
	if s, ok := w.cache.subjects.get(k); ok {
		return s, nil
	}
	_, data, err := w.read(keyOf(tableSubjects, k[:]), w.looks.subject, k[:])
	if data == nil || err != nil {
		return nil, err
	}
	return verify.ReadSubject(k, data)
}

// Verification implements verify.Rows.
func (w *writer) Verification(id string) (*verify.Verification, error) {
	if v, ok := w.cache.verifications.get(id); ok {
		return v, nil
	}
	number, data, err := w.read(keyOf(tableVerifications, id), w.looks.verification, id)
	if data == nil || err != nil {
		return nil, err
	}
	return verify.ReadVerification(id, number, data)
}

// Counters implements verify.Rows.
func (w *writer) Counters(p verify.Place) (verify.Counters, error) {
	if c, ok := w.cache.counters.get(p); ok {
		return c, nil
	}
	var key [8]byte
	_, data, err := w.read(keyOf(tableCounters, appendPlace(key[:0], p)), w.looks.counters, int64(p))
	if len(data) == 0 || err != nil {
		return nil, err
	}
	return verify.ReadCounters(data)
}

// Idem implements verify.Rows.
func (w *writer) Idem(k verify.MAC) (*verify.IdemRow, error) {
	_, data, err := w.read(keyOf(tableIdems, k[:]), w.looks.idem, k[:])
	if data == nil || err != nil {
		return nil, err
	}
	return verify.ReadIdem(data)
}

// read returns a record as the redo log has it, else as its table has it, else
// nil.
func (w *writer) read(k rowKey, from *stmt, key any) (number string, data []byte, err error) {
	if r, _, ok := w.redo.find(k); ok {
		return string(r.number), r.data, nil
	}
	row, err := from.row(key)
	if row == nil || err != nil {
		return "", nil, err
	}
	number, _ = row[0].(string)
	data, err = blob(row[1])
	return number, data, err
}

func blob(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, &verify.RowError{Err: fmt.Errorf("a record is of type %T", v)}
	}
	return b, nil
}

// encode makes every changed row part of the batch's entry.
func (w *writer) encode(c verify.Changes) {
	w.rows = w.rows[:0]
	w.entry = append(slices.Grow(w.entry[:0], entryHead)[:entryHead], rowFormat)
	add := func(r row) {
		from := len(w.entry) - entryHead
		w.entry = r.append(w.entry)
		w.rows = append(w.rows, loggedAt(r, from, len(w.entry)-entryHead))
	}
	b := &w.scratch
	for _, v := range c.Verifications {
		b.key, b.number, b.data = append(b.key[:0], v.ID...), append(b.number[:0], v.To.E164()...), v.AppendRecord(b.data[:0])
		add(row{tableVerifications, b.key, b.number, [3]int64{micros(v.CreatedAt), micros(v.Ended()), micros(v.DueAt())}, b.data})
	}
	for _, s := range c.Subjects {
		b.data = s.AppendRecord(b.data[:0])
		add(row{tableSubjects, s.Key[:], nil, [3]int64{micros(s.Quiet()), micros(s.Failed())}, b.data})
	}
	for _, e := range c.Counters {
		b.key = appendPlace(b.key[:0], e.Place)
		add(row{tableCounters, b.key, nil, [3]int64{e.Expires()}, e.Counters})
	}
	for _, i := range c.Idems {
		b.data = i.AppendRecord(b.data[:0])
		add(row{tableIdems, i.Key[:], nil, [3]int64{micros(i.ExpiresAt)}, b.data})
	}
	for _, e := range c.Events {
		w.events++
		add(eventRow(b, e, w.files.writer, w.events))
	}
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
		version:       -1, // of no database: the first transaction looks at everything
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
