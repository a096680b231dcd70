package postgres

import (
	"errors"

	"github.com/sixdigit/sixdigit/verify"
)

// row is a row as a transaction found it.
type row[T any] struct {
	value  T
	err    error // it is there, and cannot be read
	exists bool
}

// rows are the rows that a transaction has fetched and locked, also those that
// it found missing. What else is asked for it writes down in missed. The
// operations are then run anew, with these rows as well.
type rows struct {
	idems         map[verify.MAC]row[*verify.IdemRow]
	subjects      map[verify.SubjectKey]row[*verify.Subject]
	verifications map[string]row[*verify.Verification]
	limits        map[verify.LimitKey]row[int64]
	missed        *keyset
}

var _ verify.Rows = (*rows)(nil)

func newRows() *rows {
	return &rows{
		idems:         map[verify.MAC]row[*verify.IdemRow]{},
		subjects:      map[verify.SubjectKey]row[*verify.Subject]{},
		verifications: map[string]row[*verify.Verification]{},
		limits:        map[verify.LimitKey]row[int64]{},
		missed:        newKeyset(),
	}
}

// errNotFetched ends an operation in a pass that counts for nothing. No caller
// ever sees it.
var errNotFetched = errors.New("postgres: a row is not fetched yet")

// Subject implements verify.Rows.
func (r *rows) Subject(k verify.SubjectKey) (*verify.Subject, error) {
	if row, ok := r.subjects[k]; ok {
		return row.value, row.err
	}
	r.missed.subjects.add(k)
	return nil, errNotFetched
}

// Verification implements verify.Rows.
func (r *rows) Verification(id string) (*verify.Verification, error) {
	if row, ok := r.verifications[id]; ok {
		return row.value, row.err
	}
	r.missed.verifications.add(id)
	return nil, errNotFetched
}

// Limit implements verify.Rows. Where others end the operation, this goes on
// with a limit from which nothing was taken: an operation asks for a dozen, and
// all of them shall be known after one pass.
func (r *rows) Limit(k verify.LimitKey) (int64, error) {
	if row, ok := r.limits[k]; ok {
		return row.value, row.err
	}
	r.missed.limits.add(k)
	return 0, nil
}

// Idem implements verify.Rows.
func (r *rows) Idem(k verify.MAC) (*verify.IdemRow, error) {
	if row, ok := r.idems[k]; ok {
		return row.value, row.err
	}
	r.missed.idems.add(k)
	return nil, errNotFetched
}

// take returns what was missed since it was last called, nil when nothing was.
// Rows that were changed without having been read count, so that saving them
// knows whether they exist. A verification is taken for a new one: its id is
// drawn anew each time.
func (r *rows) take(c verify.Changes) *keyset {
	for _, s := range c.Subjects {
		if _, ok := r.subjects[s.Key]; !ok {
			r.missed.subjects.add(s.Key)
		}
	}
	for _, l := range c.Limits {
		if _, ok := r.limits[l.Key]; !ok {
			r.missed.limits.add(l.Key)
		}
	}
	if r.missed.first() == tableNone {
		return nil
	}
	missed := r.missed
	r.missed = newKeyset()
	return missed
}
