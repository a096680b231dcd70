package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// What stores need to know of records: how they are written, copied, and when
// they are over.

// RowError is for one row that cannot be read. Unlike every other error of a
// store's Rows it fails only the operations that need the row.
type RowError struct{ Err error }

// Error describes the failure.
func (e *RowError) Error() string { return "verify: read a row: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Err }

// storeError tells a row that cannot be read from a store that cannot answer.
func storeError(err error) error {
	if row := (*RowError)(nil); errors.As(err, &row) {
		return err
	}
	return &StoreError{err}
}

// MarshalText writes the MAC in base64: encoding/json would spell an array out
// number by number.
func (m MAC) MarshalText() ([]byte, error) { return marshalBytes(m[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (m *MAC) UnmarshalText(text []byte) error { return unmarshalBytes(m[:], text) }

// MarshalText writes the key in base64.
func (k SubjectKey) MarshalText() ([]byte, error) { return marshalBytes(k[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (k *SubjectKey) UnmarshalText(text []byte) error { return unmarshalBytes(k[:], text) }

// MarshalText writes the salt in base64.
func (s Salt) MarshalText() ([]byte, error) { return marshalBytes(s[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Salt) UnmarshalText(text []byte) error { return unmarshalBytes(s[:], text) }

func marshalBytes(b []byte) []byte { return base64.RawURLEncoding.AppendEncode(nil, b) }

func unmarshalBytes(b, text []byte) error {
	if n := base64.RawURLEncoding.DecodedLen(len(text)); n != len(b) {
		return fmt.Errorf("verify: %d bytes where %d belong", n, len(b))
	}
	_, err := base64.RawURLEncoding.Decode(b, text)
	return err
}

// Ended is when the verification ended or, while nobody has written that down,
// is to end.
func (v *Verification) Ended() time.Time {
	if !v.EndedAt.IsZero() {
		return v.EndedAt
	}
	return v.ExpiresAt
}

// OwedLife is for how long after its end a verification is kept because one of
// its texts is owed something. By then nobody looks for it any more.
const OwedLife = 24 * time.Hour

// DueAt is when the service owes one of the texts something: another try, a
// look at the provider, the word that its code was used. Zero is never.
func (v *Verification) DueAt() time.Time {
	var due time.Time
	for i := range v.Sends {
		if next := v.Sends[i].NextAt; !next.IsZero() && (due.IsZero() || next.Before(due)) {
			due = next
		}
	}
	return due
}

// Quiet is from when on nothing of the subject is under way: no verification
// is pending and nothing is blocked. Only its failures may be worth keeping.
func (s *Subject) Quiet() time.Time {
	quiet := s.BlockedUntil
	for _, p := range s.Pending {
		if p.ExpiresAt.After(quiet) {
			quiet = p.ExpiresAt
		}
	}
	for _, h := range s.Held {
		if h.Until.After(quiet) {
			quiet = h.Until
		}
	}
	for _, t := range s.Taken {
		if until := t.At.Add(takenLife); until.After(quiet) {
			quiet = until
		}
	}
	return quiet
}

// Failed is when the last check failed since the last right one; zero when
// none did. Stores keep a subject while it is not quiet, and one with failures
// as long as they keep verifications.
func (s *Subject) Failed() time.Time {
	if s.Failures == 0 {
		return time.Time{}
	}
	return s.FailedAt
}

// plain is a time as stores keep it: in UTC, in whole microseconds.
func plain(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Clone returns a copy that shares nothing with v, its times in UTC and whole
// microseconds, as every store can keep them. A nil v has a nil copy.
func (v *Verification) Clone() *Verification {
	c := v.copy()
	c.plain()
	return c
}

// copy is Clone for what has been plain before.
func (v *Verification) copy() *Verification {
	if v == nil {
		return nil
	}
	c := *v
	c.Metadata = maps.Clone(v.Metadata)
	c.Sealed = slices.Clone(v.Sealed)
	c.Sends = slices.Clone(v.Sends)
	for i := range c.Sends {
		s := &c.Sends[i]
		s.History = slices.Clone(s.History)
		if s.Error != nil {
			fault := *s.Error
			s.Error = &fault
		}
	}
	return &c
}

func (v *Verification) plain() {
	if v == nil {
		return
	}
	for _, t := range [...]*time.Time{&v.CreatedAt, &v.ExpiresAt, &v.ResendAfter, &v.EndedAt} {
		*t = plain(*t)
	}
	for i := range v.Sends {
		s := &v.Sends[i]
		for _, t := range [...]*time.Time{&s.CreatedAt, &s.UpdatedAt, &s.LeaseUntil, &s.NextAt, &s.PostedAt, &s.LookedAt} {
			*t = plain(*t)
		}
		for n := range s.History {
			s.History[n].At = plain(s.History[n].At)
		}
	}
}

// Clone returns a copy that shares nothing with s, its times as a
// Verification's copy has them.
func (s *Subject) Clone() *Subject {
	c := s.copy()
	c.plain()
	return c
}

// copy is Clone for what has been plain before.
func (s *Subject) copy() *Subject {
	c := *s
	c.Pending = slices.Clone(s.Pending)
	c.Taken = slices.Clone(s.Taken)
	c.Held = slices.Clone(s.Held)
	return &c
}

func (s *Subject) plain() {
	s.FailedAt, s.BlockedUntil = plain(s.FailedAt), plain(s.BlockedUntil)
	for i := range s.Pending {
		s.Pending[i].ExpiresAt = plain(s.Pending[i].ExpiresAt)
	}
	for i := range s.Taken {
		s.Taken[i].At = plain(s.Taken[i].At)
	}
	for i := range s.Held {
		s.Held[i].Until = plain(s.Held[i].Until)
	}
}

func (i IdemState) plain() IdemState {
	i.OpenUntil = plain(i.OpenUntil)
	return i
}
