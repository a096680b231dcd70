package verify

import (
	"context"
	"strconv"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// Names of the limits that are not counters.
const (
	LimitFailures    = "failures"
	LimitResendWait  = "resend_wait"
	LimitResendCount = "resend_count"
)

// What is kept under an idempotency key. The words that made a send end in a
// dot and its number, by which a repetition finds what became of it.
const (
	outcomeStart  = "start"
	outcomeJoin   = "join"
	outcomeResend = "resend"
	outcomeEnded  = "ended"
)

// begun is what transaction 1 comes to.
type begun struct {
	v       *Verification
	now     time.Time
	send    *Send // nil when no text is to be sent
	outcome string
}

// Start makes a verification and sends its first text. A request with the
// session of a pending one uses that: with another text if its time has come.
//
// Start waits for the provider's answer up to the policy's SendTimeout, or
// until ctx is done; the send then goes on without it and Unknown is set.
//
// Errors: *InvalidError, ErrNoTemplate, *LimitError, *RefusedError,
// ErrInFlight, ErrIdemMismatch, and the store's.
func (s *Service) Start(ctx context.Context, r StartRequest) (Started, error) {
	if !s.flight.enter() {
		return Started{}, errClosed
	}
	defer s.flight.leave()
	o, err := s.admit(r)
	if err != nil {
		return Started{}, err
	}
	began := time.Now()
	subject := s.keys.Subject(o.App, o.To)
	session := s.keys.session(o.App, o.Session, o.Usage)
	result, err := s.do(ctx, o.App, Op{
		Idem: o.Idem, Subject: subject, Session: session, App: o.App, Places: places(o.charges),
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			return s.decideStart(o, session, now, sub, v)
		},
	})
	if err != nil {
		return Started{}, refusedBefore(err)
	}
	if b, ok := result.(*begun); ok && b.outcome == outcomeStart {
		s.observer.Started(o.App, o.Usage, countryOf(o.To))
	}
	return s.finish(ctx, result, o.Idem, began, o.Later)
}

func (s *Service) decideStart(o *order, session MAC, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	if err := sub.blocked(now, &s.policy); err != nil {
		return Decision{}, err
	}
	if v != nil && v.StatusAt(now) == StatusPending && s.readable(v) {
		return s.decideJoin(o, now, sub, v)
	}
	former := v // its code is lost, or it has ended: the session starts anew
	if former != nil && !former.expire(sub, now) {
		former.end(sub, now, StatusCanceled, ReasonKeyLost)
		sub.remove(former.ID)
	}
	v = &Verification{
		ID: o.id, App: o.App, Subject: sub.Key, To: o.To, Usage: o.Usage, Locale: o.Locale, Channel: o.Channel,
		Status: StatusPending, Test: o.test, Domain: o.Domain, Session: session,
		Network: o.network,
		Salt:    o.salt, KeyID: s.keys.CurrentID(), Generation: 1, CodeLength: o.length,
		MaxChecks: s.policy.MaxChecks, MaxSends: s.policy.MaxSends,
		CreatedAt: now, ExpiresAt: now.Add(s.policy.Life), Metadata: o.Metadata,
	}
	send := s.addSend(v, now, choose(o.ways, sub, v, now))
	sub.add(v)
	d := s.decided(sub, v, begun{v, now, send, outcomeStart}, o.charges)
	d.Former = former
	return d, nil
}

// decideJoin uses the session's pending verification.
func (s *Service) decideJoin(o *order, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	if s.resendWait(v, now) > 0 || !v.sendsLeft() {
		b := &begun{v: v, now: now, outcome: outcomeJoin}
		return Decision{Result: b, Idem: IdemState{ID: v.ID, Outcome: outcomeJoin}}, nil
	}
	return s.sendAgain(sub, v, now, outcomeJoin, o.ways, o.charges)
}

// decided is the decision to send. The idempotency key stays open for as long
// as the send may be under way.
func (s *Service) decided(sub *Subject, v *Verification, b begun, charges []Charge) Decision {
	if !v.Test {
		charges = append(charges, s.optOutGuard(b.send.Connector, v.To)) // charges has left it room; another run writes it anew
	}
	return Decision{
		Result: &b, Verification: v, Subject: sub, Charges: charges,
		Idem: IdemState{ID: v.ID, Outcome: b.kept(), OpenUntil: b.send.LeaseUntil},
	}
}

// kept is the outcome with the number of its send.
func (b *begun) kept() string { return b.outcome + "." + strconv.Itoa(len(b.v.Sends)) }

// readable reports whether the verification's code can still be told.
func (s *Service) readable(v *Verification) bool {
	if v.Test && !v.custom() {
		return s.policy.testNumber(v.App, v.To) != nil
	}
	return s.keys.Has(v.KeyID) && (!v.Supplied || v.Sealed != nil)
}

// answer reads from the record what became of a send. cause is the
// connector's error where it is at hand.
func answer(st Started, sendID string, cause *connector.Error) (Started, error) {
	send := st.Verification.send(sendID)
	if send == nil {
		return st, nil
	}
	st.Sent = true
	switch {
	case send.Status == connector.StatusSending, send.Status == connector.StatusUnknown:
		st.Unknown = true
	case send.Status == connector.StatusRejected && !send.Guess:
		if last := &st.Verification.Sends[len(st.Verification.Sends)-1]; last.ID != send.ID && last.Generation == send.Generation {
			return answer(st, last.ID, cause) // another connector carries it since
		}
		if cause == nil {
			cause = send.Error.asError()
		}
		return st, &RefusedError{Verification: st.Verification, Cause: cause}
	}
	return st, nil
}

// asError makes a kept refusal anew, for a repetition of the call.
func (f *SendFault) asError() *connector.Error {
	e := &connector.Error{Kind: connector.KindUnclassified, Outcome: connector.OutcomeRefused}
	if f != nil {
		e.Kind, e.ProviderCode, e.Advice = f.Kind, f.ProviderCode, f.Advice
	}
	return e
}
