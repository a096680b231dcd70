package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/phone"
)

// memStore keeps rows as JSON, so that a test sees only what a store would
// have saved. One operation is one batch.
type memStore struct {
	mu            sync.Mutex
	now           func() time.Time
	before        func(Op) error // called before each operation, or nil
	after         func(Op) error // called after each commit, or nil: the answer that is lost
	subjects      map[SubjectKey][]byte
	verifications map[string]memVerification
	counters      map[Place]Counters
	idems         map[MAC][]byte
	events        []Event
}

type memVerification struct {
	data []byte
	to   phone.Number
}

var _ Store = (*memStore)(nil)

func newMemStore(now func() time.Time) *memStore {
	return &memStore{
		now: now, subjects: map[SubjectKey][]byte{}, verifications: map[string]memVerification{},
		counters: map[Place]Counters{}, idems: map[MAC][]byte{},
	}
}

func (m *memStore) Do(ctx context.Context, op Op) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.before != nil {
		if err := m.before(op); err != nil {
			return nil, err
		}
	}
	b := NewBatch(m.now(), memRows{m})
	result, err := b.Apply(op)
	if err != nil {
		if c := b.Changes(); len(c.Verifications)+len(c.Subjects)+len(c.Counters)+len(c.Idems)+len(c.Events) > 0 {
			return nil, fmt.Errorf("an operation that failed left changes: %w", err)
		}
		return nil, err
	}
	m.save(b.Changes())
	if m.after != nil {
		if err := m.after(op); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (m *memStore) List(_ context.Context, from, below string, limit int) (all []*Verification, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(m.verifications))) {
		if id >= from && id < below && len(all) < limit {
			v, err := memRows{m}.Verification(id)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
	}
	return all, nil
}

func (m *memStore) save(c Changes) {
	for _, s := range c.Subjects {
		m.subjects[s.Key] = mustJSON(s)
	}
	for _, v := range c.Verifications {
		m.verifications[v.ID] = memVerification{mustJSON(v), v.To}
	}
	for _, e := range c.Counters {
		m.counters[e.Place] = slices.Clone(e.Counters)
	}
	for _, i := range c.Idems {
		m.idems[i.Key] = mustJSON(i.IdemRow)
	}
	m.events = append(m.events, c.Events...)
}

func (m *memStore) Get(_ context.Context, id string) (*Verification, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := memRows{m}.Verification(id)
	if v == nil {
		return nil, ErrNotFound
	}
	return v, err
}

func (m *memStore) Due(_ context.Context, limit int) (ids []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, due := m.now(), map[string]time.Time{}
	for id := range m.verifications {
		v, err := memRows{m}.Verification(id)
		if err != nil {
			return nil, err
		}
		if at := v.DueAt(); !at.IsZero() && !at.After(now) {
			due[id] = at
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return due[a].Compare(due[b]) })
	return ids[:min(limit, len(ids))], nil
}

func (m *memStore) Purge(_ context.Context, before time.Time, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, id := range slices.Collect(maps.Keys(m.verifications)) {
		if v, _ := (memRows{m}).Verification(id); n < limit && v.ExpiresAt.Before(before) {
			delete(m.verifications, id)
			n++
		}
	}
	return n, nil
}

// dump is everything that the store holds, as text.
func (m *memStore) dump() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b bytes.Buffer
	for _, s := range m.subjects {
		b.Write(s)
	}
	for id, v := range m.verifications {
		fmt.Fprintf(&b, "%s %s\n", id, v.data)
	}
	for _, i := range m.idems {
		b.Write(i)
	}
	for _, e := range m.events {
		b.Write(e.Payload)
	}
	return b.String()
}

type memRows struct{ m *memStore }

func (r memRows) Subject(k SubjectKey) (*Subject, error) {
	return readJSON(r.m.subjects[k], &Subject{Key: k})
}

func (r memRows) Verification(id string) (*Verification, error) {
	row := r.m.verifications[id]
	return readJSON(row.data, &Verification{ID: id, To: row.to})
}

func (r memRows) Counters(p Place) (Counters, error) {
	return ReadCounters(slices.Clone(r.m.counters[p]))
}

func (m *memStore) counter(k LimitKey) int64 { return m.counters[k.Place()].Value(k) }

func (r memRows) Idem(k MAC) (*IdemRow, error) { return readJSON(r.m.idems[k], &IdemRow{}) }

func readJSON[T any](data []byte, into *T) (*T, error) {
	if data == nil {
		return nil, nil
	}
	return into, json.Unmarshal(data, into)
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
