package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sixdigit/sixdigit/secret"
)

// errKeyLost says that the key of a verification's code is not on the ring.
var errKeyLost = errors.New("verify: the key that made the code is gone")

// code derives the verification's code. It is kept nowhere: key and database
// are both needed to know it, and a resend or a recovery after a crash can send
// the same code again.
func (r *Keyring) code(v *Verification) (secret.String, error) { return r.codeOf(v, v.Generation) }

// codeOf derives the code of a generation, which may have died.
func (r *Keyring) codeOf(v *Verification, generation int) (secret.String, error) {
	keys := r.byID[v.KeyID]
	if keys == nil {
		return secret.String{}, errKeyLost
	}
	return secret.New(digits(keys.code, v.ID, v.Salt, generation, v.CodeLength)), nil
}

// digits turns HMAC-SHA-256(key, len(id) ‖ id ‖ salt ‖ generation ‖ length ‖
// block) into decimal digits: the first word of 64 bits that fits, of the first
// block that has one.
func digits(key []byte, id string, salt Salt, generation, length int) string {
	for block := uint64(0); ; block++ {
		h := hmac.New(sha256.New, key)
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(id)))
		h.Write(n[:])
		h.Write([]byte(id))
		h.Write(salt[:])
		for _, x := range []uint64{uint64(generation), uint64(length), block} { // #nosec G115 -- both are small and positive
			binary.BigEndian.PutUint64(n[:], x)
			h.Write(n[:])
		}
		for sum := h.Sum(nil); len(sum) >= 8; sum = sum[8:] {
			if code, ok := reduce(binary.BigEndian.Uint64(sum), length); ok {
				return code
			}
		}
	}
}

// reduce makes a code of a random word. It rejects the words below 2^64 mod
// 10^length: without them as many words lead to each code, where a plain
// remainder would favour low ones.
func reduce(word uint64, length int) (string, bool) {
	modulus := uint64(1)
	for range length {
		modulus *= 10
	}
	if word < -modulus%modulus {
		return "", false
	}
	return fmt.Sprintf("%0*d", length, word%modulus), true
}
