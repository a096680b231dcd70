package verify

import "sync"

// stuckRows remembers rows that cannot be claimed, so that they are told of
// once, and do not stand in the way of those behind them.
type stuckRows struct {
	mu  sync.Mutex
	ids map[string]bool
}

// maxStuck bounds the memory of a store whose rows cannot be read.
const maxStuck = 1000

func (b *stuckRows) add(id string) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ids == nil {
		b.ids = map[string]bool{}
	}
	first = !b.ids[id]
	if len(b.ids) < maxStuck {
		b.ids[id] = true
	}
	return first
}

func (b *stuckRows) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ids, id)
}

func (b *stuckRows) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}
