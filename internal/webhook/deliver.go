package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

const (
	// atOnce is how many events are on their way to one endpoint.
	atOnce = 4
	// pollEvery is how often each app's events are asked for. Those of this process
	// come at once (Wake).
	pollEvery = 2 * time.Second
	// lease is for how long an event is claimed: a try, and what it takes to write
	// down what became of it.
	lease = time.Minute
	// settleTimeout bounds the writing, settleTries how often it is tried: what is
	// not written down is posted twice.
	settleTimeout = 5 * time.Second
	settleTries   = 3
	settlePause   = 200 * time.Millisecond
	// stopGrace is how long what is on its way may take when the service stops.
	// What takes longer is given back, and posted again.
	stopGrace = 3 * time.Second
	// old events are looked for this often: by who delivers, and by who does not.
	sweepEvery = 30 * time.Second
	sweepIdle  = time.Hour
	sweepRows  = 100
)

// Observer counts what happens. Its methods must be quick.
type Observer interface {
	// EventTried is told of each try: delivered, 3xx, 4xx, 5xx, no_answer,
	// refused_address.
	EventTried(app, result string)
	// EventGivenUp is told of each event that will not be delivered any more.
	EventGivenUp(app string)
	// EventOldest is told how old the oldest event is that was not delivered; zero
	// when there is none.
	EventOldest(age time.Duration)
}

// Options are the parts of a Deliverer.
type Options struct {
	Outbox    verify.Outbox
	Endpoints []Endpoint // one for each app at most
	Observer  Observer
	Log       *slog.Logger
	UserAgent string

	resolver *net.Resolver                                                   // nil is the system's
	post     func(context.Context, Endpoint, verify.Event, time.Time) answer // nil is HTTP
}

// Deliverer delivers events. Any number may work on one store.
type Deliverer struct {
	Options
	endpoints map[string]*endpoint
}

// New makes a Deliverer. It fails where an endpoint is not what it must be, and
// names every fault.
func New(o Options) (*Deliverer, error) {
	d := &Deliverer{Options: o, endpoints: map[string]*endpoint{}}
	var errs []error
	for _, e := range o.Endpoints {
		c, err := newClient(e, o.UserAgent, o.resolver)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		post := c.post
		if o.post != nil {
			post = func(ctx context.Context, ev verify.Event, now time.Time) answer { return o.post(ctx, e, ev, now) }
		}
		if d.endpoints[e.App] != nil {
			errs = append(errs, fmt.Errorf("webhook: %s: two endpoints", e.App))
		}
		d.endpoints[e.App] = &endpoint{Deliverer: d, app: e.App, post: post, close: c.close, wake: make(chan struct{}, 1)}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d, nil
}

// Wake says that an app has an event that may be due.
func (d *Deliverer) Wake(app string) {
	if e := d.endpoints[app]; e != nil {
		e.rouse()
	}
}

// Run delivers until ctx ends, then finishes what it has begun or gives it back.
func (d *Deliverer) Run(ctx context.Context) {
	posting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops, posts sync.WaitGroup
	for _, e := range d.endpoints {
		loops.Go(func() { e.run(ctx, posting, &posts) })
	}
	loops.Go(func() { d.sweep(ctx) })
	loops.Wait()
	grace := time.AfterFunc(stopGrace, stop)
	posts.Wait()
	grace.Stop()
	for _, e := range d.endpoints {
		e.close()
	}
}

// sweep gives up what is older than MaxAge, also of apps that have no endpoint any
// more, and tells how old the oldest is.
func (d *Deliverer) sweep(ctx context.Context) {
	every := sweepEvery
	if len(d.endpoints) == 0 {
		every = sweepIdle
	}
	for ctx.Err() == nil {
		rest := every
		if more, err := d.giveUpOld(ctx); err != nil && ctx.Err() == nil {
			d.Log.LogAttrs(ctx, slog.LevelError, "webhook events", slog.String("error", err.Error()))
		} else if more {
			rest = 0
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// giveUpOld reports whether there may be more.
func (d *Deliverer) giveUpOld(ctx context.Context) (more bool, err error) {
	all, err := d.Outbox.OldestEvents(ctx, sweepRows)
	if err != nil {
		return false, err
	}
	var age time.Duration
	n := 0
	for _, e := range all {
		if ago := time.Since(e.CreatedAt); ago <= MaxAge {
			age = max(age, ago)
			continue
		}
		done, err := d.Outbox.SettleEvent(ctx, verify.EventResult{Event: e, Done: true})
		if err != nil {
			return false, err
		}
		if done {
			n++
			d.gaveUp(ctx, e, "it is too old")
		}
	}
	d.Observer.EventOldest(age)
	return n > 0 && len(all) == sweepRows, nil
}

// gaveUp says that an event will not be delivered.
func (d *Deliverer) gaveUp(ctx context.Context, e verify.Event, why string) {
	d.Observer.EventGivenUp(e.App)
	d.Log.LogAttrs(ctx, slog.LevelError, "webhook event given up",
		slog.String("app", e.App), slog.String("event", e.ID), slog.String("type", string(e.Type)), slog.Int("tries", e.Tries), slog.String("why", why))
}
