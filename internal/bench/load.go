package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// sample is what one turn measured.
type sample struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	CPU       float64 `json:"cpu_us"` // of the measured process, for one operation
	Count     int     `json:"count"`
}

var errDry = errors.New("nothing is left to call with")

// load has callers call in a closed loop for the time, or until the work is
// used up.
func load(ctx context.Context, callers int, slice time.Duration, call func(caller int) error, measured *process) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, slice)
	defer cancel()
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	cpu, began := measured.cpu(), time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				if err := call(i); err != nil {
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
	elapsed, used := time.Since(began), measured.cpu()-cpu
	if err := errors.Join(errs...); err != nil {
		return sample{}, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return sample{}, errDry
	}
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) / 1e3 }
	return sample{
		PerSecond: float64(len(all)) / elapsed.Seconds(), P50: at(0.5), P99: at(0.99), P999: at(0.999),
		CPU: float64(used.Nanoseconds()) / 1e3 / float64(len(all)), Count: len(all),
	}, nil
}
