package verify

import (
	"context"
	"strings"
	"time"
)

// Resend sends another text of a pending verification. The code stays the same
// while the policy's FreshBelow of its life is left, and its expiry with it;
// later it is a new one with a new life, and the old one dies. The checks that
// are used up stay so.
//
// Errors are those of Start, and ErrNotFound and ErrEnded.
func (s *Service) Resend(ctx context.Context, r ResendRequest) (Started, error) {
	if !s.flight.enter() {
		return Started{}, errClosed
	}
	defer s.flight.leave()
	if !validID(r.ID) {
		return Started{}, ErrNotFound
	}
	if r.Channel != "" {
		if err := s.admitChannel(r.Channel); err != nil {
			return Started{}, err
		}
	}
	deadline := time.Now().Add(s.sendDeadline())
	result, err := s.do(ctx, r.App, Op{
		Idem: r.Idem, ID: r.ID, App: r.App,
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			return s.decideResend(&r, now, sub, v)
		},
	})
	if err != nil {
		return Started{}, err
	}
	return s.finish(ctx, result, r.Idem, deadline)
}

func (s *Service) decideResend(r *ResendRequest, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	if v.Status != StatusPending {
		return Decision{}, ErrEnded
	}
	if v.expire(sub, now) || !s.readable(v) {
		v.end(sub, now, StatusCanceled, ReasonKeyLost)
		return Decision{
			Result: &begun{v: v, now: now, outcome: outcomeEnded}, Verification: v, Subject: sub,
			Idem: IdemState{ID: v.ID, Outcome: outcomeEnded},
		}, nil
	}
	if err := sub.blocked(now, &s.policy); err != nil {
		return Decision{}, err
	}
	if !v.sendsLeft() {
		return Decision{}, &LimitError{Name: LimitResendCount, RetryAfter: v.ExpiresAt.Sub(now)}
	}
	if wait := s.resendWait(v, now); wait > 0 {
		return Decision{}, &LimitError{Name: LimitResendWait, RetryAfter: wait}
	}
	network := v.Network
	if r.ClientIP.IsValid() {
		network = s.network(r.ClientIP)
	}
	return s.sendAgain(sub, v, now, begun{outcome: outcomeResend, charges: s.chargesFrom(v.App, v.To, network)})
}

// sendAgain adds a send to a pending verification.
func (s *Service) sendAgain(sub *Subject, v *Verification, now time.Time, b begun) (Decision, error) {
	segments, err := s.segments(v.Usage, v.Locale, v.Domain, v.CodeLength)
	if err != nil {
		return Decision{}, err
	}
	if v.ExpiresAt.Sub(now) < s.policy.FreshBelow {
		v.Generation++
		v.ExpiresAt = now.Add(s.policy.Life)
		sub.extend(v)
	}
	b.v, b.now = v, now
	b.send = s.addSend(v, now, segments)
	return s.decided(sub, v, b), nil
}

// finish turns what transaction 1 came to into an answer, sending on the way.
func (s *Service) finish(ctx context.Context, result any, idem *Idem, deadline time.Time) (Started, error) {
	if r, ok := result.(*Replayed); ok {
		return s.replayed(r)
	}
	b := result.(*begun)
	st := Started{Verification: b.v, Now: b.now, Joined: b.outcome == outcomeJoin}
	switch {
	case b.outcome == outcomeEnded:
		return st, ErrEnded
	case b.send == nil:
		return st, nil
	case b.v.Test:
		return answer(st, b.send.ID, nil)
	}
	return s.dispatch(ctx, st, &job{begun: b, idem: idem, deadline: deadline})
}

// replayed renders the record anew: no answer is kept.
func (s *Service) replayed(r *Replayed) (Started, error) {
	if r.Verification == nil {
		return Started{}, ErrNotFound
	}
	outcome, n, sent := strings.Cut(r.Outcome, ".")
	st := Started{Verification: r.Verification, Now: r.Now, Joined: outcome == outcomeJoin, Replayed: true}
	switch {
	case outcome == outcomeEnded:
		return st, ErrEnded
	case !sent:
		return st, nil
	}
	return answer(st, r.ID+"."+n, nil)
}
