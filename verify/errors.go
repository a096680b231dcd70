package verify

import (
	"errors"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// Errors of the service. A wrong, late or used code is none of them: it is a
// result.
var (
	// ErrNotFound is for an id that does not exist and for another app's alike.
	ErrNotFound = errors.New("verify: no such verification")
	// ErrEnded is for a resend of a verification that is not pending.
	ErrEnded = errors.New("verify: the verification has ended")
	// ErrInFlight is for a repetition of a call that is still under way.
	ErrInFlight = errors.New("verify: the first call with this idempotency key is still under way")
	// ErrIdemMismatch is for an idempotency key that comes with another body.
	ErrIdemMismatch = errors.New("verify: the idempotency key was used with another body")
	// ErrUnavailable is for a store that cannot answer now.
	ErrUnavailable = errors.New("verify: the store is unavailable")
	// ErrNoTemplate is for a usage type that no template serves.
	ErrNoTemplate = errors.New("verify: template not found")
)

// LimitError says that something came too often. Name is for the operator's log
// and metrics; whoever asks from outside learns RetryAfter alone.
type LimitError struct {
	Name       string
	RetryAfter time.Duration

	// key is the counter that has nothing left, and daily whether it counts by
	// days; zero where the limit is no counter and nothing is told of it.
	key   LimitKey
	daily bool
}

// Error names the limit.
func (e *LimitError) Error() string { return "verify: limit " + e.Name + " is reached" }

// InvalidError says that a request cannot be served as it stands.
type InvalidError struct {
	Field string // the request's field, as the API spells it
	Code  string // stable, for programs
	Text  string // for people; quotes no value
}

// Error says what is wrong.
func (e *InvalidError) Error() string { return "verify: " + e.Field + ": " + e.Text }

// RefusedError says that the provider refused the text for good. The
// verification is canceled, unless another text of it may have arrived. It is nil
// when nothing was made, because the person is known to have opted out.
type RefusedError struct {
	Verification *Verification
	Cause        *connector.Error
}

// Error says why.
func (e *RefusedError) Error() string { return "verify: the text was refused: " + e.Cause.Error() }

// Unwrap returns the connector's error.
func (e *RefusedError) Unwrap() error { return e.Cause }
