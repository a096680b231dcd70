package verify

import (
	"crypto/hmac"

	"github.com/sixdigit/sixdigit/secret"
)

// A code that the caller makes is kept as an HMAC, to be checked, and sealed as a
// message's payload is, until its text is known to be gone. Each time it is
// supplied it is sealed with a salt of its own: the sealing key follows from that,
// and seals one thing.

// minCustomCode is the shortest code that a caller may make, in characters.
const minCustomCode = 4

// custom reports whether the caller made the code.
func (v *Verification) custom() bool { return v.CodeMAC != MAC{} }

// customMAC is what is kept of a caller's code.
func (r *Keyring) customMAC(v *Verification, code secret.String) MAC {
	return r.byID[v.KeyID].custom.mac(v.ID, string(v.Salt[:]), code.Reveal())
}

// sameCode reports whether a request's code is the one that the verification has;
// no code is the same as a derived one.
func (s *Service) sameCode(v *Verification, code secret.String) bool {
	if !v.custom() {
		return code.IsEmpty()
	}
	return s.isCustom(v, code)
}

func (s *Service) isCustom(v *Verification, code secret.String) bool {
	mac := s.keys.customMAC(v, code)
	return !code.IsEmpty() && hmac.Equal(mac[:], v.CodeMAC[:])
}

// supply makes a caller's code the verification's. Without one nothing happens.
func (s *Service) supply(v *Verification, code secret.String, salt Salt) (err error) {
	if code.IsEmpty() {
		return nil
	}
	v.Salt, v.CodeLength = salt, len(code.Reveal())
	v.CodeMAC = s.keys.customMAC(v, code)
	v.Sealed, err = s.keys.seal(v, payloadOf(code.Reveal(), v.Locale))
	return err
}

// matches compares a typed code, in constant time. The verification is readable.
func (s *Service) matches(v *Verification, typed secret.String) (bool, error) {
	if v.custom() {
		return s.isCustom(v, typed), nil
	}
	code, err := s.codeOf(v)
	return err == nil && code.Equal(typed) && !code.IsEmpty(), err
}
