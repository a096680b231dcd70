package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a String shows in place of its value.
const Redacted = "[redacted]"

// String holds a secret. The value sits in a func because a func shows it to
// nobody: where fmt, a test tool or any other printer reads fields without
// calling methods, it finds an address. It also makes == a compile error; use
// Equal.
type String struct {
	reveal func() string
}

// New wraps s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{reveal: func() string { return s }}
}

// Reveal returns the secret itself.
func (s String) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsEmpty reports whether the secret is the empty string.
func (s String) IsEmpty() bool { return s.reveal == nil }

// Equal reports whether both hold the same value. The time it takes depends on
// their lengths alone and tells nothing of where they differ: both are hashed
// first.
func (s String) Equal(t String) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(t.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns Redacted; it makes %s, %v and string concatenation by
// fmt.Sprint safe.
func (s String) String() string { return Redacted }

// GoString is what %#v shows.
func (s String) GoString() string { return "secret.String(" + Redacted + ")" }

// Format writes Redacted for every verb, %x and %q included.
func (s String) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, s.GoString())
		return
	}
	_, _ = io.WriteString(f, Redacted)
}

// MarshalText writes Redacted. JSON, YAML and XML encoders use it.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText takes the secret from a configuration file.
func (s *String) UnmarshalText(b []byte) error {
	*s = New(string(b))
	return nil
}

// LogValue makes every slog handler write Redacted.
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }
