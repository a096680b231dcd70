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
	keys     []any
	args     []any
}

// prefetch reads what the operations of a batch say they will need, many rows with
// one query: a query for each costs more than the decision.
func (w *writer) prefetch(batch []request) error {
	p := &w.wanted
	p.subjects, p.places = p.subjects[:0], p.places[:0]
	for _, r := range batch {
		if r.op != nil && r.op.ID != "" {
			p.wantVerification(w, r.op.ID)
		}
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
		} else if v, _ := w.cache.verifications.get(r.op.ID); v != nil && !r.op.IsAlone(v) {
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
		p.keys = append(p.keys, id)
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

// fetched takes the record of a row. One that cannot be read is not remembered: who
// needs it is told.
func fetched[K comparable, V any](in *recent[K, V], k K, record driver.Value, read func([]byte) (V, error)) {
	data, err := blob(record)
	if err == nil {
		var v V
		if v, err = read(data); err == nil {
			in.put(k, v)
			return
		}
	}
	in.drop(k)
}

func (w *writer) fetchedVerification(row []driver.Value) error {
	id, _ := row[0].(string)
	number, _ := row[1].(string)
	fetched(&w.cache.verifications, id, row[2], func(data []byte) (*verify.Verification, error) {
		return verify.ReadVerification(id, number, data)
	})
	return nil
}

func (w *writer) fetchedSubject(row []driver.Value) error {
	key, err := blob(row[0])
	if err != nil || len(key) != len(verify.SubjectKey{}) {
		return err
	}
	k := verify.SubjectKey(key)
	fetched(&w.cache.subjects, k, row[1], func(data []byte) (*verify.Subject, error) {
		return verify.ReadSubject(k, data)
	})
	return nil
}

func (w *writer) fetchedCounters(row []driver.Value) error {
	n, _ := row[0].(int64)
	fetched(&w.cache.counters, verify.Place(n), row[1], verify.ReadCounters)
	return nil
}
