package verify

import (
	"slices"
	"time"
)

// MAC is an HMAC-SHA-256 under one of the server's keys.
type MAC [32]byte

// Salt is the random part of a code's derivation.
type Salt [16]byte

// SubjectKey names a subject: the HMAC of app, number and usage.
type SubjectKey MAC

// Subject is one number as one app uses it for one purpose. It is the unit of
// consistency: whatever concerns one subject happens one after the other.
type Subject struct {
	Key SubjectKey `json:"-"`

	// Failures counts wrong checks since the last right one, across all
	// verifications; after enough of them checks and starts wait until
	// BlockedUntil.
	Failures     int       `json:"failures,omitempty"`
	FailedAt     time.Time `json:"failed,omitzero"`
	BlockedUntil time.Time `json:"blocked,omitzero"`

	Pending []Pending `json:"pending,omitempty"`
}

// Pending points to a verification that has not ended.
type Pending struct {
	ID        string    `json:"id"`
	Session   MAC       `json:"session,omitzero"`
	ExpiresAt time.Time `json:"expires"`
}

// maxPending bounds the row where the limits do not. Beyond it the oldest can
// no longer be joined; it can still be checked.
const maxPending = 16

func (s *Subject) add(v *Verification) {
	if n := len(s.Pending); n >= maxPending {
		s.Pending = s.Pending[n-maxPending+1:]
	}
	s.Pending = append(s.Pending, Pending{ID: v.ID, Session: v.Session, ExpiresAt: v.ExpiresAt})
}

// remove takes a verification off the pending ones.
func (s *Subject) remove(id string) {
	s.Pending = slices.DeleteFunc(s.Pending, func(p Pending) bool { return p.ID == id })
}

// extend follows a verification's new expiry.
func (s *Subject) extend(v *Verification) {
	for i := range s.Pending {
		if s.Pending[i].ID == v.ID {
			s.Pending[i].ExpiresAt = v.ExpiresAt
		}
	}
}

// blocked is the limit's error while checks and starts have to wait.
func (s *Subject) blocked(now time.Time, p *Policy) error {
	s.recall(now, p)
	if wait := s.BlockedUntil.Sub(now); wait > 0 {
		return &LimitError{Name: LimitFailures, RetryAfter: wait}
	}
	return nil
}

// recall forgets failures that are old, and waits that nobody could mean.
func (s *Subject) recall(now time.Time, p *Policy) {
	ago := now.Sub(s.FailedAt)
	switch latest := s.FailedAt.Add(slices.Max(p.FailureWaits)); {
	case s.Failures == 0:
	case ago >= FailureMemory:
		s.forgive()
	case ago < -ClockSlack:
		// The clock jumped back. A refusal is not written down, so a wait would
		// last for the jump's length; one passes and sets the times right.
		s.FailedAt, s.BlockedUntil = now, time.Time{}
	case s.BlockedUntil.After(latest):
		s.BlockedUntil = latest // the policy's waits have become shorter
	}
}

// fail counts a wrong check.
func (s *Subject) fail(now time.Time, p *Policy) {
	s.Failures++
	s.FailedAt = now
	if n := s.Failures - p.FailuresFree; n > 0 {
		s.BlockedUntil = now.Add(nth(p.FailureWaits, n))
	}
}

// forgive forgets the failures, after a right check or by the operator.
func (s *Subject) forgive() {
	s.Failures, s.FailedAt, s.BlockedUntil = 0, time.Time{}, time.Time{}
}

// nth returns the n-th wait, counted from 1; the last one repeats.
func nth(waits []time.Duration, n int) time.Duration { return waits[min(n, len(waits))-1] }
