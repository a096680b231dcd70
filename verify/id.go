package verify

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

// ids are 26 letters and digits: 16 bits of the UTC day, so that a store can
// tell from an id how old it is; 32 bits of how far the day has come, so that
// ids sort by time, and a store that has an index of ids has one of time; and 80
// random bits.
const idLength = 26

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// draw gives an order its id and its salt, of randomness that cannot be foreseen.
func (s *Service) draw(o *order) error {
	b := idTime(s.now())
	drawn := make([]byte, len(b)-idTimeSize+len(o.salt))
	if _, err := io.ReadFull(s.random, drawn); err != nil {
		return fmt.Errorf("verify: draw an id: %w", err)
	}
	n := copy(b[idTimeSize:], drawn)
	copy(o.salt[:], drawn[n:])
	o.id = idEncoding.EncodeToString(b[:])
	return nil
}

// idTimeSize is how much of an id is its time, in bytes.
const idTimeSize = 6

// idTime is what ids of a time begin with, followed by zeros.
func idTime(t time.Time) (b [16]byte) {
	const day = secondsPerDay * time.Second
	days := min(max(t.Unix()/secondsPerDay, 0), math.MaxUint16) // the last one is in 2149
	part := t.Sub(time.Unix(days*secondsPerDay, 0))
	part = min(max(part, 0), day-1)
	binary.BigEndian.PutUint16(b[:2], uint16(days))                                       // #nosec G115 -- bounded above
	binary.BigEndian.PutUint32(b[2:6], uint32(float64(part)/float64(day)*math.MaxUint32)) // #nosec G115 -- below one times the largest
	return b
}

// idAt is below every id of its time and later ones, and above all earlier ones.
func idAt(t time.Time) string {
	b := idTime(t)
	return idEncoding.EncodeToString(b[:])
}

// validID reports whether s can be an id at all, before a store is asked.
func validID(s string) bool {
	if len(s) != idLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'v') {
			return false
		}
	}
	return true
}
