package verify

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
)

// What a caller supplied is kept sealed until its text is gone: with AES-256-GCM
// under a key of its own for each message, HMAC-SHA-256 of its id and salt. A
// key seals one thing, so the nonce may be constant; the id is authenticated
// too, and what was sealed for one message opens in no other.

var errSealed = errors.New("verify: what the message was to say cannot be opened")

func (k *subkeys) sealer(v *Verification) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, k.seal)
	h.Write([]byte(v.ID))
	h.Write(v.Salt[:])
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns the payload as it is kept with v.
func (r *Keyring) seal(v *Verification, payload map[string]any) ([]byte, error) {
	aead, err := r.byID[v.KeyID].sealer(v)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(payload)
	if err != nil {
		return nil, errSealed // the cause may quote it
	}
	return aead.Seal(nil, make([]byte, aead.NonceSize()), plain, []byte(v.ID)), nil // #nosec G407 -- a key seals one thing
}

// unseal opens what seal made. It fails when the key is gone, or when nothing
// is kept any more.
func (r *Keyring) unseal(v *Verification) (map[string]any, error) {
	keys := r.byID[v.KeyID]
	if keys == nil {
		return nil, errKeyLost
	}
	aead, err := keys.sealer(v)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), v.Sealed, []byte(v.ID))
	if err != nil {
		return nil, errSealed
	}
	var payload map[string]any
	if json.Unmarshal(plain, &payload) != nil {
		return nil, errSealed
	}
	return payload, nil
}

// wipe forgets what a message was to say, once no text of it is to be made or
// looked for any more.
func (v *Verification) wipe() {
	for i := range v.Sends {
		if s := &v.Sends[i]; s.parked() || s.unresolved() {
			return
		}
	}
	v.Sealed = nil
}
