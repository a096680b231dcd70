package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"time"
)

// removeEvery is how often a purge is asked how far it is.
const removeEvery = 200 * time.Millisecond

// measurePurge compares starts during a purge with starts without one. The purge
// is the service's own: a retention that is some days shorter, and a start of the
// service, which begins with a purge.
func (w *world) measurePurge(ctx context.Context, p plan, s *site, h *history, r *report) error {
	// What is left to the last turn is a day or two, so that there always is some.
	days := max(1, (historyDays-2)/p.turns)
	turn, removed, took := 0, 0, time.Duration(0)
	calm := s.startSide(1, w.fresh)
	calm.before = func(ctx context.Context) error {
		if err := s.reopen(ctx, calm, keptDays); err != nil {
			return err
		}
		// Its first look at the whole store is over after a while, and the next is
		// a minute off.
		_, err := load(ctx, p.crowd(), p.slice, calm.call, calm.who)
		return err
	}
	purging := s.startSide(1, w.fresh)
	var cut, before int
	var began time.Time
	purging.before = func(ctx context.Context) error {
		turn++
		keep := max(1, historyDays-turn*days)
		cut = h.before(h.now.AddDate(0, 0, -keep-1))
		var err error
		if before, err = s.removed(ctx, h); err != nil {
			return err
		}
		if err := s.reopen(ctx, purging, keep); err != nil {
			return err
		}
		began = time.Now()
		return nil
	}
	purging.until = func(ctx context.Context) { s.awaitRemoved(ctx, h, cut) }
	purging.after = func(ctx context.Context, _ sample) error {
		took += time.Since(began)
		now, err := s.removed(ctx, h)
		if err == nil && now == before {
			err = errors.New("the purge removed nothing")
		}
		removed += now - before
		return err
	}
	samples, err := takeTurns(ctx, p, p.crowd(), calm, purging)
	if err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	of := pair{
		Name: startCall, Store: s.engine, Callers: p.crowd(), Plain: "no purge", Other: "purge", Of: ofP99,
		Note: fmt.Sprintf("%d verifications, of which the purges removed %d in %.1f s", p.full, removed, took.Seconds()),
	}
	r.Pairs = append(r.Pairs, of.compare(samples[0], samples[1]))
	return nil
}

// reopen starts the service anew with another retention, for a side.
func (s *site) reopen(ctx context.Context, one *side, retentionDays int) error {
	s.halt()
	if err := s.configure(retentionDays); err != nil {
		return err
	}
	if err := s.start(ctx, 1); err != nil {
		return err
	}
	one.who.measured = s.replicas
	return nil
}

// removed is how many rows of the history are gone, as far as its marks tell: the
// oldest go first.
func (s *site) removed(ctx context.Context, h *history) (int, error) {
	var failed error
	n := sort.Search(len(h.marks), func(i int) bool {
		there, err := s.there(ctx, h.marks[i])
		failed = errors.Join(failed, err)
		return there
	})
	return min(n*markEvery, h.n), failed
}

// there asks the service for a verification.
func (s *site) there(ctx context.Context, id string) (bool, error) {
	err := s.read(ctx, 1, id, nil)
	if status := (*statusError)(nil); errors.As(err, &status) && status.status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// awaitRemoved returns when the rows before cut are gone, or ctx ends, or nobody
// answers, which whoever measures finds out as well.
func (s *site) awaitRemoved(ctx context.Context, h *history, cut int) {
	last := h.marks[max(0, cut-1)/markEvery]
	every := time.NewTicker(removeEvery)
	defer every.Stop()
	for {
		if there, err := s.there(ctx, last); err != nil || !there {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}
