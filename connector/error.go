package connector

import (
	"strings"
	"time"
)

// Kind is why a text was not sent or not delivered, in words that hold for
// every provider.
type Kind string

// The kinds.
const (
	KindInvalidRecipient Kind = "invalid_recipient" // no such number
	KindUnreachable      Kind = "unreachable"       // a number, but no text can reach it: landline, switched off
	KindOptedOut         Kind = "opted_out"         // the person said STOP
	KindBlocked          Kind = "blocked"           // the carrier or a register blocks texts to it
	KindFraud            Kind = "fraud"             // the provider suspects pumping or abuse
	KindFiltered         Kind = "filtered"          // the text's content was filtered
	KindGeo              Kind = "geo"               // the country is not enabled
	KindThrottled        Kind = "throttled"         // too much at once
	KindAuth             Kind = "auth"              // credentials refused
	KindAccount          Kind = "account"           // account suspended, out of funds or on trial
	KindSender           Kind = "sender"            // our sender or configuration is wrong
	KindTemporary        Kind = "temporary"         // a fault that passes: time-out, 5xx, network
	KindUnclassified     Kind = "unclassified"      // nothing that we know
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{
		KindInvalidRecipient, KindUnreachable, KindOptedOut, KindBlocked, KindFraud, KindFiltered, KindGeo,
		KindThrottled, KindAuth, KindAccount, KindSender, KindTemporary, KindUnclassified,
	}
}

// Outcome is what is known about whether the provider took the request. Of a
// text that the provider took and could not deliver (StatusUpdate.Err,
// Found.Err) it is OutcomeRefused: nothing is on its way any more.
type Outcome string

// The outcomes.
const (
	OutcomeRefused      Outcome = "refused"       // the provider said no: nothing was sent
	OutcomeNotProcessed Outcome = "not_processed" // the request never took effect: repeating it is safe
	OutcomeMaybe        Outcome = "maybe"         // nobody can tell: it may be on its way to a phone
)

// Outcomes returns every outcome.
func Outcomes() []Outcome { return []Outcome{OutcomeRefused, OutcomeNotProcessed, OutcomeMaybe} }

// Action is a set of things that a failure calls for. It is a classification,
// not an order: the caller's policy decides.
type Action uint8

// The actions.
const (
	// ActRetry: the same sender may succeed later. It never stands beside
	// OutcomeMaybe: whoever looks at the actions alone must not send twice.
	ActRetry Action = 1 << iota
	// ActFailover: another sender, connector or channel may succeed.
	ActFailover
	// ActTell: final for this number; tell the person now.
	ActTell
	// ActPage: the operator has to mend something.
	ActPage
)

// Has reports whether a holds all of b.
func (a Action) Has(b Action) bool { return a&b == b }

// String lists the actions as "retry,failover".
func (a Action) String() string {
	var names []string
	for i, name := range [...]string{"retry", "failover", "tell", "page"} {
		if a.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Error is why a text was not sent or not delivered. It holds no phone number,
// no credentials and no words of the provider, which often quote both.
type Error struct {
	Kind         Kind
	ProviderCode string        // the provider's code, or "" when it gave none
	HTTPStatus   int           // the answer's status, or 0 when none arrived
	RetryAfter   time.Duration // how long the provider asked to wait, or 0 when it did not say
	Outcome      Outcome
	Actions      Action
	Advice       Advice // what to tell the person
	Err          error  // what happened, for the operator
}

// Error describes the failure for the operator.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("connector: ")
	b.WriteString(string(e.Kind))
	if e.ProviderCode != "" {
		b.WriteString(" (provider code ")
		b.WriteString(e.ProviderCode)
		b.WriteByte(')')
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause, so that errors.Is finds context.DeadlineExceeded.
func (e *Error) Unwrap() error { return e.Err }
