package postgres

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWhatIsForgotten compares what is remembered with a list in the order of use:
// as many of the last as fit, and no other.
func TestWhatIsForgotten(t *testing.T) {
	t.Parallel()
	const room = 10 * (entrySize + 100)
	rapid.Check(t, func(t *rapid.T) {
		type known struct{ key, value, size int }
		r, filled := newRecent[int, int](room), 0
		var order []known // the newest last
		find := func(k int) int { return slices.IndexFunc(order, func(e known) bool { return e.key == k }) }
		forget := func(i int) {
			filled -= order[i].size + entrySize
			order = slices.Delete(order, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := known{rapid.IntRange(0, 20).Draw(t, "key"), rapid.Int().Draw(t, "value"), rapid.IntRange(0, 400).Draw(t, "size")}
				if i := find(e.key); i >= 0 {
					forget(i)
				} else {
					for len(order) > 0 && filled+e.size+entrySize > room {
						forget(0)
					}
				}
				filled += e.size + entrySize
				order = append(order, e)
				*r.put(e.key, e.size) = e.value
			},
			"get": func(t *rapid.T) {
				k := rapid.IntRange(0, 20).Draw(t, "key")
				v, i := r.get(k), find(k)
				if (v == nil) != (i < 0) {
					t.Fatalf("%d is remembered as %v, and is at %d of %v", k, v, i, order)
				}
				if i >= 0 {
					if *v != order[i].value {
						t.Fatalf("%d is %d, want %d", k, *v, order[i].value)
					}
					e := order[i]
					order = append(slices.Delete(order, i, i+1), e)
				}
			},
			"drop": func(t *rapid.T) {
				k := rapid.IntRange(0, 20).Draw(t, "key")
				if r.drop(k); find(k) >= 0 {
					forget(find(k))
				}
			},
			"": func(t *rapid.T) {
				if len(r.all) != len(order) || r.filled != filled {
					t.Fatalf("%d entries of %d bytes, want %d of %d", len(r.all), r.filled, len(order), filled)
				}
			},
		})
	})
}

// TestOnlyWhatArrivesIsRemembered lets batches fail and arrive.
func TestOnlyWhatArrivesIsRemembered(t *testing.T) {
	t.Parallel()
	r := newMemos[int](memorySize, new(atomic.Pointer[bite]), func(string, *bite) bool { return false })
	write := func(text string, version int64) {
		r.expect(1, text, version, len(text))
		r.expect(2, text, version, len(text))
		r.expectGone(3)
	}
	look := func(when string, want map[int]memo[string]) {
		t.Helper()
		for k := range 4 {
			m := r.get(k)
			switch w, known := want[k]; {
			case known != (m != nil):
				t.Errorf("%s: of %d it remembers %v", when, k, m)
			case known && (m.value != w.value || m.version != w.version || m.doubt != w.doubt):
				t.Errorf("%s: of %d it remembers %+v, want %+v", when, k, *m, w)
			}
		}
	}
	*r.put(1, 3) = memo[string]{value: "old", version: 7, doubt: 3}
	*r.put(3, 3) = memo[string]{value: "old", version: 8}
	before := map[int]memo[string]{1: {value: "old", version: 7, doubt: 3}, 3: {value: "old", version: 8}}
	write("lost", 9)
	look("on its way", before)
	r.failed()
	look("failed", before)
	r.arrived(time.Now())
	look("nothing arrived", before)
	write("new", 10)
	r.arrived(time.Now())
	after := map[int]memo[string]{1: {value: "new", version: 10, doubt: 3}, 2: {value: "new", version: 10}}
	look("arrived", after)
	r.failed()
	look("later", after)
}
