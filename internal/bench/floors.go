package main

import (
	"context"
	"fmt"
)

// row is what one store did with one kind of call, beside the floor.
type row struct {
	Name     string `json:"name"`
	Store    engine `json:"store"`
	Replicas int    `json:"replicas"`
	Callers  int    `json:"callers"`
	Floor    sample `json:"floor"`
	Service  sample `json:"service"`
}

// measureFloors lets floor and stores take turns.
func (w *world) measureFloors(ctx context.Context, p plan, r *report) error {
	sites := map[engine]*site{}
	for _, e := range w.engines(p) {
		s, err := w.openSite(ctx, e)
		if err != nil {
			return err
		}
		defer s.close(ctx)
		if err := s.start(ctx, p.most(e)); err != nil {
			return err
		}
		sites[e] = s
	}
	for _, callers := range p.crowds() {
		for _, name := range p.calls() {
			floor := w.empty
			if name == startCall {
				floor = w.proxy
			}
			sides := []*side{w.floor(floor)}
			var rows []row
			for _, e := range w.engines(p) {
				for _, n := range p.replicasOf(e) {
					if n > 1 && callers == 1 && p.callers == 0 {
						continue // a caller alone is with one replica at a time: only if asked for
					}
					sides = append(sides, sites[e].callSide(name, n, callers, p))
					rows = append(rows, row{Name: name, Store: e, Replicas: n, Callers: callers})
				}
			}
			samples, err := takeTurns(ctx, p, callers, sides...)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			for i := range rows {
				rows[i].Floor, rows[i].Service = middle(samples[0]), middle(samples[i+1])
			}
			r.Rows = append(r.Rows, rows...)
		}
	}
	return nil
}

// callSide is START or CHECK on the first n replicas.
func (s *site) callSide(name string, n, callers int, p plan) *side {
	if name == startCall {
		return s.startSide(n, s.world.fresh)
	}
	return s.checkSide(n, callers, p)
}
