package verify

import (
	"slices"
	"time"
)

// The batch's readers: from what it has, else from the store, once.

// subject returns a copy, without what has expired.
func (b *Batch) subject(k SubjectKey) (*Subject, error) {
	e, ok := b.subjects[k]
	if !ok {
		s, err := b.rows.Subject(k)
		if err != nil {
			return nil, storeError(err)
		}
		e.row = s
		b.subjects[k] = e
	}
	if e.row == nil {
		return &Subject{Key: k}, nil
	}
	s := e.row.copy()
	s.drop(b.now)
	return s, nil
}

func (b *Batch) verification(id string) (*Verification, error) {
	if e, ok := b.verifications[id]; ok {
		return e.row, nil
	}
	v, err := b.rows.Verification(id)
	if err != nil {
		return nil, storeError(err)
	}
	b.verifications[id] = entry[*Verification]{row: v}
	return v, nil
}

func (b *Batch) countersAt(p Place) (Counters, error) {
	if e, ok := b.counters[p]; ok {
		return e.row, nil
	}
	c, err := b.rows.Counters(p)
	if err != nil {
		return nil, storeError(err)
	}
	b.counters[p] = entry[Counters]{row: c}
	return c, nil
}

func (b *Batch) idem(k MAC) (*IdemRow, error) {
	if e, ok := b.idems[k]; ok {
		return e.row, nil
	}
	r, err := b.rows.Idem(k)
	if err != nil {
		return nil, storeError(err)
	}
	b.idems[k] = entry[*IdemRow]{row: r}
	return r, nil
}

// drop forgets what has expired.
func (s *Subject) drop(now time.Time) {
	n := len(s.Pending) + len(s.Held) + len(s.Taken)
	s.Pending = slices.DeleteFunc(s.Pending, func(p Pending) bool { return !now.Before(p.ExpiresAt) })
	s.Held = slices.DeleteFunc(s.Held, func(h Hold) bool { return !now.Before(h.Until) })
	s.Taken = slices.DeleteFunc(s.Taken, func(t Taken) bool { return now.Sub(t.At) >= takenLife })
	s.touched = len(s.Pending)+len(s.Held)+len(s.Taken) < n
}
