package postgres

import (
	"context"
	"time"
)

// ShrinkPartition is a purge that has looked at a day and found all of it over.
func (s *Store) ShrinkPartition(ctx context.Context, day, now time.Time) error {
	at := micros(now)
	_, err := s.shrinkPartition(ctx, int32(day.Unix()/secondsPerDay), bite{before: at, owed: at, now: at})
	return err
}

// ErrPartitionInUse says that a partition stays.
var ErrPartitionInUse = errInUse
