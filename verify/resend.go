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
	began := time.Now()
	result, err := s.do(ctx, r.App, Op{
		Idem: r.Idem, ID: r.ID, App: r.App,
		Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
			return s.decideResend(&r, now, sub, v)
		},
	})
	if err != nil {
		return Started{}, refusedBefore(err)
	}
	return s.finish(ctx, result, r.Idem, began, r.Later)
}

func (s *Service) decideResend(r *ResendRequest, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	switch {
	case v.Supplied, v.custom(): // whoever made the code has to supply it again (Join)
		return Decision{}, ErrNotFound
	case v.Status != StatusPending:
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
	return s.sendAgain(sub, v, now, outcomeResend, s.waysOf(v), s.charges(v.App, v.To, network))
}

// sendAgain adds a send to a pending verification. One that still waits to be
// posted makes room for it: the person shall get one text, not two.
func (s *Service) sendAgain(sub *Subject, v *Verification, now time.Time, outcome string, ways []way, charges []Charge) (Decision, error) {
	w := choose(ways, sub, v, now)
	if w.route == nil {
		return Decision{}, ErrNoTemplate // the operator has taken its connector away
	}
	var d Decision
	for i := range v.Sends {
		if send := &v.Sends[i]; send.parked() {
			s.heard(&d, v, sub, send, givenUp("another takes its place"), now)
		}
	}
	if v.ExpiresAt.Sub(now) < s.policy.FreshBelow {
		v.Generation++
		v.ExpiresAt = now.Add(s.policy.Life)
		sub.extend(v)
	}
	refunds := d.Refunds
	d = s.decided(sub, v, begun{v, now, s.addSend(v, now, w), outcome}, charges)
	d.Refunds = refunds
	return d, nil
}

// finish turns what transaction 1 came to into an answer, sending on the way.
func (s *Service) finish(ctx context.Context, result any, idem *Idem, began time.Time, later Later) (Started, error) {
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
	case b.v.Test, b.send.parked():
		return answer(st, b.send.ID, nil)
	}
	return s.dispatch(ctx, st, &job{begun: b, route: s.route(b.send.Connector), idem: idem, patience: began.Add(s.policy.SendTimeout), deadline: began.Add(s.sendDeadline())}, later)
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
