package postgres

import (
	"errors"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// row is a row as a transaction found it, or as the writer guesses it to be.
type row[T any] struct {
	value   T
	err     error // it is there, and cannot be read
	exists  bool
	guessed bool // neither fetched nor locked
	class   class
	version int64
	size    int
	written int // by this pass
}

// shelf are the rows of a table that a transaction has to do with.
type shelf[K comparable, T any] struct {
	rows map[K]*row[T]
	room []row[T] // for those to come
	used int      // of the room
}

// shelfRoom is how many rows are made at once.
const shelfRoom = 64

// add returns a row, which is new where there was none.
func (s *shelf[K, T]) add(k K) *row[T] {
	if found := s.rows[k]; found != nil {
		return found
	}
	return s.put(k)
}

// put adds a row that is not there yet.
func (s *shelf[K, T]) put(k K) *row[T] {
	if s.used == len(s.room) {
		s.room, s.used = make([]row[T], max(shelfRoom, 2*len(s.room))), 0
	}
	r := &s.room[s.used]
	s.used++
	if s.rows == nil {
		s.rows = map[K]*row[T]{}
	}
	s.rows[k] = r
	return r
}

// at returns a row as it is: not there, where nobody has looked for it.
func (s *shelf[K, T]) at(k K) row[T] {
	if found := s.rows[k]; found != nil {
		return *found
	}
	return row[T]{}
}

// clear makes the shelf empty, to be used again.
func (s *shelf[K, T]) clear() {
	clear(s.rows)
	clear(s.room[:s.used])
	s.used = 0
}

// rows are the rows of a transaction, also those that are missing. What else is
// asked for comes from memory, or is written down in missed: the operations are
// then run anew, with these rows as well.
type rows struct {
	idems         shelf[verify.MAC, *verify.IdemRow]
	subjects      shelf[verify.SubjectKey, *verify.Subject]
	verifications shelf[string, *verify.Verification]
	counters      shelf[verify.Place, verify.Counters]
	missed        *keyset
	pass          int // how often rows were taken

	memory *memory // nil when nothing is to be guessed
	now    time.Time
	rely   [classes]bool
}

var _ verify.Rows = (*rows)(nil)

func newRows() *rows { return &rows{missed: newKeyset()} }

// clear makes the rows empty, to be used again.
func (r *rows) clear() {
	r.idems.clear()
	r.subjects.clear()
	r.verifications.clear()
	r.counters.clear()
	if !r.missed.empty() {
		r.missed = newKeyset()
	}
	r.pass, r.memory = 0, nil
}

// errNotFetched ends an operation in a pass that counts for nothing. No caller
// ever sees it.
var errNotFetched = errors.New("postgres: a row is not fetched yet")

// find returns a row that is there already, or one from memory, or nil.
func find[K comparable, T any](r *rows, table int, in *shelf[K, T], from func(*memory) *memos[K, T], k K) *row[T] {
	if found := in.rows[k]; found != nil || r.memory == nil {
		return found
	}
	m := from(r.memory).get(k)
	if m == nil || m.doubt > 0 || !r.rely[m.class(table, r.now)] {
		return nil
	}
	found := in.put(k)
	*found = row[T]{value: m.value, exists: true, version: m.version, guessed: true, class: m.class(table, r.now)}
	return found
}

func idemsOf(m *memory) *memos[verify.MAC, *verify.IdemRow]           { return &m.idems }
func subjectsOf(m *memory) *memos[verify.SubjectKey, *verify.Subject] { return &m.subjects }
func verificationsOf(m *memory) *memos[string, *verify.Verification]  { return &m.verifications }
func countersOf(m *memory) *memos[verify.Place, verify.Counters]      { return &m.counters }

// Subject implements verify.Rows.
func (r *rows) Subject(k verify.SubjectKey) (*verify.Subject, error) {
	if row := find(r, tableSubjects, &r.subjects, subjectsOf, k); row != nil {
		return row.value, row.err
	}
	r.missed.subjects.add(k)
	return nil, errNotFetched
}

// Verification implements verify.Rows.
func (r *rows) Verification(id string) (*verify.Verification, error) {
	if row := find(r, tableVerifications, &r.verifications, verificationsOf, id); row != nil {
		return row.value, row.err
	}
	r.missed.verifications.add(id)
	return nil, errNotFetched
}

// Counters implements verify.Rows. Where others end the operation, this goes on
// with a place of which nothing was taken: an operation asks for several, and
// all of them shall be known after one pass.
func (r *rows) Counters(p verify.Place) (verify.Counters, error) {
	if row := find(r, tableCounters, &r.counters, countersOf, p); row != nil {
		return row.value, row.err
	}
	r.missed.counters.add(p)
	return nil, nil
}

// Idem implements verify.Rows.
func (r *rows) Idem(k verify.MAC) (*verify.IdemRow, error) {
	if row := find(r, tableIdems, &r.idems, idemsOf, k); row != nil {
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
	r.pass++
	for i := range c.Idems {
		mark(r, &r.idems, c.Idems[i].Key, r.missed.idems)
	}
	for _, s := range c.Subjects {
		mark(r, &r.subjects, s.Key, r.missed.subjects)
	}
	for _, v := range c.Verifications {
		if row := find(r, tableVerifications, &r.verifications, verificationsOf, v.ID); row != nil {
			row.written = r.pass
		}
	}
	for _, e := range c.Counters {
		if len(e.Counters) == 0 && !r.counters.at(e.Place).exists {
			continue // nothing is there, and nothing comes
		}
		mark(r, &r.counters, e.Place, r.missed.counters)
	}
	miss(r, &r.idems, r.missed.idems)
	miss(r, &r.subjects, r.missed.subjects)
	miss(r, &r.counters, r.missed.counters)
	if r.missed.empty() {
		return nil
	}
	missed := r.missed
	r.missed = newKeyset()
	return missed
}

// mark notes that a row is written. One that was never read is missed.
func mark[K comparable, T any](r *rows, in *shelf[K, T], k K, missed set[K]) {
	if found := in.rows[k]; found != nil {
		found.written = r.pass
	} else {
		missed.add(k)
	}
}

// miss adds what was guessed not to be there and is not written now: the server
// cannot be told to hold on to nothing, so it has to be looked for.
func miss[K comparable, T any](r *rows, in *shelf[K, T], missed set[K]) {
	for k, row := range in.rows {
		if row.guessed && !row.exists && !r.writes(row.written) {
			missed.add(k)
		}
	}
}

// writes reports whether a row with such a mark is written by the last pass.
func (r *rows) writes(mark int) bool { return mark == r.pass && r.pass > 0 }

// addTo adds the keys of all rows.
func (r *rows) addTo(k *keyset) {
	addKeys(k.idems, r.idems.rows)
	addKeys(k.subjects, r.subjects.rows)
	addKeys(k.verifications, r.verifications.rows)
	addKeys(k.counters, r.counters.rows)
}

// addAbsent adds the keys of rows that are guessed not to be there.
func (r *rows) addAbsent(k *keyset) {
	addGuessedAbsent(k.idems, r.idems.rows)
	addGuessedAbsent(k.subjects, r.subjects.rows)
	addGuessedAbsent(k.counters, r.counters.rows)
}

func addGuessedAbsent[K comparable, T any](to set[K], from map[K]*row[T]) {
	for k, row := range from {
		if row.guessed && !row.exists {
			to.add(k)
		}
	}
}

func addKeys[K comparable, T any](to set[K], from map[K]*row[T]) {
	for k := range from {
		to.add(k)
	}
}
