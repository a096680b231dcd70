package verify

import (
	"encoding/binary"
	"errors"
	"strconv"

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
func digits(key *macKey, id string, salt Salt, generation, length int) string {
	for block := uint64(0); ; block++ {
		mac := key.sum(func(b []byte) []byte {
			b = binary.BigEndian.AppendUint64(b, uint64(len(id)))
			b = append(append(b, id...), salt[:]...)
			for _, x := range [...]uint64{uint64(generation), uint64(length), block} { // #nosec G115 -- both are small and positive
				b = binary.BigEndian.AppendUint64(b, x)
			}
			return b
		})
		for sum := mac[:]; len(sum) >= 8; sum = sum[8:] {
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
	code := strconv.FormatUint(word%modulus, 10)
	return zeros(length-len(code)) + code, true
}
