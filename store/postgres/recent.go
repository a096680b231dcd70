package postgres

// recent remembers what was used lately, in at most size bytes: when the young
// half is full, the old half is forgotten.
type recent[K comparable, V any] struct {
	size, filled int
	young, old   map[K]sized[V]
}

type sized[V any] struct {
	value V
	size  int
}

// entrySize is what an entry takes besides what it says of itself: about.
const entrySize = 128

func newRecent[K comparable, V any](size int) recent[K, V] {
	return recent[K, V]{size: size, young: map[K]sized[V]{}}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	if e, ok := r.young[k]; ok {
		return e.value, true
	}
	e, ok := r.old[k]
	if ok {
		r.put(k, e.value, e.size-entrySize) // or something used all the time would be forgotten
	}
	return e.value, ok
}

func (r *recent[K, V]) put(k K, v V, size int) {
	size += entrySize
	r.filled -= r.young[k].size
	if r.filled+size > r.size/2 {
		r.old, r.young, r.filled = r.young, make(map[K]sized[V], len(r.young)), 0
	}
	delete(r.old, k)
	r.young[k] = sized[V]{v, size}
	r.filled += size
}

func (r *recent[K, V]) drop(k K) {
	r.filled -= r.young[k].size // zero when it is not there
	delete(r.young, k)
	delete(r.old, k)
}
