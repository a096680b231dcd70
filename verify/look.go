package verify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// A text whose answer was lost is looked for before anything else is done about
// it, because the provider cannot be asked to send it only once. What counts:
//
//   - a callback for this send's own URL, signed (delivery.go);
//   - the provider's list has a text to the number, with the same body, taken no
//     more than lookBack before the post, whose id no other send owns.
//
// It is not there when two lists, lookGap apart, do not have it: a list may lag.
// Then, and only then, it is sent again, as a send of its own.
const (
	firstLook = 2 * time.Second
	lookGap   = 15 * time.Second
	// lookBack is generous: the provider's clock is not ours, and one that is
	// minutes off must not hide a text. What else says the same is known.
	lookBack    = 15 * time.Minute
	firstRetry  = 5 * time.Second
	longestLook = time.Minute
	giveUpAfter = OwedLife
)

// looked is what a look came to. LookAbsent is the second time, lookGap after the
// first by this process's own clock.
type looked struct {
	result  LookResult
	found   connector.Found
	refused bool // the provider does not let us look
}

func (s *Service) doLook(ctx context.Context, t *task) {
	r := s.route(t.send.Connector)
	res := s.look(ctx, r, t)
	s.observer.Looked(r.name, res.result)
	s.log.LogAttrs(ctx, slog.LevelInfo, "look", slog.String("send", t.send.ID), slog.String("connector", r.name), slog.String("result", string(res.result)))
	rec, err := s.persist(ctx, Op{ID: t.v.ID, AnyApp: true, Decide: func(now time.Time, sub *Subject, v *Verification) (Decision, error) {
		return s.decideLooked(t, res, now, sub, v)
	}})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "look not recorded", slog.String("send", t.send.ID), slog.String("error", err.Error()))
		return
	}
	c := rec.(*claimed)
	s.announce(ctx, c.v, c.news)
}

func (s *Service) look(ctx context.Context, r *route, t *task) looked {
	m, err := s.compose(r, t.v, &t.send)
	if err != nil {
		return looked{result: LookFailed} // the key is gone: nobody can tell its text from another
	}
	posted := t.send.CreatedAt
	if !t.send.PostedAt.IsZero() {
		posted = t.send.PostedAt
	}
	if r.reads.Wait(ctx) != nil {
		return looked{result: LookFailed}
	}
	found, err := r.finder.Find(ctx, m, posted.Add(-lookBack))
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelInfo, "look", slog.String("send", t.send.ID), slog.String("error", plainly(err)))
		var e *connector.Error
		return looked{result: LookFailed, refused: errors.As(err, &e) && e.Outcome == connector.OutcomeRefused}
	}
	owned := t.owned()
	// The oldest first: that is the one nearest to the post.
	for _, f := range slices.Backward(found) {
		if !slices.Contains(owned, f.ProviderID) {
			return looked{result: LookFound, found: f}
		}
	}
	if s.looks.again(t.send.ID) {
		return looked{result: LookAbsent}
	}
	return looked{result: LookAgain}
}

// owned are the provider's ids of other texts that may say the same: of the
// verification's other sends, and of the number's other messages.
func (t *task) owned() []string {
	ids := slices.Clone(t.others)
	for i := range t.v.Sends {
		if send := &t.v.Sends[i]; send.ProviderID != "" && send.ID != t.send.ID {
			ids = append(ids, send.ProviderID)
		}
	}
	return ids
}

// decideLooked writes down what a look came to. A callback may have been
// faster, or another process: then it says nothing.
func (s *Service) decideLooked(t *task, res looked, now time.Time, sub *Subject, v *Verification) (d Decision, err error) {
	c := &claimed{v: v}
	d.Result = c
	send := v.send(t.send.ID)
	if send == nil || send.Status != connector.StatusUnknown {
		return d, nil
	}
	defer func() { d.Verification, d.Subject = v, sub.ifTouched() }()
	switch {
	case res.result == LookFound:
		s.heard(&d, v, sub, send, report{word{status: res.found.Status}, res.found.ProviderID, res.found.Err}, now)
	case send.Epoch != t.send.Epoch:
		return d, nil
	case res.result == LookFailed:
		send.NextAt = now.Add(backoff(firstRetry, longestLook, send.Tries-1))
		if now.Sub(send.CreatedAt) > giveUpAfter {
			send.NextAt = time.Time{}
		}
		if res.refused { // credentials that may not list: the number must not wait for that
			sub.release(send.ID)
		}
	case res.result == LookAgain || send.LookedAt.IsZero() || now.Sub(send.LookedAt) < lookGap:
		if send.LookedAt.IsZero() || send.LookedAt.After(now) {
			send.LookedAt = now
		}
		send.NextAt = now.Add(lookGap)
	default:
		fresh := s.fresh(v, send, now) && v.newestIs(send) && s.readable(v)
		s.heard(&d, v, sub, send, givenUp("two looks did not find it"), now)
		if w := choose(s.waysOf(v), sub, v, now); fresh && w.route != nil && v.sendsLeft() {
			d.Refunds = nil // the charge is the new one's
			s.addAgain(v, now, w)
			send = v.send(t.send.ID)
		}
	}
	if send.Status != connector.StatusUnknown {
		c.news = append(c.news, newsOf(send))
	}
	return d, nil
}

// addAgain adds the send that takes the place of one that is not there. The
// person has waited long enough: it starts no wait of its own.
func (s *Service) addAgain(v *Verification, now time.Time, w way) {
	resendAfter := v.ResendAfter
	s.park(v, s.addSend(v, now, w), now, w.wait) // it is posted by whoever comes first
	v.ResendAfter = resendAfter
}

// newestIs reports whether no text was meant after this one.
func (v *Verification) newestIs(send *Send) bool { return v.Sends[len(v.Sends)-1].ID == send.ID }

// looks remembers, by this process's own clock, when it first did not find a
// text: a clock that jumps must not make two looks out of one. Who has not
// looked twice itself has to look again.
type looks struct {
	mu    sync.Mutex
	first map[string]time.Time
}

// again notes a look and reports whether the first one was lookGap ago.
func (l *looks) again(send string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = map[string]time.Time{}
	}
	at, ok := l.first[send]
	if !ok {
		// Another process may have settled it, which this one does not hear of.
		maps.DeleteFunc(l.first, func(_ string, at time.Time) bool { return time.Since(at) > holdLife })
		l.first[send] = time.Now()
		return false
	}
	return time.Since(at) >= lookGap
}

func (l *looks) forget(send string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.first, send)
}
