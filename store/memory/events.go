package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

var _ verify.Outbox = (*Store)(nil)

// events are the outbox, the oldest first.
type events struct {
	last int64
	all  []*event
}

type event struct {
	verify.Event
	due time.Time // zero while its key has an older one
}

func (s *events) add(fresh []verify.Event) {
	for _, e := range fresh {
		s.last++
		e.Seq = s.last
		row := &event{Event: e}
		if s.head(e.Key) == nil {
			row.due = e.CreatedAt
		}
		s.all = append(s.all, row)
	}
}

// head is the oldest event of a key, or nil.
func (s *events) head(key string) *event {
	i := slices.IndexFunc(s.all, func(e *event) bool { return e.Key == key })
	if i < 0 {
		return nil
	}
	return s.all[i]
}

// ClaimEvents implements verify.Outbox.
func (s *Store) ClaimEvents(ctx context.Context, app string, limit int, lease time.Duration) ([]verify.Event, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	now := s.now().Truncate(time.Microsecond)
	var due []*event
	for _, e := range s.rows.events.all {
		if e.App == app && !e.due.IsZero() && (!e.due.After(now) || e.due.After(now.Add(verify.EventWait))) {
			due = append(due, e)
		}
	}
	// Those that a wrong clock has put off come last.
	slices.SortStableFunc(due, func(a, b *event) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.Seq, b.Seq))
	})
	var claimed []verify.Event
	for _, e := range due[:min(len(due), max(limit, 0))] {
		e.due = now.Add(lease)
		e.Tries++
		e.Epoch++
		claimed = append(claimed, e.copy())
	}
	return claimed, nil
}

func (e *event) copy() verify.Event {
	c := e.Event
	c.Payload = slices.Clone(c.Payload)
	return c
}

// SettleEvent implements verify.Outbox.
func (s *Store) SettleEvent(ctx context.Context, r verify.EventResult) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	now := s.now().Truncate(time.Microsecond)
	all := s.rows.events
	i := slices.IndexFunc(all.all, func(e *event) bool { return e.Seq == r.Seq && e.Epoch == r.Epoch })
	if i < 0 {
		return false, nil
	}
	e := all.all[i]
	if !r.Done {
		e.due, e.Tries = now.Add(r.After), r.Tries
		return true, nil
	}
	all.all = slices.Delete(all.all, i, i+1)
	if next := all.head(e.Key); next != nil && next.due.IsZero() {
		next.due = now
	}
	return true, nil
}

// OldestEvents implements verify.Outbox.
func (s *Store) OldestEvents(ctx context.Context, limit int) ([]verify.Event, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	all := s.rows.events.all
	var oldest []verify.Event
	for _, e := range all[:min(len(all), max(limit, 0))] {
		c := e.Event
		c.Payload = nil
		oldest = append(oldest, c)
	}
	return oldest, nil
}
