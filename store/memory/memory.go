package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// Store keeps verifications in maps. Make one with New; it is safe for use by
// many goroutines.
type Store struct {
	now func() time.Time

	lock chan struct{} // a mutex that can be waited for within a context
	rows rows
}

var _ verify.Store = (*Store)(nil)

// New returns an empty store. now is its clock; nil is time.Now.
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, lock: make(chan struct{}, 1), rows: rows{
		subjects:      map[verify.SubjectKey]*verify.Subject{},
		verifications: map[string]*verify.Verification{},
		due:           map[string]time.Time{},
		counters:      map[verify.Place]verify.Counters{},
		idems:         map[verify.MAC]verify.IdemRow{},
		events:        &events{},
	}}
}

// enter locks the store, unless ctx ends first.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() { <-s.lock }

// Do implements verify.Store.
func (s *Store) Do(ctx context.Context, op verify.Op) (any, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	b := verify.NewBatch(s.now(), s.rows)
	result, err := b.Apply(op)
	s.rows.save(b.Changes())
	return result, err
}

// Get implements verify.Store.
func (s *Store) Get(ctx context.Context, id string) (*verify.Verification, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	v, ok := s.rows.verifications[id]
	if !ok {
		return nil, verify.ErrNotFound
	}
	return v.Clone(), nil
}

// Due implements verify.Store.
func (s *Store) Due(ctx context.Context, limit int) ([]string, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	now := s.now()
	var ids []string
	for id, at := range s.rows.due {
		if !at.After(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(s.rows.due[a].Compare(s.rows.due[b]), cmp.Compare(a, b))
	})
	return ids[:min(len(ids), max(limit, 0))], nil
}

// Purge implements verify.Store.
func (s *Store) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	// Records are in whole microseconds.
	now := s.now().Truncate(time.Microsecond)
	if before = before.Truncate(time.Microsecond); before.After(now) {
		before = now // what has not ended has not ended
	}
	left := limit
	sweep(s.rows.verifications, &left, func(v *verify.Verification) bool {
		over := v.Ended().Before(before) && (v.DueAt().IsZero() || v.Ended().Before(now.Add(-verify.OwedLife)))
		if over {
			delete(s.rows.due, v.ID)
		}
		return over
	})
	sweep(s.rows.subjects, &left, func(u *verify.Subject) bool {
		return !u.Quiet().After(now) && u.Failed().Before(before)
	})
	sweep(s.rows.counters, &left, func(c verify.Counters) bool { return c.Expires() <= now.UnixMicro() })
	sweep(s.rows.idems, &left, func(i verify.IdemRow) bool { return !i.ExpiresAt.After(now) })
	return limit - left, nil
}

func sweep[K comparable, V any](m map[K]V, left *int, over func(V) bool) {
	for k, v := range m {
		if *left <= 0 {
			return
		}
		if over(v) {
			delete(m, k)
			*left--
		}
	}
}

// rows are the records. A Batch neither changes nor hands out what it reads here;
// what it changes is the store's from then on.
type rows struct {
	subjects      map[verify.SubjectKey]*verify.Subject
	verifications map[string]*verify.Verification
	due           map[string]time.Time // those to which something is owed, and when
	counters      map[verify.Place]verify.Counters
	idems         map[verify.MAC]verify.IdemRow
	events        *events
}

var _ verify.Rows = rows{}

// Subject implements verify.Rows.
func (r rows) Subject(k verify.SubjectKey) (*verify.Subject, error) { return r.subjects[k], nil }

// Verification implements verify.Rows.
func (r rows) Verification(id string) (*verify.Verification, error) { return r.verifications[id], nil }

// Counters implements verify.Rows.
func (r rows) Counters(p verify.Place) (verify.Counters, error) { return r.counters[p], nil }

// Idem implements verify.Rows.
func (r rows) Idem(k verify.MAC) (*verify.IdemRow, error) {
	row, ok := r.idems[k]
	if !ok {
		return nil, nil
	}
	return &row, nil
}

func (r rows) save(c verify.Changes) {
	for _, v := range c.Verifications {
		r.verifications[v.ID] = v
		if at := v.DueAt(); at.IsZero() {
			delete(r.due, v.ID)
		} else {
			r.due[v.ID] = at
		}
	}
	for _, u := range c.Subjects {
		r.subjects[u.Key] = u
	}
	for _, e := range c.Counters {
		if len(e.Counters) == 0 {
			delete(r.counters, e.Place)
			continue
		}
		r.counters[e.Place] = e.Counters
	}
	for _, i := range c.Idems {
		r.idems[i.Key] = i.IdemRow
	}
	r.events.add(c.Events)
}
