package main

import (
	"context"
	"fmt"
)

// attempts is how many checks a verification has, by default.
const attempts = 5

// checks are the verifications that callers give wrong codes to, as people do:
// one after the other to the same one, until its attempts are used up.
type checks struct {
	pending chan string
	held    []held // by caller
	// perSecond is what the last turn came to: the next one needs about as many.
	perSecond float64
}

type held struct {
	id   string
	left int
	done string // the last one whose attempts were used up
}

// checkSide checks on the first n replicas.
func (s *site) checkSide(n, callers int, p plan) *side {
	guess := 30_000.0
	if callers == 1 {
		guess = 6_000
	}
	c := &checks{held: make([]held, callers), perSecond: guess}
	one := s.side(n)
	one.before = func(ctx context.Context) error {
		const spare = 1.5
		want := int(p.slice.Seconds()*c.perSecond*spare)/attempts + 2*callers
		return s.prepareChecks(ctx, c, want)
	}
	one.call = func(ctx context.Context, caller int) error { return s.checkOne(ctx, n, c, &c.held[caller]) }
	one.after = func(ctx context.Context, result sample) error {
		c.perSecond = result.PerSecond
		return s.confirm(ctx, n, c)
	}
	return one
}

// prepareChecks starts so many verifications that there are enough to check. What
// an earlier turn has left is not used: it may have been forgotten by whoever
// remembers the latest.
func (s *site) prepareChecks(ctx context.Context, c *checks, want int) error {
	c.pending = make(chan string, want)
	clear(c.held)
	err := s.startMany(ctx, want, func(v started) error {
		c.pending <- v.ID
		return nil
	})
	close(c.pending)
	return err
}

// checkOne brings a wrong code, which is counted durably; a right one costs the
// same and can be given once.
func (s *site) checkOne(ctx context.Context, n int, c *checks, h *held) error {
	if h.left == 0 {
		id, ok := <-c.pending
		if !ok {
			return errDry
		}
		h.id, h.left = id, attempts
	}
	err := s.world.send(ctx, s.checkOf(n, h.id, "000000"), nil)
	if h.left--; h.left == 0 {
		h.done = h.id
	}
	return err
}

// confirm fails where checks were answered and not counted.
func (s *site) confirm(ctx context.Context, n int, c *checks) error {
	for _, h := range c.held {
		if h.done == "" {
			continue
		}
		var v started
		if err := s.read(ctx, n, h.done, &v); err != nil {
			return err
		}
		// One code in a million is right.
		if v.Status != "approved" && (v.Status != "exhausted" || v.Left != 0) {
			return fmt.Errorf("after %d wrong codes a verification is %s, with %d attempts left", attempts, v.Status, v.Left)
		}
	}
	return nil
}
