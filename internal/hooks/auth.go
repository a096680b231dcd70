package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/secret"
)

// proof tells whether a request is from who has a secret.
type proof struct {
	// signed says that it is the body that proves it.
	signed bool
	check  func(header http.Header, body []byte, now time.Time) error
}

// Errors of proofs. Which of them it was is for the operator's log.
var (
	errNoProof  = errors.New("hooks: the request has no proof of who it is from, or two")
	errWrong    = errors.New("hooks: the proof is wrong")
	errTooOld   = errors.New("hooks: the signature's time is too far from ours")
	errNotATime = errors.New("hooks: the signature's time is no time")
)

// minSecret is the length of a secret in bytes. A shorter one can be guessed.
const minSecret = 16

// replayWindow is how old a signature may be, or how far ahead: what Standard
// Webhooks and Zitadel give their own receivers.
const replayWindow = 5 * time.Minute

// longEnough is the rule for secrets that the operator makes up.
func longEnough(secrets []secret.String) error {
	for _, s := range secrets {
		if n := len(s.Reveal()); n < minSecret {
			return errors.New("one is shorter than 16 characters")
		}
	}
	return nil
}

// headerProof is for servers that send the secret itself, in a header: alone,
// after "Bearer", or as the password of Basic.
func headerProof(h *Hook) (proof, error) {
	name := http.CanonicalHeaderKey(h.Header)
	if name == "" {
		name = "Authorization"
	}
	check := func(header http.Header, _ []byte, _ time.Time) error {
		values := header[name]
		if len(values) != 1 {
			return errNoProof
		}
		given := []string{values[0]}
		scheme, rest, _ := strings.Cut(values[0], " ")
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			given = append(given, rest)
		case strings.EqualFold(scheme, "Basic"):
			if pair, err := base64.StdEncoding.DecodeString(rest); err == nil {
				_, password, _ := strings.Cut(string(pair), ":")
				given = append(given, password)
			}
		}
		ok := false
		for _, s := range h.Secrets {
			for _, g := range given {
				ok = s.Equal(secret.New(g)) || ok // every one is compared: no time tells which it was
			}
		}
		if !ok {
			return errWrong
		}
		return nil
	}
	return proof{check: check}, longEnough(h.Secrets)
}

// anySignature reports whether one of the signatures is one of the messages',
// under one of the keys.
func anySignature(keys [][]byte, message []byte, given [][]byte) error {
	ok := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		want := mac.Sum(nil)
		for _, g := range given {
			ok = hmac.Equal(want, g) || ok
		}
	}
	if !ok {
		return errWrong
	}
	return nil
}

// fresh checks a signature's time, in seconds since 1970.
func fresh(stamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errNotATime
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > replayWindow || age < -replayWindow {
		return errTooOld
	}
	return nil
}

// maxSignatures bounds how many signatures of one request are compared.
const maxSignatures = 16

// one returns the header's value where it has exactly one.
func one(header http.Header, name string) (string, bool) {
	values := header[http.CanonicalHeaderKey(name)]
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// plainKeys are the secrets as keys.
func plainKeys(secrets []secret.String) [][]byte {
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(s.Reveal())
	}
	return keys
}

// unhex decodes what is hex of a SHA-256; other signatures are none.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return nil
	}
	return b
}
