package verify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// What the service owes to sends is due at a time that stands in the row
// (Send.NextAt). Whoever lives does it:
//
//	sending, parked           post it, if its code is fresh; else it has failed
//	sending, lease over       its process died: it is unknown
//	unknown                   look for it (look.go)
//	accepted, sent            ask the provider what became of it
//	any, its code was used    tell the provider, once
//
// A claim is one operation, which moves NextAt on before anything is done: of
// several services on one store one gets it, and one that dies leaves it to the
// next.
const (
	dueAtOnce    = 64 // of one pass
	claimsAtOnce = 8
	dueEvery     = time.Second
	claimLife    = 40 * time.Second // a look takes less; then somebody else may
	maxPolls     = 3
	pollStretch  = 5 // each poll comes so many times later than the one before
	// readTimeout ends a request that only asks. maxReads of them are under way
	// at a connector: one that hangs must not gather goroutines.
	readTimeout = 5 * time.Second
	maxReads    = 8
	minPosts    = 8               // likewise under way; a second's worth where the rate is higher
	readRest    = 5 * time.Second // until a read that found no place is due again
)

// task is one thing to do for a send, as it was claimed.
type task struct {
	do     func(context.Context, *task)
	reads  bool          // it asks the provider, and changes nothing there
	busy   *atomic.Int64 // counts it while it is under way
	v      *Verification
	now    time.Time
	send   Send
	others []string // the provider's ids of the number's other messages
}

// claimed is what a claim comes to.
type claimed struct {
	v     *Verification
	tasks []*task
	news  []news
}

// Run does what is owed until ctx ends, then finishes what it has begun.
func (s *Service) Run(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	if s.events != nil {
		tasks.Go(func() { s.events.limits.run(ctx, s.log) })
	}
	for ctx.Err() == nil {
		n, err := s.pass(ctx, &tasks)
		if err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "reconcile", slog.String("error", err.Error()))
		}
		rest := dueEvery
		if n >= dueAtOnce && err == nil {
			rest = dueEvery / 20 // there is more, and others want the store too
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// Reconcile does what is due now, some of it where much is, and returns for how
// many verifications it did something. What finds no place is put off. Errors: the
// store's.
func (s *Service) Reconcile(ctx context.Context) (int, error) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	return s.pass(ctx, &tasks)
}

// pass claims what is due and leaves it to tasks: one that hangs keeps no other
// waiting.
func (s *Service) pass(ctx context.Context, tasks *sync.WaitGroup) (int, error) {
	if !s.flight.enter() {
		return 0, errClosed
	}
	defer s.flight.leave()
	ids, err := s.store.Due(ctx, dueAtOnce+s.stuck.count())
	if err != nil {
		return 0, err
	}
	var claims sync.WaitGroup
	var n atomic.Int64
	places := make(chan struct{}, claimsAtOnce)
	for _, id := range ids {
		places <- struct{}{}
		claims.Go(func() {
			defer func() { <-places }()
			if ctx.Err() == nil && s.claimDue(ctx, id, tasks) {
				n.Add(1)
			}
		})
	}
	claims.Wait()
	return int(n.Load()), nil
}

// claimDue claims what is due of one verification, and sees that it is done.
func (s *Service) claimDue(ctx context.Context, id string, tasks *sync.WaitGroup) bool {
	deadline := time.Now().Add(s.sendDeadline())
	result, err := s.store.Do(ctx, Op{ID: id, AnyApp: true, Decide: s.decideClaim})
	if limit := (*LimitError)(nil); errors.As(err, &limit) && limit.Name == LimitOptedOut {
		result, err = s.store.Do(ctx, Op{ID: id, AnyApp: true, Decide: s.decideOptedOut})
	}
	if err != nil {
		// A store that is down is not the row's fault.
		if ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && s.stuck.add(id) {
			s.log.LogAttrs(ctx, slog.LevelError, "claim", slog.String("verification", id), slog.String("error", err.Error()))
		}
		return false
	}
	s.stuck.drop(id)
	c := result.(*claimed)
	s.announce(ctx, c.v, c.news)
	for _, t := range c.tasks {
		s.flight.group.Add(1) // the pass that we are in keeps the group above zero
		t.busy.Add(1)
		tasks.Go(func() {
			defer s.flight.leave()
			defer t.busy.Add(-1)
			s.run(context.WithoutCancel(ctx), t, deadline)
		})
	}
	return len(c.tasks)+len(c.news) > 0
}

// run does a task. A connector's panic must not end the process: the row would
// still be due, and end the next one.
func (s *Service) run(ctx context.Context, t *task, deadline time.Time) {
	defer func() {
		if p := recover(); p != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "a connector panicked", slog.String("send", t.send.ID), slog.String("panic", panicKind(p)))
		}
	}()
	if t.reads {
		deadline = time.Now().Add(readTimeout)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	t.do(ctx, t)
}

