package sqlite

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// TestCountersOfTheVersionBefore brings tables with one row for each counter up
// to date: nobody gets a second allowance by that, and no opt-out is forgotten.
func TestCountersOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "old.db")
	db := tablesOf(t, path, 3)
	now := time.Date(2031, 1, 2, 3, 4, 45, 0, time.UTC)
	places := map[string][8]byte{
		"least":    {0x80},
		"negative": {0xff, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32},
		"minus 1":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"zero":     {},
		"positive": {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		"greatest": {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
	values := map[byte]int64{1: 1, 2: now.UnixMicro(), 3: math.MaxInt64, 0xff: 20_455<<32 | 17}
	key := func(place [8]byte, own byte) (k verify.LimitKey) {
		copy(k[:], place[:])
		k[8], k[15] = own, own
		return k
	}
	for _, place := range places {
		for own, value := range values {
			k := key(place, own)
			if _, err := db.ExecContext(ctx, `INSERT INTO limits (key, value, expires) VALUES (?, ?, ?)`, k[:], value, now.UnixMicro()+int64(own)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, Options{Path: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for name, place := range places {
		var data []byte
		var expires int64
		if err := s.pool.QueryRow(`SELECT data, expires_at FROM counters WHERE place = ?`, int64(key(place, 1).Place())).Scan(&data, &expires); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := verify.ReadCounters(data)
		if err != nil || len(got) != len(values)*24 || expires != now.UnixMicro()+0xff || got.Expires() != expires {
			t.Errorf("%s: %x, %v, expires %d", name, got, err, expires)
		}
		for own, value := range values {
			if v := got.Value(key(place, own)); v != value {
				t.Errorf("%s: counter %d is %d, want %d", name, own, v, value)
			}
		}
	}
}
