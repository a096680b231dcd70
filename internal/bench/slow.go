package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// slowCallers start verifications unless the plan has another number.
	slowCallers = 2000
	// maxSlow is how long Twilio may take at most, and slowPatience for how long
	// the service waits for it then.
	maxSlow      = 30 * time.Second
	slowPatience = 40 * time.Second
	// slowMemory is the most that a send in flight is to take, in KiB, where
	// Twilio takes slowFor: by then it holds nothing that it can do without.
	slowMemory = 40
	slowFor    = 10 * time.Second
)

// slow is what the service does while Twilio takes its time.
type slow struct {
	Store   engine  `json:"store"`
	Callers int     `json:"callers"`
	Latency float64 `json:"latency_us"` // of Twilio
	// Starts is how many were answered a second, and Share which part that is of
	// what so many callers can have, who wait as long as Twilio takes and no longer.
	Starts float64 `json:"starts_per_second"`
	Share  float64 `json:"share"`
	// The checks of one caller, with no starts and with them.
	Before    sample  `json:"checks_before"`
	Meanwhile sample  `json:"checks_meanwhile"`
	Memory    float64 `json:"kib_per_send"` // by how much the service grew, for each send in flight
	Goals     []goal  `json:"goals,omitempty"`
}

// crowdSlow is how many start verifications while Twilio is slow.
func (p plan) crowdSlow() int {
	if p.callers != 0 {
		return p.callers
	}
	return slowCallers
}

// enoughFiles fails where the machine allows too few: the service has two
// connections for each send.
func enoughFiles(callers int) error {
	const spare = 500
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if need := 2*callers + spare; files.Max < uint64(need) { // #nosec G115 -- bounded by the plan
		return fmt.Errorf("%d sends in flight need %d open files, of %d that are allowed: lower -callers, or raise ulimit -n", callers, need, files.Max)
	}
	return nil
}

// measureSlow has one caller check while nobody starts, and then while many do
// whose texts Twilio takes its time for.
func (w *world) measureSlow(ctx context.Context, p plan, e engine, r *report) error {
	row := slow{Store: e, Callers: p.crowdSlow(), Latency: micros(p.slow)}
	if err := enoughFiles(row.Callers); err != nil {
		return err
	}
	s, err := w.openSite(ctx, e, settings{flights: row.Callers + manyCallers})
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.start(ctx, 1); err != nil {
		return err
	}
	long := p
	long.slice = p.slice * time.Duration(p.turns) // one turn: what is in flight is not started anew
	checks := s.checkSide(1, 1, long)
	if row.Before, err = checks.turn(ctx, long, 1); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	if err := s.slowTurn(ctx, long, checks, &row); err != nil {
		return fmt.Errorf("meanwhile: %w", err)
	}
	r.Slow = append(r.Slow, row)
	return nil
}

// slowTurn measures the checks, and the starts, while Twilio is slow.
func (s *site) slowTurn(ctx context.Context, p plan, checks *side, row *slow) error {
	if err := checks.before(ctx); err != nil {
		return err
	}
	resident := s.replicas[0].resident()
	c, err := s.gather(ctx, row.Callers, p.slow)
	if err != nil {
		return err
	}
	began, count := time.Now(), c.answered.Load()
	row.Meanwhile, err = load(ctx, 1, p.slice, checks.call, checks.who)
	row.Starts = float64(c.answered.Load()-count) / time.Since(began).Seconds()
	row.Share = row.Starts / (float64(row.Callers) / p.slow.Seconds())
	row.Memory = float64(s.replicas[0].resident()-resident) / float64(row.Callers) / (1 << 10)
	if p.slow >= slowFor {
		row.Goals = append(row.Goals, most(ofMemory, slowMemory, row.Memory))
	}
	if err := errors.Join(err, c.scatter(ctx)); err != nil {
		return err
	}
	return checks.after(ctx, row.Meanwhile)
}

// crowd starts verifications, one after the other each, until it is scattered.
type crowd struct {
	site     *site
	answered atomic.Int64
	leave    context.CancelFunc
	callers  sync.WaitGroup
	mu       sync.Mutex
	failed   error
}

// gather makes Twilio slow and has callers come, evenly within the time that it
// takes. It returns when each of them waits, having been answered before.
func (s *site) gather(ctx context.Context, callers int, latency time.Duration) (*crowd, error) {
	l := letter{
		method: http.MethodPut, url: s.world.sim.url + "/sim/faults", kind: jsonType,
		body: fmt.Appendf(nil, `{"latency_ms":%d}`, latency.Milliseconds()), want: http.StatusOK,
	}
	if err := s.world.send(ctx, l, nil); err != nil {
		return nil, err
	}
	c := &crowd{site: s}
	whole := context.WithoutCancel(ctx) // a call that has begun is waited for
	var stay context.Context
	stay, c.leave = context.WithCancel(ctx)
	for i := range callers {
		c.callers.Go(func() {
			for wait := latency * time.Duration(i) / time.Duration(callers); pause(stay, wait); wait = 0 {
				if err := s.startOne(whole, 1, s.world.fresh(), nil); err != nil {
					c.fail(err)
					return
				}
				c.answered.Add(1)
			}
		})
	}
	const rounds = 2 // the last one comes at the end of the first
	there := pause(stay, rounds*latency+time.Second)
	for there && c.answered.Load() < int64(callers) { // a machine that is too busy
		there = pause(stay, 10*time.Millisecond)
	}
	if !there {
		return nil, errors.Join(ctx.Err(), c.scatter(ctx))
	}
	return c, nil
}

// pause waits, and reports whether ctx was not over before.
func pause(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// fail keeps the first error, and sends the others home.
func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
	c.leave()
}

// scatter waits for what is in flight and makes Twilio quick again.
func (c *crowd) scatter(ctx context.Context) error {
	c.leave()
	c.callers.Wait()
	l := letter{method: http.MethodDelete, url: c.site.world.sim.url + "/sim/faults", want: http.StatusNoContent}
	return errors.Join(c.failed, c.site.world.send(context.WithoutCancel(ctx), l, nil))
}
