package verify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// Transaction 2 has a deadline of its own and a few tries: a store that
// stumbles must not lose an outcome.
const recordTimeout = 5 * time.Second

// recordWaits are the waits before each further try.
func recordWaits() []time.Duration {
	return []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 800 * time.Millisecond}
}

// recorded is what is known after transaction 2.
type recorded struct {
	v     *Verification // nil when the store did not take the outcome
	now   time.Time
	send  string // the send that counts now
	cause *connector.Error
	next  *begun // a send through another connector, to be made at once
	news  []news
}

// news is a status that a send has come to.
type news struct {
	send, connector string
	status          connector.Status
	kind            connector.Kind
}

// record is transaction 2, under its own deadline: whoever waits for it may
// have gone.
func (s *Service) record(ctx context.Context, j *job, r report, p plan) recorded {
	rec := recorded{send: j.send.ID}
	result, err := s.persist(ctx, Op{ID: j.v.ID, AnyApp: true, Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		return s.decideOutcome(j, r, p, now, sub, v)
	}})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "send outcome not recorded",
			slog.String("verification", j.v.ID), slog.String("send", j.send.ID), slog.String("error", err.Error()))
	} else {
		rec = *result.(*recorded)
		s.announce(ctx, rec.v, rec.news)
	}
	rec.cause = r.err
	return rec
}

// persist runs an operation that must not be lost.
func (s *Service) persist(ctx context.Context, op Op) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	waits := recordWaits()
	for try := 0; ; try++ {
		result, err := s.store.Do(ctx, op)
		if err == nil || try == len(waits) || errors.Is(err, ErrNotFound) {
			return result, err
		}
		timer := time.NewTimer(waits[try])
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// announce tells log and metrics what was heard, once it is written down.
func (s *Service) announce(ctx context.Context, v *Verification, all []news) {
	for _, n := range all {
		if n.status != connector.StatusUnknown {
			s.looks.forget(n.send)
		}
		s.observer.SendStatus(n.connector, countryOf(v.To), n.status, n.kind)
		level := slog.LevelDebug // "send done" has said most of it
		if n.status.Final() {
			level = slog.LevelInfo
		}
		s.log.LogAttrs(ctx, level, "send status",
			slog.String("verification", v.ID), slog.String("send", n.send), slog.String("connector", n.connector),
			slog.String("status", string(n.status)), slog.String("kind", string(n.kind)))
	}
}

// decideOutcome writes down what became of a send. It may run after it has
// committed already, when the store's answer was lost: then nothing changes,
// and nothing is given back twice.
func (s *Service) decideOutcome(j *job, r report, p plan, now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
	rec := &recorded{v: v, now: now, send: j.send.ID}
	d = Decision{Verification: v, Result: rec}
	defer func() { d.Subject = sub.ifTouched() }()
	if j.idem != nil {
		d.Settle = &Settlement{Key: j.idem.Key, IdemState: IdemState{ID: v.ID, Outcome: j.kept()}}
	}
	send := v.send(j.send.ID)
	if send == nil {
		return Decision{}, ErrNotFound
	}
	v.expire(sub, now)
	if send.ProviderID == "" {
		send.ProviderID = r.providerID // also where the guess that came with it is not heard
	}
	if mine := send.Epoch == j.send.Epoch; !mine && (r.guess || r.status == connector.StatusUnknown) {
		return d, nil // another process claimed the send: its guess counts, not ours
	}
	fresh := s.fresh(v, send, now)
	if p.park > 0 && fresh && send.Status == connector.StatusSending {
		s.park(v, send, now, p.park)
		sub.release(send.ID)
		send.Tries++
		send.Error, send.UpdatedAt = faultOf(r.err), now
		return d, nil
	}
	changed := s.heard(&d, v, sub, send, r, now)
	if changed {
		rec.news = append(rec.news, newsOf(send))
	}
	gone := send.word() == word{connector.StatusFailed, true}
	if d.Settle != nil {
		// Nothing was posted: the same call, made again, is to send.
		d.Settle.Forget = gone
	}
	if p.move != nil && (!changed && !v.newestIs(send) || changed && fresh && v.sendsLeft()) {
		s.move(rec, &d, j, *p.move, changed, now, sub)
		return d, nil
	}
	if !changed || send.charged() {
		return d, nil
	}
	if v.newestIs(send) {
		v.ResendAfter = send.CreatedAt
	}
	if send.Status == connector.StatusRejected && !v.mayArrive() {
		v.end(sub, now, StatusCanceled, ReasonSendRejected)
	}
	return d, nil
}

// move adds the send through another connector; or finds it, when this has been
// committed already.
func (s *Service) move(rec *recorded, d *Decision, j *job, w way, add bool, now time.Time, sub *Subject) {
	v := rec.v
	if add {
		if sub.held(v, w.name, "", now) {
			w.wait = max(w.wait, holdRest)
		}
		s.addSend(v, now, w)
		d.Refunds = nil // the charge of the one that was refused is the other one's
	}
	next := &v.Sends[len(v.Sends)-1]
	rec.send = next.ID
	b := &begun{v, now, next, j.outcome}
	if next.Status == connector.StatusSending && next.Epoch == 1 && !next.parked() {
		rec.next = b
		if v.Supplied {
			sub.hold(next, now)
		}
	}
	if d.Settle != nil {
		d.Settle.Forget = false
		d.Settle.IdemState = IdemState{ID: v.ID, Outcome: b.kept(), OpenUntil: next.LeaseUntil}
	}
}

// heard takes what was said of a send, by whoever, and what follows from it for
// row, subject and limits. It reports whether anything changed.
func (s *Service) heard(d *Decision, v *Verification, sub *Subject, send *Send, r report, now time.Time) bool {
	named := send.ProviderID == "" && r.providerID != ""
	if named {
		send.ProviderID = r.providerID
	}
	next, changed := send.word().merge(r.word)
	if !changed {
		return named
	}
	charged := send.charged()
	send.Status, send.Guess, send.UpdatedAt = next.status, next.guess, now
	send.Error = faultOf(r.err)
	send.LeaseUntil, send.LookedAt, send.NextAt, send.Tries = time.Time{}, time.Time{}, time.Time{}, 0
	switch {
	case next.status == connector.StatusUnknown:
		if r := s.route(send.Connector); r != nil && r.finder != nil {
			sub.hold(send, now)
			send.NextAt = now.Add(firstLook)
		}
	case !next.status.Final():
		send.NextAt = s.nextPoll(send, now)
	}
	if next.status != connector.StatusUnknown {
		sub.release(send.ID)
	}
	if send.Feedback == FeedbackOwed {
		send.NextAt = now
	}
	if v.Supplied {
		send.History = append(send.History, Heard{next.status, now})
		sub.took(send, now)
	}
	// Nothing went out: the number is not charged. But what was guessed at is not
	// free: who makes texts fail would have guesses without end.
	if charged && !send.charged() && v.Checks == 0 {
		d.Refunds = append(d.Refunds, refunds(s.charges(v.App, v.To, MAC{}), send.CreatedAt)...)
	}
	d.Set = append(d.Set, s.optOut(send, v, now)...)
	return true
}

func newsOf(send *Send) news {
	n := news{send: send.ID, connector: send.Connector, status: send.Status}
	if send.Error != nil {
		n.kind = send.Error.Kind
	}
	return n
}

func faultOf(e *connector.Error) *SendFault {
	if e == nil {
		return nil
	}
	return &SendFault{Kind: e.Kind, ProviderCode: e.ProviderCode, Advice: e.Advice}
}