// decideClaim takes on what is due.
func (s *Service) decideClaim(now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
	c := &claimed{v: v}
	changed := false
	for i := range v.Sends {
		send := &v.Sends[i]
		if send.NextAt.IsZero() || now.Before(send.NextAt) {
			continue
		}
		changed = true
		before := send.word()
		do := s.claim(now, sub, v, send, &d)
		if before != send.word() {
			c.news = append(c.news, newsOf(send))
		}
		if do.do != nil {
			do.v, do.now, do.send, do.others = v, now, *send, sub.others(send.ID)
			c.tasks = append(c.tasks, &do)
		}
	}
	d.Result = c
	if changed || v.DueAt().IsZero() {
		// A row that says it is due, and has nothing to do, is set right.
		d.Verification, d.Subject = v, sub.ifTouched()
	}
	return d, nil
}

// claim takes on what is due for one send, and returns what to do.
func (s *Service) claim(now time.Time, sub *Subject, v *Verification, send *Send, d *Decision) (t task) {
	r := s.route(send.Connector)
	switch {
	case send.parked():
		return s.claimParked(now, sub, v, send, d)
	case send.Status == connector.StatusSending:
		if s.flight.making(send.ID) {
			// The clock jumped: this process is still at it.
			s.lease(send, now)
			return t
		}
		s.heard(d, v, sub, send, died(), now)
	case send.Feedback == FeedbackOwed && r != nil && r.feedback != nil:
		send.Feedback = FeedbackDone // before it is done: once is a promise, twice would be a lie
		send.NextAt = s.nextPoll(send, now)
		return task{do: s.doFeedback, reads: true, busy: &r.reading}
	}
	looks := send.Status == connector.StatusUnknown
	switch {
	case !looks && send.Status.Final(), r == nil, r.finder == nil:
		// It is at its end, or nobody can ask: the operator has taken the connector
		// away, or it cannot look.
		send.NextAt = time.Time{}
		sub.release(send.ID)
		return t
	case r.reading.Load() >= maxReads:
		send.NextAt = now.Add(readRest + jitter(readRest))
		return t
	}
	send.Tries++
	if looks {
		send.Epoch++
		send.NextAt = now.Add(claimLife)
		return task{do: s.doLook, reads: true, busy: &r.reading}
	}
	send.NextAt = s.nextPoll(send, now)
	return task{do: s.doPoll, reads: true, busy: &r.reading}
}

// claimParked posts a send that had to wait, through whichever connector is in
// order by now: nothing of it has gone out.
func (s *Service) claimParked(now time.Time, sub *Subject, v *Verification, send *Send, d *Decision) (t task) {
	if !s.fresh(v, send, now) || !s.readable(v) {
		s.heard(d, v, sub, send, givenUp("its code is stale"), now)
		return t
	}
	// One that has refused it is not asked again by us; a person's resend may.
	ways := slices.DeleteFunc(s.waysOf(v), func(w way) bool { return v.refusedBy(w.name) })
	w := choose(ways, sub, v, now)
	switch {
	case w.route == nil || w.wait > 0:
		s.park(v, send, now, max(w.wait, firstPark))
		return t
	case w.posting.Load() >= int64(max(s.policy.RetryRate, minPosts)):
		s.park(v, send, now, firstPark+jitter(firstPark))
		return t
	}
	s.through(v, send, w)
	send.Epoch++
	s.lease(send, now)
	send.PostedAt = now
	if v.Supplied {
		sub.hold(send, now)
	}
	d.Charges = append(d.Charges, s.optOutGuard(w.name, v.To))
	return task{do: s.doPost, busy: &w.posting}
}

// died is the report of a send whose process is gone.
func died() report {
	return reportOf(connector.Receipt{}, &connector.Error{
		Kind: connector.KindTemporary, Outcome: connector.OutcomeMaybe, Advice: connector.AdviceWait,
		Err: errors.New("its process died"),
	})
}

// nextPoll is when to ask the provider about a text, or never.
func (s *Service) nextPoll(send *Send, now time.Time) time.Time {
	r := s.route(send.Connector)
	if s.policy.PollAfter == 0 || send.ProviderID == "" || send.Status.Final() || send.Tries >= maxPolls || r == nil || r.finder == nil {
		return time.Time{}
	}
	wait := s.policy.PollAfter
	for range send.Tries {
		wait *= pollStretch
	}
	return now.Add(wait)
}

func (s *Service) doPost(ctx context.Context, t *task) {
	deadline, _ := ctx.Deadline()
	send := t.send
	b := &begun{v: t.v, now: t.now, send: &send}
	s.carry(ctx, &job{begun: b, route: s.route(send.Connector), deadline: deadline})
}

func (s *Service) doPoll(ctx context.Context, t *task) {
	r := s.route(t.send.Connector)
	if r.reads.Wait(ctx) != nil {
		return // the next poll stands in the row
	}
	found, err := r.finder.Fetch(ctx, t.send.ProviderID)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelInfo, "poll", slog.String("send", t.send.ID), slog.String("error", plainly(err)))
		return
	}
	u := connector.StatusUpdate{ProviderID: found.ProviderID, Status: found.Status, Err: found.Err}
	if err := s.RecordDelivery(ctx, r.name, t.send.ID, u); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "poll", slog.String("send", t.send.ID), slog.String("error", err.Error()))
	}
}
