package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// Transaction 2 has a deadline of its own and a few tries: a store that
// stumbles must not lose an outcome.
const recordTimeout = 5 * time.Second

var errClosed = fmt.Errorf("%w: the service is closing", ErrUnavailable)

// recordWaits are the waits before each further try.
func recordWaits() []time.Duration {
	return []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 800 * time.Millisecond}
}

// job is one send on its way.
type job struct {
	*begun
	idem *Idem
	// deadline ends the send. It is counted from before transaction 1, so that
	// the lease, counted within it, outlasts it however slow the store was.
	deadline time.Time
}

// report is what a send came to.
type report struct {
	word
	providerID string
	err        *connector.Error // nil when the provider took it
}

// recorded is what is known after transaction 2.
type recorded struct {
	v     *Verification // nil when the store did not take the outcome
	now   time.Time
	cause *connector.Error
}

// dispatch sends and waits for the outcome, up to SendTimeout or until the
// caller hangs up. The send goes on without them.
func (s *Service) dispatch(ctx context.Context, st Started, j *job) (Started, error) {
	done := make(chan recorded, 1)
	s.flight.group.Add(1) // the call that we are in keeps the group above zero
	go func() {
		defer s.flight.leave()
		done <- s.carry(context.WithoutCancel(ctx), j)
	}()
	patience := time.NewTimer(s.policy.SendTimeout)
	defer patience.Stop()
	select {
	case r := <-done:
		if r.v == nil {
			break
		}
		st.Verification, st.Now = r.v, r.now
		return answer(st, j.send.ID, r.cause)
	case <-patience.C:
	case <-ctx.Done():
	}
	st.Sent, st.Unknown = true, true
	return st, nil
}

// carry posts the text and writes down what became of it. While the provider
// takes its time, what stands on this goroutine's stack is there once for each
// send: so little stands on it.
func (s *Service) carry(ctx context.Context, j *job) recorded {
	began := time.Now()
	r := s.post(ctx, j)
	s.posted(ctx, j, &r, time.Since(began))
	rec, err := s.record(ctx, j, r)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "send outcome not recorded",
			slog.String("verification", j.v.ID), slog.String("send", j.send.ID), slog.String("error", err.Error()))
	}
	rec.cause = r.err
	return rec
}

// posted tells metrics and log what a send came to.
func (s *Service) posted(ctx context.Context, j *job, r *report, took time.Duration) {
	kind, level := connector.Kind(""), slog.LevelInfo
	if r.err != nil {
		kind, level = r.err.Kind, slog.LevelWarn
	}
	s.observer.SendDone(j.send.Connector, countryOf(j.v.To), r.status, kind, took)
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("verification", j.v.ID), slog.String("send", j.send.ID), slog.String("connector", j.send.Connector),
		slog.String("status", string(r.status)), slog.Duration("took", took),
	}
	if r.err != nil {
		attrs = append(attrs, slog.String("kind", string(kind)), slog.String("error", r.err.Error()))
	}
	s.log.LogAttrs(ctx, level, "send done", attrs...)
}

// post hands the text to the connector, once.
func (s *Service) post(ctx context.Context, j *job) report {
	life := j.v.ExpiresAt.Sub(j.now)
	ctx, cancel := context.WithDeadline(ctx, j.deadline)
	defer cancel()
	if ctx.Err() != nil {
		// The store took so long that the send would outlast its lease.
		return failed(connector.KindTemporary, ctx.Err())
	}
	code, err := s.keys.code(j.v)
	if err != nil {
		return failed(connector.KindSender, err)
	}
	body, err := s.text(j.v.Usage, j.v.Locale, j.v.Domain, code.Reveal())
	if err != nil {
		return failed(connector.KindSender, err)
	}
	m := connector.Message{To: j.v.To, Body: secret.New(body), Validity: life}
	if s.callbackURL != nil {
		m.CallbackURL = s.callbackURL(j.send.Connector, j.send.ID)
	}
	receipt, err := s.send(ctx, m)
	return reportOf(receipt, err)
}

// send keeps a connector's panic from ending the process: every send in
// flight would be lost with it.
func (s *Service) send(ctx context.Context, m connector.Message) (r connector.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &connector.Error{
				Kind: connector.KindUnclassified, Outcome: connector.OutcomeMaybe, Advice: connector.AdviceOurFault,
				Err: fmt.Errorf("the connector panicked: %s", panicKind(p)),
			}
		}
	}()
	return s.connector.Sender.Send(ctx, m)
}

