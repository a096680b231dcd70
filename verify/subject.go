package verify

import (
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// MAC is an HMAC-SHA-256 under one of the server's keys.
type MAC [32]byte

// Salt is the random part of a code's derivation.
type Salt [16]byte

// SubjectKey names a subject: the HMAC of app and number.
type SubjectKey MAC

// Subject is one number as one app uses it. It is the unit of consistency:
// whatever concerns one subject happens one after the other.
type Subject struct {
	Key SubjectKey `json:"-"`

	// Failures counts wrong checks since the last right one, across all
	// verifications; after enough of them checks and starts wait until
	// BlockedUntil.
	Failures     int       `json:"failures,omitempty"`
	FailedAt     time.Time `json:"failed,omitzero"`
	BlockedUntil time.Time `json:"blocked,omitzero"`

	Pending []Pending `json:"pending,omitempty"`
	Held    []Hold    `json:"held,omitempty"`
	// Taken are the messages that a provider took lately.
	Taken []Taken `json:"taken,omitempty"`

	touched bool // holds, taken or pending changed since the row was loaded
	unread  bool // it stands for a row that was not loaded (Op.Alone)
}

// ifTouched returns the subject if there is something to save.
func (s *Subject) ifTouched() *Subject {
	if !s.touched {
		return nil
	}
	return s
}

// Hold keeps other texts from a connector while nobody knows whether it took
// one: what is found there later must be that one.
type Hold struct {
	Send      string    `json:"send"`
	Connector string    `json:"connector"`
	Until     time.Time `json:"until"` // by then nobody looks for it any more
	// Sending is set while the answer may still come. A caller may supply one
	// code twice, and two messages that say the same could not be told apart; so
	// it keeps other messages back, and nothing else.
	Sending bool `json:"sending,omitempty"`
}

// holdLife is for how long a text may be looked for before others may go. As a
// rule it is found, or not, within half a minute; this is for a provider that is
// out of order, and for clocks that are.
const holdLife = 30 * time.Minute

func (s *Subject) hold(send *Send, now time.Time) {
	s.touched = true
	s.release(send.ID)
	s.Held = append(s.Held, Hold{
		Send: send.ID, Connector: send.Connector, Until: now.Add(holdLife), Sending: send.Status == connector.StatusSending,
	})
	if n := len(s.Held) - maxKept; n > 0 {
		s.Held = s.Held[n:]
	}
}

func (s *Subject) release(send string) {
	n := len(s.Held)
	s.Held = slices.DeleteFunc(s.Held, func(h Hold) bool { return h.Send == send })
	s.touched = s.touched || len(s.Held) < n
}

// Taken is a message that a provider took. Another one may say the same: what is
// found at the provider must not be taken for it.
type Taken struct {
	Send       string    `json:"send"`
	ProviderID string    `json:"provider_id"`
	At         time.Time `json:"at"`
}

// takenLife is for how long a taken message is remembered: longer than a look
// goes back.
const takenLife = time.Hour

// maxTaken is more than the limits let anybody send within a look's reach.
const maxTaken = 64

func (s *Subject) took(send *Send, now time.Time) {
	if send.ProviderID == "" || slices.Contains(s.others(""), send.ProviderID) {
		return
	}
	s.touched = true
	if n := len(s.Taken) - maxTaken + 1; n > 0 {
		s.Taken = s.Taken[n:]
	}
	s.Taken = append(s.Taken, Taken{send.ID, send.ProviderID, now})
}

// others are the provider's ids of the number's messages but for one send.
func (s *Subject) others(send string) (ids []string) {
	for _, t := range s.Taken {
		if t.Send != send {
			ids = append(ids, t.ProviderID)
		}
	}
	return ids
}

// held reports whether a text of v must not go through a connector now. A hold
// from a clock that was far ahead is void.
func (s *Subject) held(v *Verification, name, except string, now time.Time) bool {
	// Texts of one verification say the same as well.
	if slices.ContainsFunc(v.Sends, func(o Send) bool { return o.ID != except && o.Connector == name && o.unresolved() }) {
		return true
	}
	return slices.ContainsFunc(s.Held, func(h Hold) bool {
		left := h.Until.Sub(now)
		return h.Send != except && h.Connector == name && (!h.Sending || v.Supplied) && left > 0 && left <= holdLife+lookBack
	})
}

// Pending points to a verification that has not ended, or that its number still
// leads to (keepsNumber).
type Pending struct {
	ID        string    `json:"id"`
	Session   MAC       `json:"session,omitzero"`
	ExpiresAt time.Time `json:"expires"`
}

// maxKept bounds the row's lists where the limits do not. Beyond it the oldest
// verification can no longer be joined, though it can be checked, and the oldest
// hold is void.
const maxKept = 16

func (s *Subject) add(v *Verification) {
	if n := len(s.Pending); n >= maxKept {
		s.Pending = s.Pending[n-maxKept+1:]
	}
	s.Pending = append(s.Pending, Pending{ID: v.ID, Session: v.Session, ExpiresAt: v.ExpiresAt})
}

// remove takes a verification off the pending ones.
func (s *Subject) remove(id string) {
	n := len(s.Pending)
	s.Pending = slices.DeleteFunc(s.Pending, func(p Pending) bool { return p.ID == id })
	s.touched = s.touched || len(s.Pending) < n
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
		return &LimitError{Name: LimitFailures, RetryAfter: wait, key: LimitKey(s.Key[:len(LimitKey{})])}
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
