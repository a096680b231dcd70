package sqlite

import (
	"database/sql/driver"

	"github.com/sixdigit/sixdigit/verify"
)

// wanted are keys that the operations of a batch will ask for and of which the
// writer knows nothing yet.
type wanted struct {
	subjects []verify.SubjectKey
	places   []verify.Place
	args     []any
}

// prefetch reads what the operations of a batch say they will need, many rows with
// one query. Most starts are of numbers that have no rows yet: a query for each,
// which finds nothing, costs more than the decision.
func (w *writer) prefetch(batch []request) error {
	p := &w.wanted
	p.subjects, p.places = p.subjects[:0], p.places[:0]
	for _, r := range batch {
		if r.op == nil || r.op.ID != "" {
			continue
		}
		p.wantSubject(w, r.op.Subject)
		for _, place := range r.op.Places {
			p.wantPlace(w, place)
		}
	}
	for keys := p.subjects; len(keys) > 0; keys = keys[min(atOnce, len(keys)):] {
		for i := range atOnce {
			k := keys[min(i, len(keys)-1)]
			p.args = append(p.args, k[:])
		}
		if err := w.stmts.someSubjects.each(w.fetchedSubject, p.take()...); err != nil {
			return err
		}
	}
	for keys := p.places; len(keys) > 0; keys = keys[min(atOnce, len(keys)):] {
		for i := range atOnce {
			p.args = append(p.args, int64(keys[min(i, len(keys)-1)]))
		}
		if err := w.stmts.someCounters.each(w.fetchedCounters, p.take()...); err != nil {
			return err
		}
	}
	return nil
}

func (p *wanted) take() []any {
	args := p.args
	p.args = p.args[:0]
	return args
}

// wantSubject remembers that there is none, until one is found.
func (p *wanted) wantSubject(w *writer, k verify.SubjectKey) {
	if _, known := w.cache.subjects.get(k); known {
		return
	}
	if _, logged := w.logged(keyOf(tableSubjects, k[:])); !logged {
		p.subjects = append(p.subjects, k)
		w.cache.subjects.put(k, nil)
	}
}

func (p *wanted) wantPlace(w *writer, place verify.Place) {
	if _, known := w.cache.counters.get(place); known {
		return
	}
	var key [8]byte
	if _, logged := w.logged(keyOf(tableCounters, appendPlace(key[:0], place))); !logged {
		p.places = append(p.places, place)
		w.cache.counters.put(place, nil)
	}
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
