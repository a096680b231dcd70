package main

import (
	"math"
	"testing"
	"time"
)

// A turn is compared with the floor's before it and after it: neither a machine that
// grows slower nor one bad turn of the floor decides.
func TestBeside(t *testing.T) {
	t.Parallel()
	rate := func(s sample) float64 { return s.PerSecond }
	for name, test := range map[string]struct {
		service, floor []sample
		want           spread
	}{
		"a machine that grows slower": {rates(450, 350, 250), rates(1000, 800, 600, 400), spread{0.5, 0.5, 0.5}},
		"one bad turn of the service": {rates(500, 100, 400), rates(1000, 1000, 1000, 1000), spread{0.4, 0.1, 0.5}},
		"one bad turn of the floor":   {rates(500, 500, 500), rates(1000, 1000, 1000, 250), spread{0.5, 0.5, 0.8}},
		"one turn":                    {rates(300), rates(1000, 500), spread{0.4, 0.4, 0.4}},
	} {
		got := beside(test.service, test.floor, rate, ratio)
		if math.Abs(got.Median-test.want.Median)+math.Abs(got.Low-test.want.Low)+math.Abs(got.High-test.want.High) > 1e-9 {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	if got := beside(rates(30), rates(10, 20), rate, difference); got.Median != 15 {
		t.Errorf("30 is %v more than 10 and 20", got.Median)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Errorf("the spread of nothing is %+v", got)
	}
}

// turns are alike.
func turns(n int, s sample) (all []sample) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestJudge(t *testing.T) {
	t.Parallel()
	floor := sample{PerSecond: 1000, P50: 1000, CPU: 50}
	service := sample{PerSecond: 550, P50: 1500, CPU: 100, DatabaseCPU: 30}
	asked := goals{rate: map[engine]float64{sqliteEngine: 0.60, postgresEngine: 0.50}, cpu: 2.5, added: true}
	for name, test := range map[string]struct {
		row  row
		want map[string]bool // by what it is of: met?
	}{
		"SQLite":        {row{Store: sqliteEngine, Replicas: 1, Callers: 64}, map[string]bool{ofRate: false, ofCPU: false}},
		"PostgreSQL":    {row{Store: postgresEngine, Replicas: 1, Callers: 64}, map[string]bool{ofRate: true, ofCPU: false}},
		"replicas":      {row{Store: postgresEngine, Replicas: 2, Callers: 64}, nil},
		"a quick disk":  {row{Store: sqliteEngine, Replicas: 1, Callers: 1, SyncMicros: 120}, map[string]bool{ofAdded: false}},
		"a slow disk":   {row{Store: sqliteEngine, Replicas: 1, Callers: 1, SyncMicros: 130}, map[string]bool{ofAdded: true}},
		"no disk known": {row{Store: sqliteEngine, Replicas: 1, Callers: 1}, nil},
	} {
		x := test.row
		x.judge(asked, turns(3, service), turns(4, floor))
		if x.Rate.Median != 0.55 || x.CPU.Median != 2.6 || x.Added.Median != 500 {
			t.Fatalf("%s: %+v", name, x)
		}
		got := map[string]bool{}
		for _, g := range x.Goals {
			got[g.Of] = g.Met
		}
		for of, met := range test.want {
			if m, there := got[of]; !there || m != met {
				t.Errorf("%s: %s is met: %t, there: %t", name, of, m, there)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: the goals are %+v", name, x.Goals)
		}
	}
	x := row{Store: sqliteEngine, Replicas: 1, Callers: 64}
	x.judge(goals{}, turns(1, service), turns(2, floor))
	if len(x.Goals) != 0 {
		t.Errorf("a mode without goals has %+v", x.Goals)
	}
}

func TestGoalWords(t *testing.T) {
	t.Parallel()
	all := []goal{least(ofRate, 0.6, 0.6), most(ofCPU, 2.5, 2.51)}
	for of, want := range map[string]string{ofRate: "≥ 0.60 met", ofCPU: "≤ 2.50 missed", ofAdded: ""} {
		if got := sayGoals(all, of, "%.2f"); got != want {
			t.Errorf("%s: %q, want %q", of, got, want)
		}
	}
	if got := addedMost(125 * time.Microsecond); got != 500*time.Microsecond {
		t.Errorf("two commits of 125 µs and the rest are %v", got)
	}
}

// Of the rows with as many callers the one counts that asked most.
func TestCompareAlone(t *testing.T) {
	t.Parallel()
	of := func(name string, callers int, rate float64) row {
		return row{Name: name, Store: sqliteEngine, Callers: callers, Service: sample{PerSecond: rate}}
	}
	r := report{
		Alone: []alone{
			{Name: twilioAlone, Callers: 64, Sample: sample{PerSecond: 30_000}},
			{Name: loadAlone, Callers: 64, Sample: sample{PerSecond: 48_000}},
			{Name: twilioAlone, Callers: 512, Sample: sample{PerSecond: 30_000}},
		},
		Rows: []row{of(startCall, 64, 6000), of(checkCall, 64, 10_000), of(verifyCall, 64, 4000), of(callbackCall, 512, 20_000)},
	}
	r.compareAlone()
	if a := r.Alone[0]; a.By != "START, SQLite" || a.Asked != 6000 || a.Times != 5 {
		t.Errorf("of Twilio most was asked %+v", a)
	}
	if a := r.Alone[1]; a.By != "VERIFY, SQLite" || a.Asked != 12_000 || a.Times != 4 { // three calls each
		t.Errorf("of the load most was asked %+v", a)
	}
	if a := r.Alone[2]; a.By != "" || a.Times != 0 {
		t.Errorf("callbacks asked something of Twilio: %+v", a)
	}
}
