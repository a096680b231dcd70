package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// sample is what one turn measured. CPU and allocations are for one operation.
type sample struct {
	PerSecond    float64 `json:"per_second"`
	P50          float64 `json:"p50_us"`
	P99          float64 `json:"p99_us"`
	P999         float64 `json:"p999_us"`
	CPU          float64 `json:"cpu_us"`                    // of the measured process, or of all replicas
	DatabaseCPU  float64 `json:"database_cpu_us,omitempty"` // of the PostgreSQL server's processes
	SimulatorCPU float64 `json:"simulator_cpu_us"`
	LoadCPU      float64 `json:"load_cpu_us"`
	OthersCPU    float64 `json:"others_cpu_us"` // of whatever else the machine did
	Allocs       float64 `json:"allocs"`        // objects of the measured process, or of all replicas
	AllocBytes   float64 `json:"alloc_bytes"`
	Count        int     `json:"count"`
}

// total is the CPU time of what is measured, its database included.
func (s sample) total() float64 { return s.CPU + s.DatabaseCPU }

// cores is how many processors somebody kept busy who needs so much CPU for one
// operation.
func (s sample) cores(cpu float64) float64 { return cpu * s.PerSecond / 1e6 }

var errDry = errors.New("nothing is left to call with")

// load has callers call in a closed loop for the time, or until the work is
// used up or ctx ends; each calls once at least.
func load(ctx context.Context, callers int, slice time.Duration, call func(ctx context.Context, caller int) error, who cast) (sample, error) {
	whole := context.WithoutCancel(ctx) // a call that has begun is waited for
	ctx, cancel := context.WithTimeout(ctx, slice)
	defer cancel()
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	before, err := who.used()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				start := time.Now()
				if err := call(whole, i); err != nil {
					if !errors.Is(err, errDry) {
						errs[i] = err
						cancel()
					}
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	used, err := who.used()
	for _, err := range errs {
		if err != nil {
			return sample{}, err // the others say the same
		}
	}
	if err != nil {
		return sample{}, err
	}
	return summarize(slices.Concat(took...), elapsed, used.since(before))
}

func summarize(took []time.Duration, elapsed time.Duration, used usage) (sample, error) {
	if len(took) == 0 {
		return sample{}, errDry
	}
	slices.Sort(took)
	at := func(q float64) float64 { return micros(took[int(q*float64(len(took)-1))]) }
	each := func(d time.Duration) float64 { return micros(d) / float64(len(took)) }
	return sample{
		PerSecond: float64(len(took)) / elapsed.Seconds(), P50: at(0.5), P99: at(0.99), P999: at(0.999),
		CPU: each(used.measured), DatabaseCPU: each(used.database), SimulatorCPU: each(used.simulator), LoadCPU: each(used.load), OthersCPU: each(used.others),
		Allocs: float64(used.allocated.Objects) / float64(len(took)), AllocBytes: float64(used.allocated.Bytes) / float64(len(took)),
		Count: len(took),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func fromMicros(n float64) time.Duration { return time.Duration(n * 1e3) }

// side is one of those that take turns.
type side struct {
	name string
	call func(ctx context.Context, caller int) error
	who  cast
	// before a turn gets ready what it needs, after looks at what came of it. Both
	// may be nil.
	before func(ctx context.Context) error
	after  func(ctx context.Context, s sample) error
	// until, where it is not nil, ends a turn early: it returns when ctx ends, or
	// when there is nothing more to measure.
	until func(ctx context.Context)
}

// turn measures a side once.
func (s *side) turn(ctx context.Context, p plan, callers int) (sample, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return sample{}, err
		}
	}
	during, over := context.WithCancel(ctx)
	defer over()
	var wg sync.WaitGroup
	if s.until != nil {
		wg.Go(func() {
			s.until(during)
			over()
		})
	}
	s.toggle(p)
	result, err := load(during, callers, p.slice, s.call, s.who)
	s.toggle(p)
	over()
	wg.Wait()
	if err == nil && s.after != nil {
		err = s.after(ctx, result)
	}
	return result, err
}

// toggle begins or ends the profiles of what is measured.
func (s *side) toggle(p plan) {
	if p.profile == "" {
		return
	}
	for _, m := range s.who.measured {
		m.toggle()
	}
}

// takeTurns measures the sides one after the other, again and again, and returns
// the samples of each.
func takeTurns(ctx context.Context, p plan, callers int, sides ...*side) ([][]sample, error) {
	samples := make([][]sample, len(sides))
	for range p.turns {
		for i, s := range sides {
			one, err := s.turn(ctx, p, callers)
			if err != nil {
				return nil, &sideError{s.name, err}
			}
			samples[i] = append(samples[i], one)
		}
	}
	return samples, nil
}

type sideError struct {
	side string
	err  error
}

func (e *sideError) Error() string { return e.side + ": " + e.err.Error() }

func (e *sideError) Unwrap() error { return e.err }

// middle is the turn with the median rate, of an even number the slower one.
func middle(samples []sample) sample {
	sorted := slices.SortedFunc(slices.Values(samples), func(a, b sample) int {
		switch {
		case a.PerSecond < b.PerSecond:
			return -1
		case a.PerSecond > b.PerSecond:
			return 1
		}
		return 0
	})
	return sorted[(len(sorted)-1)/2]
}

// median is the middle value, of an even number the mean of both.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
