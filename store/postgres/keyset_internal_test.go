package postgres

import (
	"testing"
)

func TestDayOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int32{
		"00000000000000000000000000": 0, "0000vvvvvvvvvvvvvvvvvvvvvs": 0, "000g0000000000000000000000": 1,
		"a0hg00000000000000000000000"[:26]: 10*1<<11 + 0<<6 + 17<<1 + 1, "vvvg0000000000000000000000": 1<<16 - 1,
		"": noDay, "a": noDay, "0000000000000000000000000": noDay, "000000000000000000000000000": noDay, "0000000000000000000000000w": noDay,
		"A0000000000000000000000000": noDay, "-0000000000000000000000000": noDay,
	} {
		if got := dayOf(id); got != want {
			t.Errorf("%q is of day %d, want %d", id, got, want)
		}
	}
}
