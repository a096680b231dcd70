package twilioverify

import (
	"encoding/base32"
	"encoding/hex"
	"strconv"
	"strings"
)

// A sid is two letters and 32 hexadecimal digits: the 128 bits of our id. A
// verification's are those of its id. An attempt is a verification's text: the
// verification's bits, the lowest five of them mixed (XOR) with the text's number.
// No two ids differ in those alone, so that the bits above lead back to the one
// verification, and the rest to the number.
const (
	prefixVerification = "VE"
	prefixAttempt      = "VL"
	sidLength          = 34
	idBytes            = 16
	attemptBits        = 0x1f // more than a verification has texts
)

// idEncoding is how the domain writes ids.
func idEncoding() *base32.Encoding {
	return base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
}

// verificationSID is the sid of a verification.
func verificationSID(id string) string {
	b, err := idEncoding().DecodeString(id)
	if err != nil || len(b) != idBytes {
		return "" // no id of ours
	}
	return prefixVerification + hex.EncodeToString(b)
}

// verificationID reads a verification's sid; "" is none.
func verificationID(sid string) string {
	b, ok := sidBits(sid, prefixVerification)
	if !ok {
		return ""
	}
	return idEncoding().EncodeToString(b)
}

// attemptSID is the sid of a verification's send, whose id ends in its number.
func attemptSID(sendID string) string {
	id, number, _ := strings.Cut(sendID, ".")
	b, err := idEncoding().DecodeString(id)
	n, bad := strconv.Atoi(number)
	if err != nil || bad != nil || n < 1 || n > attemptBits || len(b) != idBytes {
		return ""
	}
	b[len(b)-1] ^= byte(n)
	return prefixAttempt + hex.EncodeToString(b)
}

// attemptRange reads an attempt's sid: the verification's id is from the one and
// to the other, both included.
func attemptRange(sid string) (from, to string, ok bool) {
	b, ok := sidBits(sid, prefixAttempt)
	if !ok {
		return "", "", false
	}
	last := len(b) - 1
	b[last] &^= attemptBits
	from = idEncoding().EncodeToString(b)
	b[last] |= attemptBits
	return from, idEncoding().EncodeToString(b), true
}

func sidBits(sid, prefix string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(sid, prefix)
	b, err := hex.DecodeString(rest)
	return b, ok && err == nil && len(sid) == sidLength
}
