package postgres

import (
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// plan is what can be guessed of a batch's rows before its operations are run.
type plan struct {
	*rows
	guesses [classes]int
	locks   *keyset // the rows that have to be locked and fetched at first
}

// guess takes of the rows that a batch names what can be guessed. The others are
// returned: they have to be locked and fetched before anything is decided. When that
// makes a trip anyway, rows that may be new are looked for in it.
func (w *writer) guess(batch []request) (*rows, *keyset) {
	p := plan{rows: w.spare, locks: newKeyset()}
	if w.spare = nil; p.rows == nil {
		p.rows = newRows()
	}
	p.memory, p.now = w.memory, time.Now()
	for i := range batch {
		if batch[i].op != nil {
			p.foresee(batch[i].op)
		}
	}
	p.rely = w.odds.daring(p.guesses)
	for c, n := range p.guesses {
		if n > 0 && !p.rely[c] {
			p.give(class(c))
		}
	}
	return p.rows, p.locks
}

// foresee guesses the rows that an operation names itself, and the subject of its
// verification where that is needed.
func (p *plan) foresee(op *verify.Op) {
	m := p.memory
	if op.Idem != nil && !guess(p, tableIdems, &p.idems, &m.idems, op.Idem.Key, true) {
		p.locks.idems.add(op.Idem.Key)
	}
	for _, place := range op.Places {
		if !guess(p, tableCounters, &p.counters, &m.counters, place, true) {
			p.locks.counters.add(place)
		}
	}
	subject, fresh := op.Subject, len(op.Places) > 0 // it will charge, hence write
	if op.ID != "" {
		known := m.verifications.get(op.ID)
		if known == nil {
			p.locks.verifications.add(op.ID)
			p.locks.subjectsOf.add(op.ID)
			return
		}
		v := known.value // a purge may end now, and the next look drop what is known
		subject, fresh = v.Subject, false
		if !guess(p, tableVerifications, &p.verifications, &m.verifications, op.ID, false) {
			p.locks.verifications.add(op.ID)
		}
		if op.IsAlone(v) {
			return
		}
	}
	if !guess(p, tableSubjects, &p.subjects, &m.subjects, subject, fresh) {
		p.locks.subjects.add(subject)
	}
}

// guess guesses a row: that it is what it was or, where nobody knows it and it may
// be new, that it is not there. It reports whether it could.
func guess[K comparable, T any](p *plan, table int, in *shelf[K, T], from *memos[K, T], k K, fresh bool) bool {
	if in.rows[k] != nil {
		return true
	}
	m := from.get(k)
	switch {
	case m != nil && m.doubt == 0:
		c := m.class(table, p.now)
		p.guesses[c]++
		*in.put(k) = row[T]{value: m.value, exists: true, version: m.version, guessed: true, class: c}
	case m == nil && fresh:
		c := classOf(table, guessAbsent)
		p.guesses[c]++
		*in.put(k) = row[T]{guessed: true, class: c}
	default:
		return false
	}
	return true
}

// give gives up the guesses of a class: the rows have to be locked.
func (p *plan) give(c class) {
	give(&p.idems, c, p.locks.idems)
	give(&p.subjects, c, p.locks.subjects)
	give(&p.verifications, c, p.locks.verifications)
	give(&p.counters, c, p.locks.counters)
}

func give[K comparable, T any](in *shelf[K, T], c class, locks set[K]) {
	for k, row := range in.rows {
		if row.guessed && row.class == c {
			locks.add(k)
			delete(in.rows, k)
		}
	}
}

// foresight is what can be said of a batch before its operations are run.
type foresight struct {
	named *keyset // the rows that the operations name
	fresh *keyset // those of them that may well be new
}

// foresee are the rows that the requests name themselves, and the subjects of
// verifications.
func (w *writer) foresee(batch []request) foresight {
	f := foresight{newKeyset(), newKeyset()}
	for _, r := range batch {
		if r.op == nil {
			continue
		}
		if r.op.Idem != nil {
			f.named.idems.add(r.op.Idem.Key)
			f.fresh.idems.add(r.op.Idem.Key)
		}
		for _, p := range r.op.Places {
			f.named.counters.add(p)
			f.fresh.counters.add(p)
		}
		if r.op.ID == "" {
			f.named.subjects.add(r.op.Subject)
			if len(r.op.Places) > 0 { // it will charge, hence write
				f.fresh.subjects.add(r.op.Subject)
			}
			continue
		}
		f.named.verifications.add(r.op.ID)
		switch m := w.memory.verifications.get(r.op.ID); {
		case m == nil:
			f.named.subjectsOf.add(r.op.ID)
		case !r.op.IsAlone(m.value):
			f.named.subjects.add(m.value.Subject)
		}
	}
	return f
}

// made counts the guesses by their classes.
func (r *rows) made() (n [classes]int) {
	tally(&n, r.idems.rows)
	tally(&n, r.subjects.rows)
	tally(&n, r.verifications.rows)
	tally(&n, r.counters.rows)
	return n
}

func tally[K comparable, T any](n *[classes]int, all map[K]*row[T]) {
	for _, row := range all {
		if row.guessed {
			n[row.class]++
		}
	}
}
