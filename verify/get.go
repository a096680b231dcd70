package verify

import (
	"context"
	"time"
)

// Get returns a verification of the app, and the time for its StatusAt. Another
// app's is ErrNotFound, as one that does not exist.
func (s *Service) Get(ctx context.Context, app, id string) (*Verification, time.Time, error) {
	if !validID(id) {
		return nil, time.Time{}, ErrNotFound
	}
	v, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, time.Time{}, err
	}
	if v.App != app || v.Supplied {
		return nil, time.Time{}, ErrNotFound
	}
	return v, s.now().UTC(), nil
}

// Purge removes what ended before the time, at most limit rows, and returns how
// many it removed; zero says that nothing is left.
func (s *Service) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.store.Purge(ctx, before, limit)
}