// failed is the report of a send that was never made.
func failed(kind connector.Kind, err error) report {
	return report{
		word: word{connector.StatusFailed, true},
		err:  &connector.Error{Kind: kind, Outcome: connector.OutcomeNotProcessed, Advice: connector.AdviceOurFault, Err: err},
	}
}

func reportOf(receipt connector.Receipt, err error) report {
	if err == nil {
		status := receipt.Status
		if rank(status) < rank(connector.StatusAccepted) {
			status = connector.StatusAccepted
		}
		return report{word: word{status: status}, providerID: receipt.ProviderID}
	}
	var e *connector.Error
	if !errors.As(err, &e) {
		// Not what the contract asks for. Its words may quote anything.
		e = &connector.Error{Kind: connector.KindUnclassified, Outcome: connector.OutcomeMaybe, Advice: connector.AdviceOurFault}
	}
	r := report{word: word{status: connector.StatusUnknown}, providerID: receipt.ProviderID, err: e}
	switch e.Outcome {
	case connector.OutcomeRefused:
		r.status = connector.StatusRejected
	case connector.OutcomeNotProcessed:
		r.word = word{connector.StatusFailed, true}
	}
	return r
}

// record is transaction 2, under its own deadline: whoever waits for it may
// have gone.
func (s *Service) record(ctx context.Context, j *job, r report) (recorded, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	op := Op{ID: j.v.ID, App: j.v.App, Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		return decideOutcome(j, r, now, sub, v)
	}}
	waits := recordWaits()
	for try := 0; ; try++ {
		result, err := s.store.Do(ctx, op)
		if err == nil {
			return result.(recorded), nil
		}
		if try == len(waits) || errors.Is(err, ErrNotFound) {
			return recorded{}, err
		}
		pause := time.NewTimer(waits[try])
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return recorded{}, err
		}
	}
}

// decideOutcome writes down what became of a send. It may run after it has
// committed already, when the store's answer was lost: then nothing changes,
// and nothing is given back twice.
func decideOutcome(j *job, r report, now time.Time, sub *Subject, v *Verification) (Decision, error) {
	d := Decision{Verification: v, Result: recorded{v: v, now: now}}
	if j.idem != nil {
		d.Settle = &Settlement{Key: j.idem.Key, IdemState: IdemState{ID: v.ID, Outcome: j.kept()}}
	}
	send := v.send(j.send.ID)
	if send == nil {
		return Decision{}, ErrNotFound
	}
	if v.expire(sub, now) {
		d.Subject = sub
	}
	if send.ProviderID == "" {
		send.ProviderID = r.providerID
	}
	if send.Epoch != j.send.Epoch {
		return d, nil // another process claimed the send: its word counts
	}
	next, changed := word{send.Status, send.Guess}.merge(r.word)
	if d.Settle != nil {
		// Nothing was posted: the same call, made again, is to send.
		d.Settle.Forget = next == word{connector.StatusFailed, true}
	}
	if !changed {
		return d, nil
	}
	send.Status, send.Guess, send.UpdatedAt = next.status, next.guess, now
	send.Error = faultOf(r.err)
	if next.status != connector.StatusUnknown {
		send.LeaseUntil = time.Time{}
	}
	if send.charged() {
		return d, nil
	}
	// Nothing went out: the number is not charged, and nobody waits for it.
	d.Refunds = refunds(j.charges, send.CreatedAt)
	if send == &v.Sends[len(v.Sends)-1] {
		v.ResendAfter = send.CreatedAt
	}
	if next.status == connector.StatusRejected && !v.mayArrive() &&
		v.end(sub, now, StatusCanceled, ReasonSendRejected) {
		d.Subject = sub
	}
	return d, nil
}

// mayArrive reports whether a text with the present code may reach the phone.
func (v *Verification) mayArrive() bool {
	for i := range v.Sends {
		if s := &v.Sends[i]; s.Generation == v.Generation && s.mayArrive() {
			return true
		}
	}
	return false
}

func faultOf(e *connector.Error) *SendFault {
	if e == nil {
		return nil
	}
	return &SendFault{Kind: e.Kind, ProviderCode: e.ProviderCode, Advice: e.Advice}
}
