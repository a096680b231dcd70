package access

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/secret"
)

// Scope is one thing that a key may do.
type Scope string

// The scopes.
const (
	ScopeVerify   Scope = "verify"   // start, check, resend, cancel and read verifications
	ScopeMessages Scope = "messages" // send and read messages whose code the caller made
	ScopeRead     Scope = "read"     // read either and change nothing
	ScopeTwilio   Scope = "twilio"   // all of Twilio Verify's API
)

// Scopes returns every scope.
func Scopes() []Scope { return append(DefaultScopes(), ScopeTwilio) }

// DefaultScopes are those of a key for which none were asked: Twilio Verify's API is
// not among them, whose rules for starts are looser.
func DefaultScopes() []Scope { return []Scope{ScopeVerify, ScopeMessages, ScopeRead} }

// Key is an API key as it is kept: its secret is not in it.
type Key struct {
	ID        string
	Hash      [sha256.Size]byte // of the secret
	Name      string            // for people
	App       string            // whose verifications it reaches
	Scopes    []Scope
	CreatedAt time.Time
	UsedOn    time.Time // midnight UTC of the last day it was used; zero: never
	RevokedAt time.Time // zero: it is not revoked
	ExpiresAt time.Time // zero: never
}

// Spec asks for a key.
type Spec struct {
	Name      string
	App       string
	Scopes    []Scope   // none are DefaultScopes
	ExpiresAt time.Time // zero: never
}

// Bounds of a Spec.
const (
	maxName = 64
	maxApp  = 64
)

// Form of a key.
const (
	keyPrefix    = "sd_"
	idBytes      = 8
	secretBytes  = 32
	idLength     = 13
	secretLength = 52
	keyLength    = len(keyPrefix) + idLength + 1 + secretLength
)

// keyEncoding is base32 in lower case: a double click selects all of a key.
func keyEncoding() *base32.Encoding {
	return base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
}

// Errors of keys.
var (
	// ErrNoKey is a Store's answer for an id that it does not hold.
	ErrNoKey = errors.New("access: no such key")
	// ErrSpec is for a key that cannot be made as asked; its text says why.
	ErrSpec = errors.New("access: the key cannot be made")
)

// Validate says what is wrong with the spec, as ErrSpec.
func (s Spec) Validate(now time.Time) error {
	switch {
	case !validName(s.Name):
		return fmt.Errorf("%w: a name is 1 to %d printable characters", ErrSpec, maxName)
	case !ValidApp(s.App):
		return fmt.Errorf("%w: an app's name is 1 to %d of a-z, 0-9, - and _, a letter or digit first", ErrSpec, maxApp)
	case !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(now):
		return fmt.Errorf("%w: the end has passed", ErrSpec)
	}
	for _, scope := range s.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("%w: %q is no scope; they are verify, messages, read and twilio", ErrSpec, scope)
		}
	}
	return nil
}

func validName(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// ValidApp reports whether a key can belong to an app of this name: lower-case
// letters, digits, and inside it - and _.
func ValidApp(s string) bool {
	for i := range len(s) {
		c := s[i]
		inner := c == '-' || c == '_'
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (!inner || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxApp
}

// Create makes a key and stores it. The string is the key itself: whoever asked
// for it sees it now and never again. random must be unforeseeable, as
// crypto/rand.Reader is.
func Create(ctx context.Context, store Store, spec Spec, now time.Time, random io.Reader) (Key, secret.String, error) {
	if err := spec.Validate(now); err != nil {
		return Key{}, secret.String{}, err
	}
	if len(spec.Scopes) == 0 {
		spec.Scopes = DefaultScopes()
	}
	b := make([]byte, idBytes+secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return Key{}, secret.String{}, fmt.Errorf("access: draw a key: %w", err)
	}
	enc := keyEncoding()
	id, hidden := enc.EncodeToString(b[:idBytes]), enc.EncodeToString(b[idBytes:])
	k := Key{
		ID: id, Hash: sha256.Sum256([]byte(hidden)), Name: spec.Name, App: spec.App,
		Scopes: slices.Clone(spec.Scopes), CreatedAt: now.UTC().Truncate(time.Microsecond),
	}
	if !spec.ExpiresAt.IsZero() {
		k.ExpiresAt = spec.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	if err := store.Insert(ctx, k); err != nil {
		return Key{}, secret.String{}, fmt.Errorf("access: store the key: %w", err)
	}
	return k, secret.New(keyPrefix + id + "_" + hidden), nil
}

// split takes a key apart. ok is false for what has not a key's form; it costs
// nothing to find out.
func split(key string) (id, hidden string, ok bool) {
	if len(key) != keyLength || key[:len(keyPrefix)] != keyPrefix || key[len(keyPrefix)+idLength] != '_' {
		return "", "", false
	}
	id, hidden = key[len(keyPrefix):len(keyPrefix)+idLength], key[len(keyPrefix)+idLength+1:]
	return id, hidden, encoded(id) && encoded(hidden)
}

func encoded(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'v') {
			return false
		}
	}
	return true
}
