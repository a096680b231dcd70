package verify

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCounters holds a place's counters against a map.
func TestCounters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const place = -7
		now := noon
		var c Counters
		model := map[LimitKey]LimitRow{}
		key := func() (k LimitKey) {
			binary.BigEndian.PutUint64(k[:], 1<<64+place)
			k[8] = rapid.Byte().Draw(t, "own") % 6
			return k
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			before := slices.Clone(c)
			known := c
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "passes")))
			case 1:
				r := LimitRow{key(), 0, now}
				c = c.current(now, 1).set(r)
				delete(model, r.Key)
			default:
				r := LimitRow{key(), rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "value"), plain(now.Add(time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "life"))))}
				if !r.ExpiresAt.After(now) {
					continue
				}
				c = c.current(now, 1).set(r)
				model[r.Key] = r
			}
			if !slices.Equal(before, known) {
				t.Fatal("Counters that somebody else has were changed")
			}
			var last int64
			for k, r := range model {
				if k.Place() != place {
					t.Fatalf("the place is %d", k.Place())
				}
				if got := c.Value(k); got != r.Value && r.ExpiresAt.After(now) {
					t.Fatalf("%v is %d, want %d", k, got, r.Value)
				}
				last = max(last, r.ExpiresAt.UnixMicro())
			}
			if got := c.Expires(); got != last && last > now.UnixMicro() {
				t.Fatalf("expires %d, want %d", got, last)
			}
			if again, err := ReadCounters(c); err != nil || !slices.Equal(again, c) {
				t.Fatalf("%v, %v", again, err)
			}
		}
		alive := 0
		for _, r := range model {
			if r.ExpiresAt.After(now) {
				alive++
			}
		}
		if c = c.current(now, 1); len(c) != alive*counterSize {
			t.Fatalf("%d bytes for %d counters: what is over stays", len(c), alive)
		}
	})
}

func TestDamagedCounters(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 23, 25} {
		row := (*RowError)(nil)
		if _, err := ReadCounters(make([]byte, n)); !errors.As(err, &row) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
