package postgres

import (
	"errors"

	"github.com/sixdigit/sixdigit/verify"
)

// row is a row as a transaction found it, or as the writer guesses it to be.
type row[T any] struct {
	value   T
	err     error // it is there, and cannot be read
	exists  bool
	version int64
	size    int
	guessed bool // neither fetched nor locked
	class   class
}

// rows are the rows of a transaction, also those that are missing. What else is
// asked for comes from memory, or is written down in missed: the operations are
// then run anew, with these rows as well.
type rows struct {
	idems         map[verify.MAC]row[*verify.IdemRow]
	subjects      map[verify.SubjectKey]row[*verify.Subject]
	verifications map[string]row[*verify.Verification]
	counters      map[verify.Place]row[verify.Counters]
	missed        *keyset
	written       *keyset // by the last pass

	memory *memory // nil when nothing is to be guessed
	rely   [classes]bool
}

var _ verify.Rows = (*rows)(nil)

func newRows() *rows {
	return &rows{
		idems:         map[verify.MAC]row[*verify.IdemRow]{},
		subjects:      map[verify.SubjectKey]row[*verify.Subject]{},
		verifications: map[string]row[*verify.Verification]{},
		counters:      map[verify.Place]row[verify.Counters]{},
		missed:        newKeyset(),
	}
}

// errNotFetched ends an operation in a pass that counts for nothing. No caller
// ever sees it.
var errNotFetched = errors.New("postgres: a row is not fetched yet")

// find returns a row that is there already, or one from memory.
func find[K comparable, T any](r *rows, table int, all map[K]row[T], memory func(*memory) *memos[K, T], k K) (row[T], bool) {
	if found, ok := all[k]; ok {
		return found, true
	}
	if r.memory == nil {
		return row[T]{}, false
	}
	m, ok := memory(r.memory).get(k)
	if !ok || m.doubt > 0 || !r.rely[m.class(table)] {
		return row[T]{}, false
	}
	found := row[T]{value: m.value, exists: true, version: m.version, guessed: true, class: m.class(table)}
	all[k] = found
	return found, true
}

func idemsOf(m *memory) *memos[verify.MAC, *verify.IdemRow]           { return &m.idems }
func subjectsOf(m *memory) *memos[verify.SubjectKey, *verify.Subject] { return &m.subjects }
func verificationsOf(m *memory) *memos[string, *verify.Verification]  { return &m.verifications }
func countersOf(m *memory) *memos[verify.Place, verify.Counters]      { return &m.counters }

// Subject implements verify.Rows.
func (r *rows) Subject(k verify.SubjectKey) (*verify.Subject, error) {
	if row, ok := find(r, tableSubjects, r.subjects, subjectsOf, k); ok {
		return row.value, row.err
	}
	r.missed.subjects.add(k)
	return nil, errNotFetched
}

// Verification implements verify.Rows.
func (r *rows) Verification(id string) (*verify.Verification, error) {
	if row, ok := find(r, tableVerifications, r.verifications, verificationsOf, id); ok {
		return row.value, row.err
	}
	r.missed.verifications.add(id)
	return nil, errNotFetched
}

// Counters implements verify.Rows. Where others end the operation, this goes on
// with a place of which nothing was taken: an operation asks for several, and
// all of them shall be known after one pass.
func (r *rows) Counters(p verify.Place) (verify.Counters, error) {
	if row, ok := find(r, tableCounters, r.counters, countersOf, p); ok {
		return row.value, row.err
	}
	r.missed.counters.add(p)
	return nil, nil
}

// Idem implements verify.Rows.
func (r *rows) Idem(k verify.MAC) (*verify.IdemRow, error) {
	if row, ok := find(r, tableIdems, r.idems, idemsOf, k); ok {
		return row.value, row.err
	}
	r.missed.idems.add(k)
	return nil, errNotFetched
}

// take returns what was missed since it was last called, nil when nothing was.
// Rows that were changed without having been read count, so that saving them
// knows whether they exist. A verification that nobody remembers is taken for a
// new one: its id is drawn anew each time.
func (r *rows) take(c verify.Changes) *keyset {
	written := newKeyset()
	r.written = written
	written.addChanges(c)
	for _, e := range c.Counters {
		if len(e.Counters) == 0 && !r.counters[e.Place].exists {
			delete(written.counters, e.Place) // nothing is there, and nothing comes
		}
	}
	for id := range written.verifications {
		find(r, tableVerifications, r.verifications, verificationsOf, id)
	}
	miss(r.missed.subjects, r.subjects, written.subjects)
	miss(r.missed.counters, r.counters, written.counters)
	miss(r.missed.idems, r.idems, written.idems)
	if r.missed.empty() {
		return nil
	}
	missed := r.missed
	r.missed = newKeyset()
	return missed
}

// miss adds what is written and was never read, and what was guessed not to be
// there and is not written now: the server cannot be told to hold on to nothing,
// so it has to be looked for.
func miss[K comparable, T any](missed set[K], all map[K]row[T], written set[K]) {
	for k := range written {
		if _, ok := all[k]; !ok {
			missed.add(k)
		}
	}
	for k, row := range all {
		if row.guessed && !row.exists {
			if _, ok := written[k]; !ok {
				missed.add(k)
			}
		}
	}
}

// addTo adds the keys of all rows.
func (r *rows) addTo(k *keyset) {
	addKeys(k.idems, r.idems)
	addKeys(k.subjects, r.subjects)
	addKeys(k.verifications, r.verifications)
	addKeys(k.counters, r.counters)
}

// addAbsent adds the keys of rows that are guessed not to be there.
func (r *rows) addAbsent(k *keyset) {
	none := newKeyset()
	miss(k.idems, r.idems, none.idems)
	miss(k.subjects, r.subjects, none.subjects)
	miss(k.counters, r.counters, none.counters)
}

func addKeys[K comparable, T any](to set[K], from map[K]row[T]) {
	for k := range from {
		to.add(k)
	}
}
