package twiliosim

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
)

// idSource makes sids. With a seed they repeat from run to run.
type idSource struct {
	mu  sync.Mutex
	rng *rand.ChaCha8
}

func newIDSource(seed uint64) *idSource {
	var key [32]byte
	if seed == 0 {
		_, _ = crand.Read(key[:]) // documented never to fail
	} else {
		binary.LittleEndian.PutUint64(key[:], seed)
	}
	return &idSource{rng: rand.NewChaCha8(key)}
}

func (g *idSource) fill(b []byte) {
	g.mu.Lock()
	_, _ = g.rng.Read(b) // never fails
	g.mu.Unlock()
}

// sid returns a prefix of two letters and 32 hexadecimal digits.
func (g *idSource) sid(prefix string) string {
	var raw [16]byte
	g.fill(raw[:])
	out := make([]byte, 34)
	copy(out, prefix)
	hex.Encode(out[2:], raw[:])
	return string(out)
}

// secret returns 32 alphanumeric characters; Twilio's SDKs accept no others.
func (g *idSource) secret() string { return g.sid("xx")[2:] }

// uuid returns a version 4 UUID, the shape of Twilio's idempotency tokens.
func (g *idSource) uuid() string {
	var b [16]byte
	g.fill(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// isSID reports whether s is one of the given prefixes and 32 hex digits.
func isSID(s string, prefixes ...string) bool {
	if len(s) != 34 {
		return false
	}
	for i := 2; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	for _, p := range prefixes {
		if s[:2] == p {
			return true
		}
	}
	return false
}
