package main

import (
	"context"
	"fmt"
	"slices"
)

// row is what one store did with one kind of call, beside the floor.
type row struct {
	Name     string `json:"name"`
	Store    engine `json:"store"`
	Replicas int    `json:"replicas"`
	Callers  int    `json:"callers"`
	// The turns with the median rates.
	Floor   sample `json:"floor"`
	Service sample `json:"service"`
	// Of each turn and its neighbours: the service's rate and CPU time, database
	// included, to the floor's; and by how much its p50 is longer, in µs.
	Rate  spread `json:"rate_ratio"`
	CPU   spread `json:"cpu_ratio"`
	Added spread `json:"added_us"`
	// SyncMicros is one fdatasync on the stores' disk, just before; only where a
	// goal needs it.
	SyncMicros float64 `json:"fdatasync_us,omitempty"`
	Goals      []goal  `json:"goals,omitempty"`
}

// stage is the sites that a run has: of each store one, and one that Twilio calls
// back, which then asks for it in every text.
type stage map[engine][2]*site

func (g stage) site(e engine, m mode) *site {
	if m.called {
		return g[e][1]
	}
	return g[e][0]
}

// openStage opens the sites that the plan needs; the world's end closes them, and
// so does the stage's.
func (w *world) openStage(ctx context.Context, p plan) (stage, error) {
	g := stage{}
	for _, e := range w.engines(p) {
		var both [2]*site
		for _, m := range p.modes() {
			at := 0
			if m.called {
				at = 1
			}
			if both[at] != nil {
				continue
			}
			s, err := w.openSite(ctx, e, settings{called: m.called})
			if err != nil {
				return g, err
			}
			if err := s.start(ctx, p.most(e)); err != nil {
				return g, err
			}
			both[at] = s
		}
		g[e] = both
	}
	return g, nil
}

func (g stage) close(ctx context.Context) {
	for _, both := range g {
		for _, s := range both {
			if s != nil {
				s.close(ctx)
			}
		}
	}
}

// measureFloors lets floor and stores take turns, mode by mode.
func (w *world) measureFloors(ctx context.Context, p plan, r *report) error {
	if len(p.modes()) == 0 {
		return nil
	}
	g, err := w.openStage(ctx, p)
	defer g.close(ctx)
	if err != nil {
		return err
	}
	for _, callers := range p.crowdsAlone() {
		if err := w.measureAlone(ctx, p, callers, r); err != nil {
			return err
		}
	}
	for _, m := range p.modes() {
		for _, callers := range p.crowdsOf(m) {
			rows, err := w.measureMode(ctx, p, g, m, callers)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			r.Rows = append(r.Rows, rows...)
		}
	}
	return nil
}

// measureMode makes a row for each store, and each number of replicas.
func (w *world) measureMode(ctx context.Context, p plan, g stage, m mode, callers int) ([]row, error) {
	floor := m.floor(w)
	var sides []*side
	var rows []row
	for _, e := range w.engines(p) {
		for _, n := range p.replicasOf(e) {
			if n > 1 && callers == 1 && p.callers == 0 {
				continue // a caller alone is with one replica at a time: only if asked for
			}
			sides = append(sides, m.side(g.site(e, m), n, callers, p))
			rows = append(rows, row{Name: m.name, Store: e, Replicas: n, Callers: callers})
		}
	}
	if callers == 1 && m.goals.added {
		sync := micros(probeSync(w.dir))
		for i := range rows {
			rows[i].SyncMicros = sync
		}
	}
	samples, err := takeTurns(ctx, p, callers, append([]*side{floor}, sides...)...)
	if err != nil {
		return nil, err
	}
	last, err := floor.turn(ctx, p, callers)
	if err != nil {
		return nil, &sideError{floor.name, err}
	}
	floors := slices.Concat(samples[0], []sample{last})
	for i := range rows {
		rows[i].judge(m.goals, samples[i+1], floors)
	}
	return rows, nil
}

// judge fills in a row from the samples of its turns.
func (x *row) judge(g goals, service, floor []sample) {
	x.Floor, x.Service = middle(floor), middle(service)
	x.Rate = beside(service, floor, func(s sample) float64 { return s.PerSecond }, ratio)
	x.CPU = beside(service, floor, sample.total, ratio)
	x.Added = beside(service, floor, func(s sample) float64 { return s.P50 }, difference)
	switch {
	case x.Replicas > 1:
	case x.Callers > 1:
		if limit := g.rate[x.Store]; limit > 0 {
			x.Goals = append(x.Goals, least(ofRate, limit, x.Rate.Median))
		}
		if g.cpu > 0 {
			x.Goals = append(x.Goals, most(ofCPU, g.cpu, x.CPU.Median))
		}
	case x.SyncMicros > 0:
		x.Goals = append(x.Goals, most(ofAdded, micros(addedMost(fromMicros(x.SyncMicros))), x.Added.Median))
	}
}
