package verify

import (
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

// Status is where a verification stands. docs/states.md draws it.
type Status string

// The statuses. All but StatusPending are final.
const (
	StatusPending   Status = "pending"
	StatusApproved  Status = "approved"  // the right code was given, once
	StatusCanceled  Status = "canceled"  // by the caller, or because the text was refused
	StatusExpired   Status = "expired"   // its time ran out
	StatusExhausted Status = "exhausted" // its checks are used up
)

// Reason says why a verification was canceled, or approved without a code.
type Reason string

// The reasons.
const (
	ReasonCaller       Reason = "caller"        // DELETE; or approved on the caller's word
	ReasonSendRejected Reason = "send_rejected" // the provider refused the text for good
	ReasonKeyLost      Reason = "key_lost"      // the key that made its code is gone
)

// Channel is how a code travels.
type Channel string

// ChannelSMS is a text message.
const ChannelSMS Channel = "sms"

// Verification is one attempt of one person to show that a number is theirs.
type Verification struct {
	ID      string     `json:"-"`
	App     string     `json:"app"`
	Subject SubjectKey `json:"subject"`
	// To is kept in a column of its own, so that whoever looks for personal data
	// finds it in one place.
	To      phone.Number  `json:"-"`
	Usage   sms.UsageType `json:"usage"`
	Locale  string        `json:"locale,omitempty"`
	Channel Channel       `json:"channel"`
	Status  Status        `json:"status"`
	Reason  Reason        `json:"reason,omitempty"`
	Test    bool          `json:"test,omitempty"`   // a test number: its code is fixed and never sent
	Domain  string        `json:"domain,omitempty"` // for the WebOTP line

	// Session is the HMAC of the caller's session, zero when there is none.
	Session MAC `json:"session,omitzero"`

	// Network is the HMAC of the client's network at the start, zero when there
	// is none: the limits of its address count resends that name no address.
	Network MAC `json:"network,omitzero"`

	// The code follows from these and the key KeyID; it is kept nowhere.
	Salt       Salt   `json:"salt"`
	KeyID      string `json:"key"`
	Generation int    `json:"gen"`
	CodeLength int    `json:"len"`

	Checks    int `json:"checks"`     // used up so far, right and wrong
	MaxChecks int `json:"max_checks"` // of this verification, all generations together
	MaxSends  int `json:"max_sends"`

	CreatedAt   time.Time `json:"created"`
	ExpiresAt   time.Time `json:"expires"`
	ResendAfter time.Time `json:"resend_after"`
	EndedAt     time.Time `json:"ended,omitzero"` // when it left StatusPending

	Sends    []Send            `json:"sends"`
	Metadata map[string]string `json:"metadata,omitempty"`

	// Service is what a verification that was begun by number belongs to; empty
	// for every other (join.go). Name and AppHash are for its text.
	Service string `json:"service,omitempty"`
	Name    string `json:"name,omitempty"`
	AppHash string `json:"app_hash,omitempty"`
	// CodeMAC is the HMAC of a code that the caller made; zero where the code is
	// derived (custom.go).
	CodeMAC MAC `json:"code_mac,omitzero"`

	// Supplied is set for a message: the caller made the code, and there is
	// nothing to check. Sealed is what the text is made of, until it is known to
	// be gone or given up.
	Supplied bool   `json:"supplied,omitempty"`
	Sealed   []byte `json:"sealed,omitempty"`
}

// StatusAt is the status at a time: one whose time ran out is expired, whether
// or not anybody has written that down. So is one whose code was made later than
// that, by a clock that was ahead: it would live for the jump's length longer.
func (v *Verification) StatusAt(now time.Time) Status {
	if v.Status == StatusPending && (!now.Before(v.ExpiresAt) || v.codeMade().Sub(now) > ClockSlack) {
		return StatusExpired
	}
	return v.Status
}

// codeMade is when the present code was made: with its first send.
func (v *Verification) codeMade() time.Time {
	for i := range v.Sends {
		if v.Sends[i].Generation == v.Generation {
			return v.Sends[i].CreatedAt
		}
	}
	return v.CreatedAt
}

// AttemptsLeft is how many checks remain.
func (v *Verification) AttemptsLeft() int { return max(0, v.MaxChecks-v.Checks) }

// Send is one text of a verification.
type Send struct {
	ID         string           `json:"id"` // the verification's, a dot and a number from 1
	Channel    Channel          `json:"channel"`
	Connector  string           `json:"connector"`
	Status     connector.Status `json:"status"`
	Guess      bool             `json:"guess,omitempty"` // a final status that is our conclusion, not the provider's word
	ProviderID string           `json:"provider_id,omitempty"`
	Generation int              `json:"gen"`
	Segments   int              `json:"segments"`
	CreatedAt  time.Time        `json:"created"`
	UpdatedAt  time.Time        `json:"updated"`
	// LeaseUntil is until when the process that wrote the row may be sending;
	// Epoch counts the claims, so that a late outcome is known as such.
	LeaseUntil time.Time  `json:"lease,omitzero"`
	Epoch      int        `json:"epoch"`
	Error      *SendFault `json:"error,omitempty"`

	// NextAt is when the send is owed something (reconcile.go); zero is never.
	// Tries counts what was done about it in its present status.
	NextAt time.Time `json:"next,omitzero"`
	Tries  int       `json:"tries,omitempty"`
	// PostedAt is when a send that had to wait was posted; zero is CreatedAt.
	PostedAt time.Time `json:"posted,omitzero"`
	// LookedAt is when the provider first did not have a send that is unknown.
	LookedAt time.Time `json:"looked,omitzero"`
	// Feedback is whether the provider is to learn that the code was used.
	Feedback Feedback `json:"feedback,omitempty"`
	// History is what was heard of a message's send, the oldest first.
	History []Heard `json:"history,omitempty"`
}

// Heard is a status and when it was heard of.
type Heard struct {
	Status connector.Status `json:"status"`
	At     time.Time        `json:"at"`
}

// SendFault is why a send was not delivered, as far as it is worth keeping.
type SendFault struct {
	Kind         connector.Kind   `json:"kind"`
	ProviderCode string           `json:"code,omitempty"`
	Advice       connector.Advice `json:"advice"`
}
