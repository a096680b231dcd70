package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/sixdigit/sixdigit/verify"
)

// List implements verify.Store.
func (s *Store) List(ctx context.Context, from, below string, limit int) ([]*verify.Verification, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []*verify.Verification
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.rows.verifications))) {
		if len(all) >= limit || id < from {
			break
		}
		if id < below {
			all = append(all, s.rows.verifications[id].Clone())
		}
	}
	return all, nil
}
