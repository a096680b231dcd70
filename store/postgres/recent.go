package postgres

// recent remembers what was used lately, in at most size bytes: what nobody has
// asked for longest is forgotten first.
type recent[K comparable, V any] struct {
	size, filled int
	all          map[K]*entry[K, V]
	ring         *entry[K, V] // its newer one is the oldest, its older one the newest
	spare        *entry[K, V] // one that was forgotten, to be used again
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	size         int
	newer, older *entry[K, V]
}

// entrySize is what an entry takes besides what it says of itself: about.
const entrySize = 160

func newRecent[K comparable, V any](size int) recent[K, V] {
	ring := &entry[K, V]{}
	ring.newer, ring.older = ring, ring
	return recent[K, V]{size: size, all: map[K]*entry[K, V]{}, ring: ring}
}

// get returns what is remembered, nil when that is nothing. It lasts until the
// next put or drop.
func (r *recent[K, V]) get(k K) *V {
	e := r.all[k]
	if e == nil {
		return nil
	}
	r.refresh(e)
	return &e.value
}

// put makes room for what takes so much, and returns where it is to be put: over
// what was remembered, if anything was.
func (r *recent[K, V]) put(k K, size int) *V {
	size += entrySize
	e := r.all[k]
	if e == nil {
		for r.filled > 0 && r.filled+size > r.size {
			r.remove(r.ring.newer)
		}
		if e, r.spare = r.spare, nil; e == nil {
			e = &entry[K, V]{}
		}
		e.key, e.newer, e.older = k, e, e
		r.all[k] = e
	}
	r.filled += size - e.size
	e.size = size
	r.refresh(e)
	return &e.value
}

// refresh makes an entry the newest.
func (r *recent[K, V]) refresh(e *entry[K, V]) {
	e.newer.older, e.older.newer = e.older, e.newer
	e.newer, e.older = r.ring, r.ring.older
	e.older.newer, r.ring.older = e, e
}

func (r *recent[K, V]) drop(k K) {
	if e := r.all[k]; e != nil {
		r.remove(e)
	}
}

func (r *recent[K, V]) remove(e *entry[K, V]) {
	delete(r.all, e.key)
	r.filled -= e.size
	e.newer.older, e.older.newer = e.older, e.newer
	*e = entry[K, V]{}
	r.spare = e
}
