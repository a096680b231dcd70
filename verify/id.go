package verify

import (
	"encoding/base32"
	"encoding/binary"
	"io"
	"time"
)

// ids are 26 letters and digits: 16 bits of the UTC day, so that a store can
// tell from an id how old it is, and 112 random bits.
const idLength = 26

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// newID makes an id. It needs a source of randomness that cannot be foreseen.
func newID(now time.Time, random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[2:]); err != nil {
		return "", err
	}
	binary.BigEndian.PutUint16(b[:2], uint16(now.Unix()/secondsPerDay)) // #nosec G115 -- days since 1970 fit until 2149
	return idEncoding.EncodeToString(b[:]), nil
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
