package main

import (
	"context"
	"fmt"
	"os"
)

// pair is two sides of the service beside one another.
type pair struct {
	Name    string `json:"name"`
	Store   engine `json:"store"`
	Callers int    `json:"callers"`
	Plain   string `json:"plain"` // what the first side is
	Other   string `json:"other"`
	// The medians of both.
	PlainSample sample `json:"plain_sample"`
	OtherSample sample `json:"other_sample"`
	// Ratio is the median of the turns' ratios, the other one to the plain one: of
	// rates, or of p99. Low and High are the extremes.
	Of    string  `json:"of"`
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Goals []goal  `json:"goals"`
	Note  string  `json:"note,omitempty"`
}

// The ratios.
const (
	ofRate = "rate"
	ofP99  = "p99"
)

// What is asked of a pair: that the other side is hardly slower, or that its p99 is
// no more than twice as long.
const (
	pairRate = 0.9
	pairP99  = 2
)

// compare fills in a pair from the samples of its turns.
func (p pair) compare(plain, other []sample) pair {
	ratios := make([]float64, 0, len(plain))
	for i := range min(len(plain), len(other)) {
		if p.Of == ofP99 {
			ratios = append(ratios, other[i].P99/plain[i].P99)
		} else {
			ratios = append(ratios, other[i].PerSecond/plain[i].PerSecond)
		}
	}
	p.PlainSample, p.OtherSample = middle(plain), middle(other)
	of := spreadOf(ratios)
	p.Ratio, p.Low, p.High = of.Median, of.Low, of.High
	p.Goals = []goal{least(ofRate, pairRate, p.Ratio)}
	if p.Of == ofP99 {
		p.Goals = []goal{most(ofP99, pairP99, p.Ratio)}
	}
	return p
}

// measurePair lets two sides take turns, after one turn each that does not count:
// whatever has just been opened has its caches to fill.
func measurePair(ctx context.Context, p plan, of pair, plain, other *side) (pair, error) {
	first := p
	first.turns, first.profile = 1, ""
	if _, err := takeTurns(ctx, first, of.Callers, plain, other); err != nil {
		return of, fmt.Errorf("%s: %w", of.Name, err)
	}
	samples, err := takeTurns(ctx, p, of.Callers, plain, other)
	if err != nil {
		return of, fmt.Errorf("%s: %w", of.Name, err)
	}
	return of.compare(samples[0], samples[1]), nil
}

// measureHot has all starts in one block of numbers, and the same in many: 10,000
// numbers each time, each used as often.
func (w *world) measureHot(ctx context.Context, p plan, e engine, r *report) error {
	s, err := w.openSite(ctx, e, settings{})
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.start(ctx, 1); err != nil {
		return err
	}
	of := pair{Name: startCall, Store: e, Callers: p.crowd(), Plain: "10,000 blocks", Other: "one block", Of: ofRate}
	done, err := measurePair(ctx, p, of, s.startSide(1, scattered()), s.startSide(1, crowded()))
	if err != nil {
		return err
	}
	r.Pairs = append(r.Pairs, done)
	return nil
}

// measureFull compares a full store with an empty one, and a purge of it with
// none.
func (w *world) measureFull(ctx context.Context, p plan, e engine, r *report) error {
	full, err := w.openSite(ctx, e, settings{})
	if err != nil {
		return err
	}
	defer full.close(ctx)
	h := newHistory(p.full, os.Stderr)
	if err := full.fill(ctx, h.source); err != nil {
		return fmt.Errorf("fill %s: %w", e, err)
	}
	if err := w.measureSizes(ctx, p, full, r); err != nil {
		return err
	}
	if !p.purge {
		return nil
	}
	return w.measurePurge(ctx, p, full, h, r)
}

// measureSizes lets the full store and an empty one take turns.
func (w *world) measureSizes(ctx context.Context, p plan, full *site, r *report) error {
	empty, err := w.openSite(ctx, full.engine, settings{})
	if err != nil {
		return err
	}
	defer empty.close(ctx)
	for _, s := range []*site{empty, full} {
		if err := s.start(ctx, 1); err != nil {
			return err
		}
	}
	for _, m := range p.modes() {
		if !m.everyCrowd {
			continue
		}
		of := pair{
			Name: m.name, Store: full.engine, Callers: p.crowd(), Plain: "empty", Other: "full",
			Of: ofRate, Note: fmt.Sprintf("%d verifications", p.full),
		}
		done, err := measurePair(ctx, p, of, m.side(empty, 1, of.Callers, p), m.side(full, 1, of.Callers, p))
		if err != nil {
			return err
		}
		r.Pairs = append(r.Pairs, done)
	}
	return nil
}
