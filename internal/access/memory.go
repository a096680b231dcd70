package access

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Memory is a Store that forgets everything with the process, for tests.
type Memory struct {
	mu   sync.Mutex
	keys map[string]Key

	services services
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{keys: map[string]Key{}} }

// Insert implements Store.
func (m *Memory) Insert(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, twice := m.keys[k.ID]; twice {
		return errors.New("access: the key's id exists")
	}
	k.Scopes = slices.Clone(k.Scopes)
	m.keys[k.ID] = k
	return nil
}

// ByID implements Store.
func (m *Memory) ByID(_ context.Context, id string) (Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return Key{}, ErrNoKey
	}
	k.Scopes = slices.Clone(k.Scopes)
	return k, nil
}

// List implements Store.
func (m *Memory) List(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Key, 0, len(m.keys))
	for _, k := range m.keys {
		k.Scopes = slices.Clone(k.Scopes)
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Revoke implements Store.
func (m *Memory) Revoke(_ context.Context, id string, at time.Time) error {
	return m.update(id, func(k *Key) {
		if k.RevokedAt.IsZero() {
			k.RevokedAt = at.UTC().Truncate(time.Microsecond)
		}
	})
}

// Touch implements Store.
func (m *Memory) Touch(_ context.Context, id string, day time.Time) error {
	return m.update(id, func(k *Key) {
		if day = Day(day); day.After(k.UsedOn) {
			k.UsedOn = day
		}
	})
}

func (m *Memory) update(id string, change func(*Key)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return ErrNoKey
	}
	change(&k)
	m.keys[id] = k
	return nil
}

// Day returns the midnight, in UTC, that a time's day began with.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
