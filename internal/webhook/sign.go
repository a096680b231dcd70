package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/secret"
)

// What a secret looks like. The specification asks for 24 to 64 bytes.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
)

// MaxSecrets bounds how many secrets sign at once: while one is rotated there are
// two.
const MaxSecrets = 5

var errSecret = errors.New("write whsec_ and then 24 to 64 random bytes in base64, as from: echo whsec_$(openssl rand -base64 32)")

// key reads a secret. Its error does not quote it.
func key(s secret.String) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s.Reveal(), secretPrefix)
	if !ok {
		return nil, errSecret
	}
	k, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(k) < minSecret || len(k) > maxSecret {
		return nil, errSecret
	}
	return k, nil
}

// CheckSecret says what is wrong with a secret, without quoting it.
func CheckSecret(s secret.String) error {
	_, err := key(s)
	return err
}

// signature is the value of webhook-signature: one signature for each key, so that
// who has only one of them can verify.
func signature(keys [][]byte, id string, at time.Time, body []byte) string {
	signed := make([]string, 0, len(keys))
	for _, k := range keys {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signed = append(signed, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signed, " ")
}
