package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// endpoint delivers one app's events.
type endpoint struct {
	*Deliverer
	app   string
	post  func(context.Context, verify.Event, time.Time) answer
	close func()
	wake  chan struct{}

	mu      sync.Mutex
	busy    int       // events on their way
	failed  int       // tries in a row
	resting time.Time // until when nothing is sent
}

func (e *endpoint) rouse() {
	select {
	case e.wake <- struct{}{}:
	default: // it is awake
	}
}

// room is how many events may be claimed now, and for how long none may.
func (e *endpoint) room() (n int, rest time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rest = time.Until(e.resting); rest > 0 {
		return 0, rest
	}
	if e.failed >= restAfter {
		return max(0, 1-e.busy), pollEvery // it asks whether the endpoint is back
	}
	return atOnce - e.busy, pollEvery
}

// run claims events and has them posted until ctx ends.
func (e *endpoint) run(ctx, posting context.Context, posts *sync.WaitGroup) {
	down := false
	for ctx.Err() == nil {
		room, rest := e.room()
		if room > 0 {
			events, err := e.Outbox.ClaimEvents(ctx, e.app, room, lease)
			if err != nil && !down && ctx.Err() == nil {
				e.Log.LogAttrs(ctx, slog.LevelError, "webhook events", slog.String("app", e.app), slog.String("error", err.Error()))
			}
			down = err != nil
			for _, ev := range events {
				e.begin()
				posts.Go(func() { e.deliver(posting, ev) })
			}
		}
		select {
		case <-time.After(rest):
		case <-e.wake:
			if down { // a store that is down is asked no more often for it
				select {
				case <-time.After(rest):
				case <-ctx.Done():
				}
			}
		case <-ctx.Done():
		}
	}
}

func (e *endpoint) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy++
}

// end takes note of how a try ended; released is one that was broken off by us.
func (e *endpoint) end(a answer, released bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy--
	switch {
	case released:
	case a.ok() || a.status == http.StatusGone:
		e.failed, e.resting = 0, time.Time{}
	default:
		e.failed++
		if rest := max(restFor(e.failed), min(a.asked, longestRest)); rest > 0 {
			e.resting = time.Now().Add(rest)
		}
	}
}

// deliver posts an event once and writes down what became of it.
func (e *endpoint) deliver(ctx context.Context, ev verify.Event) {
	defer e.rouse() // its place is free, and the next of its key may be due
	began := time.Now()
	a := e.post(ctx, ev, began)
	released := a.err != nil && ctx.Err() != nil
	defer e.end(a, released)
	if released {
		e.settle(ctx, verify.EventResult{Event: ev, Tries: ev.Tries - 1})
		return
	}
	e.Observer.EventTried(e.app, a.result())
	if a.ok() {
		e.settle(ctx, verify.EventResult{Event: ev, Done: true})
		e.Log.LogAttrs(ctx, slog.LevelDebug, "webhook event delivered", e.about(ev, time.Since(began))...)
		return
	}
	e.complain(ctx, ev, a, time.Since(began))
	after, again := wait(ev.Tries, a.asked)
	why := "it was tried often enough"
	if a.status == http.StatusGone {
		again, why = false, "the endpoint answered 410 Gone"
	}
	if again {
		e.settle(ctx, verify.EventResult{Event: ev, After: after, Tries: ev.Tries})
		return
	}
	if e.settle(ctx, verify.EventResult{Event: ev, Done: true}) {
		e.gaveUp(ctx, ev, why)
	}
}

func (e *endpoint) about(ev verify.Event, took time.Duration) []slog.Attr {
	return []slog.Attr{slog.String("app", e.app), slog.String("event", ev.ID), slog.Int("try", ev.Tries), slog.Duration("took", took)}
}

// complain logs a try that failed, in words that quote nothing.
func (e *endpoint) complain(ctx context.Context, ev verify.Event, a answer, took time.Duration) {
	attrs := e.about(ev, took)
	if a.err != nil {
		attrs = append(attrs, slog.String("error", plainly(a.err)))
	} else {
		attrs = append(attrs, slog.Int("status", a.status))
	}
	e.Log.LogAttrs(ctx, slog.LevelWarn, "webhook event not delivered", attrs...)
}

// settle writes down what became of a claim, whether or not anybody waits for it.
// It reports whether the claim was still ours.
func (e *endpoint) settle(ctx context.Context, r verify.EventResult) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for try := 1; ; try++ {
		done, err := e.Outbox.SettleEvent(ctx, r)
		if err == nil {
			return done
		}
		if try == settleTries || ctx.Err() != nil {
			// Its lease will end; then it is posted once more.
			e.Log.LogAttrs(ctx, slog.LevelError, "webhook event not settled",
				slog.String("app", e.app), slog.String("event", r.ID), slog.String("error", err.Error()))
			return false
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
		}
	}
}
