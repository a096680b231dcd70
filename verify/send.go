package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

var errClosed = fmt.Errorf("%w: the service is closing", ErrUnavailable)

// job is one send on its way.
type job struct {
	*begun
	*route
	idem *Idem
	// patience is until when somebody waits; zero is nobody. deadline ends the
	// send. Both are counted from before transaction 1: a slow store has its part
	// of the patience, and the lease, counted within, outlasts the deadline.
	patience, deadline time.Time
}

// report is what a send came to.
type report struct {
	word
	providerID string
	err        *connector.Error // nil when the provider took it
}

// dispatch sends and waits for the outcome, up to SendTimeout or until the
// caller hangs up. The send goes on without them.
func (s *Service) dispatch(ctx context.Context, st Started, j *job, later Later) (Started, error) {
	h := &handover{st: st, told: make(chan struct{})}
	s.flight.group.Add(1) // the call that we are in keeps the group above zero
	go func() {
		defer s.flight.leave()
		h.tell(h.result(s.carry(context.WithoutCancel(ctx), j)))
	}()
	rest := time.Until(j.patience)
	if later != nil && rest > answerSoon {
		if waitFor(ctx, h.told, answerSoon) {
			rest -= answerSoon
			if answer := later(); answer != nil {
				if !h.pass(answer, rest) {
					<-h.told
					answer(h.got, h.err)
				}
				return Started{}, ErrLater
			}
		}
	}
	waitFor(ctx, h.told, rest)
	h.tell(h.unknown())
	<-h.told
	return h.got, h.err
}

// waitFor reports whether d went by with neither done nor the end of ctx.
func waitFor(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(d):
		return true
	}
	return false
}

// carry posts the text, as often and through as many connectors as the policy
// has it, and writes down what became of it. While the provider takes its time,
// what stands on this goroutine's stack is there once for each send: so little
// stands on it.
func (s *Service) carry(ctx context.Context, j *job) recorded {
	ctx, cancel := context.WithDeadline(ctx, j.deadline)
	defer cancel()
	var tried []string
	for try := 0; ; try++ {
		id := j.send.ID
		s.flight.begin(id)
		r := s.turn(ctx, j, try > 0)
		if r.err == nil {
			r = s.post(ctx, j)
		}
		p := s.next(j, &r, try, tried)
		if p != (plan{}) {
			s.observer.Retried(j.name, r.err.Kind)
		}
		if p.again > 0 {
			if s.pause(ctx, p.again) {
				continue
			}
			p = plan{park: firstPark} // there is no time left, or no process
		}
		rec := s.record(ctx, j, r, p)
		s.flight.end(id)
		if rec.next == nil {
			return rec
		}
		tried = append(tried, j.name)
		next := *j
		next.begun, next.route = rec.next, p.move.route
		j = &next
	}
}

// turn waits for a background send's turn, and asks the store whether a text that
// had to wait may still go: its code may have been used, canceled or replaced
// meanwhile, or another text of the number be looked for. Of the report only an
// error counts.
func (s *Service) turn(ctx context.Context, j *job, waited bool) report {
	if j.patience.IsZero() {
		place := j.posts.Reserve()
		switch wait := place.Delay(); {
		case wait == 0:
		case s.pause(ctx, wait):
			waited = true
		default:
			place.Cancel()
			return failed(connector.KindThrottled, connector.ActRetry, errors.New("there is no time left"))
		}
	}
	if !waited {
		return report{} // the operation that began it has just said so
	}
	result, err := s.store.Do(ctx, Op{ID: j.v.ID, AnyApp: true, Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		r := report{}
		switch send := v.send(j.send.ID); {
		case send == nil || send.Epoch != j.send.Epoch || send.Status != connector.StatusSending || !s.fresh(v, send, now):
			r = failed(connector.KindTemporary, 0, errors.New("the code is stale"))
		case sub.held(v, j.name, send.ID, now):
			r = failed(connector.KindTemporary, connector.ActRetry, errors.New("another text of the number is looked for"))
		}
		return Decision{Result: r}, nil
	}})
	if err != nil {
		return failed(connector.KindTemporary, connector.ActRetry, err)
	}
	return result.(report)
}

// post hands the text to the connector, once, and tells metrics and log what it
// came to.
func (s *Service) post(ctx context.Context, j *job) report {
	if ctx.Err() != nil {
		// The store took so long that the send would outlast its lease.
		return failed(connector.KindTemporary, connector.ActRetry, ctx.Err())
	}
	m, err := s.compose(j.route, j.v, j.send)
	if err != nil {
		return failed(connector.KindSender, 0, err)
	}
	m.Validity = j.v.ExpiresAt.Sub(j.now)
	m.WantFeedback = j.send.Feedback != FeedbackNone
	if s.callbackURL != nil {
		m.CallbackURL = s.callbackURL(j.name, j.send.ID)
	}
	if !j.breaker.enter() {
		return failed(connector.KindTemporary, connector.ActRetry, errors.New("the connector is out of order"))
	}
	began := time.Now()
	receipt, err := s.send(ctx, j.sender, m)
	r := reportOf(receipt, err)
	// What the provider says about one text says nothing about the next one.
	ok := r.err == nil || r.err.Kind != connector.KindTemporary && r.err.Kind != connector.KindThrottled
	answered, retryAfter := true, time.Duration(0)
	if !ok {
		answered, retryAfter = r.err.HTTPStatus != 0, r.err.RetryAfter
	}
	j.breaker.leave(ok, answered, retryAfter)
	s.posted(ctx, j, &r, time.Since(began))
	return r
}

// posted tells metrics and log what a request came to.
func (s *Service) posted(ctx context.Context, j *job, r *report, took time.Duration) {
	kind, level := connector.Kind(""), slog.LevelInfo
	if r.err != nil {
		kind, level = r.err.Kind, slog.LevelWarn
	}
	s.observer.SendDone(j.name, countryOf(j.v.To), r.status, kind, took)
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("verification", j.v.ID), slog.String("send", j.send.ID), slog.String("connector", j.name),
		slog.String("status", string(r.status)), slog.Duration("took", took),
	}
	if r.err != nil {
		attrs = append(attrs, slog.String("kind", string(kind)), slog.String("error", r.err.Error()))
	}
	s.log.LogAttrs(ctx, level, "send done", attrs...)
}

// send keeps a connector's panic from ending the process: every send in
// flight would be lost with it.
func (s *Service) send(ctx context.Context, sender connector.Sender, m connector.Message) (r connector.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &connector.Error{
				Kind: connector.KindUnclassified, Outcome: connector.OutcomeMaybe, Advice: connector.AdviceOurFault,
				Err: fmt.Errorf("the connector panicked: %s", panicKind(p)),
			}
		}
	}()
	return sender.Send(ctx, m)
}

// failed is the report of a send that was not made.
func failed(kind connector.Kind, actions connector.Action, err error) report {
	advice := connector.AdviceOurFault
	if actions.Has(connector.ActRetry) {
		advice = connector.AdviceWait
	}
	return report{
		word: word{connector.StatusFailed, true},
		err:  &connector.Error{Kind: kind, Outcome: connector.OutcomeNotProcessed, Actions: actions, Advice: advice, Err: err},
	}
}

// givenUp is the report of a send that is not to be made any more.
func givenUp(why string) report {
	return failed(connector.KindTemporary, connector.ActRetry, errors.New(why))
}

// plainly is a connector's error for the log. One that is not what the contract
// asks for may quote anything.
func plainly(err error) string {
	var e *connector.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return "not a connector.Error"
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
