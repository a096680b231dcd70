package verify

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Place is what limits count, such as a number, a network or a country: half of
// an HMAC of it.
type Place int64

// Place returns what the limit's counter counts.
func (k LimitKey) Place() Place {
	return Place(binary.BigEndian.Uint64(k[:8])) // #nosec G115 -- as bits
}

// move makes it the same limit's counter at another place.
func (k *LimitKey) move(place MAC) { copy(k[:len(k)/2], place[:]) }

// Counters are the limits' counters of one place, and its guards: one row of a
// store, since a start charges several of them at once. Each takes 24 bytes: its
// half of the key, its value, and when it expires, in microseconds since 1970, all
// with the highest byte first. Nobody changes Counters that a store knows.
type Counters []byte

const counterSize = 24

// ReadCounters takes what a store kept. It fails with a *RowError for what
// nobody has written.
func ReadCounters(data []byte) (Counters, error) {
	if len(data)%counterSize != 0 {
		return nil, &RowError{fmt.Errorf("counters of %d bytes", len(data))}
	}
	return data, nil
}

// Expires is when the last of the counters no longer matters, in microseconds
// since 1970; zero when there are none.
func (c Counters) Expires() (at int64) {
	for ; len(c) >= counterSize; c = c[counterSize:] {
		at = max(at, int64At(c[16:]))
	}
	return at
}

// Value is a counter's value, 0 when there is none.
func (c Counters) Value(k LimitKey) int64 {
	if i := c.find(k); i >= 0 {
		return int64At(c[i+8:])
	}
	return 0
}

// find returns where the counter stands, or -1.
func (c Counters) find(k LimitKey) int {
	for i := 0; i+counterSize <= len(c); i += counterSize {
		if string(c[i:i+8]) == string(k[8:]) {
			return i
		}
	}
	return -1
}

// current returns a copy of the counters that still matter, with room for so
// many more.
func (c Counters) current(now time.Time, more int) Counters {
	kept := make(Counters, 0, len(c)+more*counterSize)
	for ; len(c) >= counterSize; c = c[counterSize:] {
		if int64At(c[16:]) > now.UnixMicro() {
			kept = append(kept, c[:counterSize]...)
		}
	}
	return kept
}

// set changes the counters in place; a value of zero is a counter less.
func (c Counters) set(r LimitRow) Counters {
	i := c.find(r.Key)
	switch {
	case r.Value == 0 && i < 0:
		return c
	case r.Value == 0:
		last := len(c) - counterSize
		copy(c[i:], c[last:])
		return c[:last]
	case i < 0:
		i = len(c)
		c = append(c, r.Key[8:]...)
		c = append(c, make([]byte, counterSize-8)...)
	}
	binary.BigEndian.PutUint64(c[i+8:], uint64(r.Value))                  // #nosec G115 -- as bits
	binary.BigEndian.PutUint64(c[i+16:], uint64(r.ExpiresAt.UnixMicro())) // #nosec G115 -- as bits
	return c
}

func int64At(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) } // #nosec G115 -- as bits

// places are those of the charges, each once.
func places(charges []Charge) []Place {
	found := make([]Place, 0, 5)
next:
	for i := range charges {
		p := charges[i].Key.Place()
		for _, known := range found {
			if known == p {
				continue next
			}
		}
		found = append(found, p)
	}
	return found
}
