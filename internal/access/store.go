package access

import (
	"context"
	"time"
)

// Store keeps keys. Times come back in UTC, in whole microseconds.
type Store interface {
	// Insert adds a key. Its id must be new.
	Insert(ctx context.Context, k Key) error
	// ByID returns a key, revoked or not, or ErrNoKey. It sees at once what
	// another process has stored.
	ByID(ctx context.Context, id string) (Key, error)
	// List returns every key, the oldest first.
	List(ctx context.Context) ([]Key, error)
	// Revoke ends a key for good, or returns ErrNoKey. One that is revoked
	// already stays as it is.
	Revoke(ctx context.Context, id string, at time.Time) error
	// Touch notes the day on which a key was used, unless a later one is noted.
	Touch(ctx context.Context, id string, day time.Time) error
}
