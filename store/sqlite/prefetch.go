package sqlite

import (
	"database/sql/driver"

	"github.com/sixdigit/sixdigit/verify"
)

// wanted are keys that the operations of a batch will ask for and of which the
// writer knows nothing yet.
type wanted struct {
	ids      []string
	subjects []verify.SubjectKey
	places   []verify.Place
	keys     []any
	args     []any
}

// prefetch reads what the operations of a batch say they will need, many rows with
// one query: a query for each costs more than the decision.
func (w *writer) prefetch(batch []request) error {
	p := &w.wanted
	p.ids, p.subjects, p.places = p.ids[:0], p.subjects[:0], p.places[:0]
	for _, r := range batch {
		if r.op != nil && r.op.ID != "" {
			p.wantVerification(w, r.op.ID)
		}
	}
	for _, id := range p.ids {
		p.keys = append(p.keys, id)
	}
	if err := p.fetch(w.looks.someVerifications, w.fetchedVerification); err != nil {
		return err
	}
	for _, r := range batch {
		if r.op == nil {
			continue
		}
		if r.op.ID == "" {
			p.wantSubject(w, r.op.Subject)
		} else if v, ok := w.cache.verifications.get(r.op.ID); ok && v != nil && (r.op.Alone == nil || !r.op.Alone(v)) {
			p.wantSubject(w, v.Subject)
		}
		for _, place := range r.op.Places {
			p.wantPlace(w, place)
		}
	}
	for _, k := range p.subjects {
		p.keys = append(p.keys, k[:])
	}
	if err := p.fetch(w.looks.someSubjects, w.fetchedSubject); err != nil {
		return err
	}
	for _, place := range p.places {
		p.keys = append(p.keys, int64(place))
	}
	return p.fetch(w.looks.someCounters, w.fetchedCounters)
}

// sizes are how many keys the queries take.
var sizes = [...]int{1, 4, 8, 16}

// fetch asks for all keys, with as few queries as there are. What a query has room
// for is filled with a key that it has.
func (p *wanted) fetch(queries [len(sizes)]*stmt, read func(row []driver.Value) error) error {
	keys := p.keys
	p.keys = p.keys[:0]
	for len(keys) > 0 {
		i := 0
		for i < len(sizes)-1 && sizes[i] < len(keys) {
			i++
		}
		n := min(sizes[i], len(keys))
		p.args = append(p.args[:0], keys[:n]...)
		for len(p.args) < sizes[i] {
			p.args = append(p.args, keys[0])
		}
		if err := queries[i].each(read, p.args...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// wantVerification remembers that there is none, until one is found. What the log
// has is left to whoever asks for it.
func (p *wanted) wantVerification(w *writer, id string) {
	if _, known := w.cache.verifications.get(id); !known && !w.redo.has(keyOf(tableVerifications, id)) {
		w.cache.verifications.put(id, nil)
		p.ids = append(p.ids, id)
	}
}

// wantSubject remembers that there is none, until one is found.
func (p *wanted) wantSubject(w *writer, k verify.SubjectKey) {
	if _, known := w.cache.subjects.get(k); known {
		return
	}
	if row := keyOf(tableSubjects, k[:]); !w.redo.has(row) {
		w.cache.subjects.put(k, nil)
		if !w.known.absent(row) {
			p.subjects = append(p.subjects, k)
		}
	}
}

func (p *wanted) wantPlace(w *writer, place verify.Place) {
	if _, known := w.cache.counters.get(place); known {
		return
	}
	var key [8]byte
	if row := keyOf(tableCounters, appendPlace(key[:0], place)); !w.redo.has(row) {
		w.cache.counters.put(place, nil)
		if !w.known.absent(row) {
			p.places = append(p.places, place)
		}
	}
}

// fetchedVerification takes a row. One that cannot be read is not remembered: who
// needs it is told.
func (w *writer) fetchedVerification(row []driver.Value) error {
	id, ok := row[0].(string)
	if !ok {
		return nil
	}
	number, _ := row[1].(string)
	data, err := blob(row[2])
	if err == nil {
		var v *verify.Verification
		if v, err = verify.ReadVerification(id, number, data); err == nil {
			w.cache.verifications.put(id, v)
			return nil
		}
	}
	w.cache.verifications.drop(id)
	return nil
}

// fetchedSubject takes a row. One that cannot be read is not remembered: who needs
// it is told.
func (w *writer) fetchedSubject(row []driver.Value) error {
	key, err := blob(row[0])
	if err != nil || len(key) != len(verify.SubjectKey{}) {
		return err
	}
	k := verify.SubjectKey(key)
	data, err := blob(row[1])
	if err == nil {
		var s *verify.Subject
		if s, err = verify.ReadSubject(k, data); err == nil {
			w.cache.subjects.put(k, s)
			return nil
		}
	}
	w.cache.subjects.drop(k)
	return nil
}

func (w *writer) fetchedCounters(row []driver.Value) error {
	n, _ := row[0].(int64)
	place := verify.Place(n)
	data, err := blob(row[1])
	if err == nil {
		var c verify.Counters
		if c, err = verify.ReadCounters(data); err == nil {
			w.cache.counters.put(place, c)
			return nil
		}
	}
	w.cache.counters.drop(place)
	return nil
}
