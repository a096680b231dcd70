package main

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	took := make([]time.Duration, 1000)
	for i := range took {
		took[len(took)-1-i] = time.Duration(i+1) * time.Millisecond
	}
	s, err := summarize(took, 2*time.Second, usage{
		measured: time.Second, database: 500 * time.Millisecond, simulator: 100 * time.Millisecond, load: 200 * time.Millisecond, others: 50 * time.Millisecond,
		allocated: counters{Objects: 112_500, Bytes: 9_000_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := sample{
		PerSecond: 500, P50: 500e3, P99: 990e3, P999: 999e3, Count: 1000,
		CPU: 1000, DatabaseCPU: 500, SimulatorCPU: 100, LoadCPU: 200, OthersCPU: 50,
		Allocs: 112.5, AllocBytes: 9000,
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if got := s.total(); got != 1500 {
		t.Errorf("service and database use %v µs, want 1500", got)
	}
	if got := s.cores(s.CPU); got != 0.5 {
		t.Errorf("one second within two is %v of a processor", got)
	}
	if _, err := summarize(nil, time.Second, usage{}); !errors.Is(err, errDry) {
		t.Errorf("nothing measured is %v", err)
	}
}

func rates(values ...float64) (samples []sample) {
	for _, v := range values {
		samples = append(samples, sample{PerSecond: v, P99: 10 * v})
	}
	return samples
}

func TestMiddle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rates        []float64
		want, median float64
	}{
		{[]float64{7}, 7, 7},
		{[]float64{9, 1}, 1, 5},
		{[]float64{0.5, 0.3, 0.4}, 0.4, 0.4}, // less than one apart
		{[]float64{4, 1, 3, 2}, 2, 2.5},
		{[]float64{5, 1, 4, 2, 3}, 3, 3},
	} {
		first := test.rates[0]
		if got := middle(rates(test.rates...)).PerSecond; got != test.want {
			t.Errorf("the middle of %v is %v, want %v", test.rates, got, test.want)
		}
		if got := median(test.rates); got != test.median {
			t.Errorf("the median of %v is %v, want %v", test.rates, got, test.median)
		}
		if test.rates[0] != first {
			t.Errorf("the turns were sorted: %v", test.rates)
		}
	}
	if got := median(nil); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
}

// Neighbouring turns are compared with one another: a machine that grows slower
// does not show.
func TestCompare(t *testing.T) {
	t.Parallel()
	plain, other := rates(1000, 500, 100), rates(900, 400, 95)
	p := pair{Of: ofRate}.compare(plain, other)
	if math.Abs(p.Ratio-0.9) > 1e-9 || math.Abs(p.Low-0.8) > 1e-9 || math.Abs(p.High-0.95) > 1e-9 {
		t.Errorf("the ratio is %v, from %v to %v", p.Ratio, p.Low, p.High)
	}
	if p.PlainSample.PerSecond != 500 || p.OtherSample.PerSecond != 400 {
		t.Errorf("the samples are those of %v and %v a second", p.PlainSample.PerSecond, p.OtherSample.PerSecond)
	}
	other[0].P99 *= 2
	if len(p.Goals) != 1 || !p.Goals[0].Met || p.Goals[0].Least != pairRate {
		t.Errorf("its goals are %+v", p.Goals)
	}
	for i := range other {
		other[i].P99 *= 3
	}
	p = pair{Of: ofP99}.compare(plain, other)
	if math.Abs(p.High-5.4) > 1e-9 || math.Abs(p.Ratio-2.85) > 1e-9 {
		t.Errorf("p99 is %v times the other, at most %v", p.Ratio, p.High)
	}
	if len(p.Goals) != 1 || p.Goals[0].Met || p.Goals[0].Most != pairP99 {
		t.Errorf("its goals are %+v", p.Goals)
	}
}
