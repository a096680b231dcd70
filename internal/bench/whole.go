package main

import (
	"context"
	"fmt"
)

// wholeSide has verifications started and given a wrong code and the right one, on
// the first n replicas.
func (s *site) wholeSide(n int) *side {
	one := s.world.tapped(s.side(n))
	one.call = func(ctx context.Context, _ int) error { return s.verifyOne(ctx, n) }
	return one
}

// wholeFloor is a text posted and two answers; the simulator tells the code of that
// text too, so that it costs both the same.
func (w *world) wholeFloor() *side { return w.tapped(w.floor(w.proxy, w.empty, w.empty)) }

// tapped has the simulator tell codes while it is the side's turn.
func (w *world) tapped(one *side) *side {
	tell := func(question string) error {
		_, err := w.sim.ask(question)
		return err
	}
	one.before = func(context.Context) error { return tell(askCodes) }
	one.after = func(context.Context, sample) error { return tell(askSilence) }
	return one
}

// verifyOne is one whole verification.
func (s *site) verifyOne(ctx context.Context, n int) error {
	to, book := s.world.fresh(), s.world.sim.codes
	codes := book.expect(to)
	defer book.forget(to)
	var v started
	if err := s.startOne(ctx, n, to, &v); err != nil {
		return err
	}
	right, err := await(ctx, codes)
	if err != nil {
		return err
	}
	for _, code := range []string{wrong(right), right} {
		var answer struct {
			Valid bool `json:"valid"`
		}
		if err := s.world.send(ctx, s.checkOf(n, v.ID, code), &answer); err != nil {
			return err
		}
		if answer.Valid != (code == right) {
			return fmt.Errorf("a code that is right: %t is taken as one that is: %t", code == right, answer.Valid)
		}
	}
	return nil
}
