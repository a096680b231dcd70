package main

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	outageRate      = 30 // starts a second
	outageTimeout   = 2 * time.Second
	outageMargin    = 1500 * time.Millisecond // for what an answer takes besides the provider
	outageRetryRate = 50
	outageBurst     = outageRetryRate / 10
	outageLife      = 90 * time.Second
	outageFresh     = outageLife / 2 // a code with less life left is stale
	outageConfig    = `send: {timeout: 2s, retry_rate: 50}
code: {life: 90s, resend_waits: [6s]}
`
	// outageResend is when some callers ask for a second text.
	outageResend = 7 * time.Second
	// Memory may grow by so much from before the outage to its peak. What waits,
	// waits in the store: the heap holds the few requests that are under way.
	// Resident are, besides, the store's page caches, which fill up to 40 MB, and
	// garbage.
	outageHeap, outageResident = 16 << 20, 96 << 20
	outageGoroutines           = 500
)

// phase is a time of the run, and what was seen in it.
type phase struct {
	name string
	long time.Duration
	// faults follow each other in equal parts; none is a provider that is well.
	faults []twiliosim.Faults

	began         time.Time
	stalled       time.Duration // the longest that this process itself was not run
	samples, open int
	peak          usage
}

// usage is what the program takes of the machine. The heap is what its last
// garbage collection left.
type usage struct{ resident, heap, goroutines float64 }

func (u usage) max(o usage) usage {
	return usage{max(u.resident, o.resident), max(u.heap, o.heap), max(u.goroutines, o.goroutines)}
}

// call is a start and what its caller did and was told.
type call struct {
	n        int
	phase    *phase
	got      answer
	err      error
	slowest  time.Duration // of the answers that waited for the provider
	texts    int           // that were asked for
	canceled time.Time     // when the answer to that was there
}

// outage is a service whose provider is out.
type outage struct {
	*site
	v       *server
	numbers numbers
	callers sync.WaitGroup
	calls   []*call
}

// TestOutage has the provider refuse everything, then hang, then ask for
// patience, under a steady load. SIXDIGIT_OUTAGE is how long each lasts; `make
// outage` says a minute, in which codes go stale. A short run has a provider
// that hangs once it has taken the text, which callbacks clear up soon.
func TestOutage(t *testing.T) {
	t.Parallel()
	o := &outage{site: newSiteWith(t, siteOptions{
		more: outageConfig, callbacks: true, sim: twiliosim.Options{Step: 50 * time.Millisecond},
	})}
	phases, long := outagePhases(t)
	o.v = o.serve()
	o.must(o.sim.SetFaults(twiliosim.Faults{}))
	for _, p := range phases {
		o.run(p)
	}
	o.callers.Wait()
	o.judge(phases, long)
	if err := o.v.stop(); err != nil {
		t.Errorf("asked to stop: %v\n%s", err, o.v.log)
	}
}

func outagePhases(t *testing.T) (phases []*phase, long bool) {
	each := 3 * time.Second
	if text := os.Getenv("SIXDIGIT_OUTAGE"); text != "" {
		var err error
		if each, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		long = true
	}
	const ever = int(time.Hour / time.Millisecond)
	hang := []twiliosim.Faults{{AcceptThen: "hang"}}
	before, after, patience := time.Second, 12*time.Second, 1
	if long {
		// By turns a text is not taken, and taken in silence.
		dead, silent := twiliosim.Faults{LatencyMS: ever, Reads: true}, twiliosim.Faults{AcceptThen: "hang", Callbacks: "none"}
		hang = []twiliosim.Faults{dead, silent, dead, silent}
		before, after, patience = 10*time.Second, 80*time.Second, 5
	}
	phases = []*phase{
		{name: "well", long: before},
		{name: "503", long: each, faults: []twiliosim.Faults{{Status: http.StatusServiceUnavailable, Reads: true}}},
		{name: "hangs", long: each, faults: hang},
		{name: "429", long: each, faults: []twiliosim.Faults{{Status: http.StatusTooManyRequests, RetryAfter: patience, Reads: true}}},
		{name: "well again", long: after},
	}
	if long {
		// The connector was out of use already when it began to hang. Now it is not.
		phases = append(phases, &phase{name: "hangs anew", long: 20 * time.Second, faults: hang[:2]}, &phase{name: "well at last", long: 45 * time.Second})
	}
	return phases, long
}

func (o *outage) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// run keeps up the load through a phase and looks at the program meanwhile.
func (o *outage) run(p *phase) {
	p.began = time.Now()
	over := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { o.watch(p, over) })
	defer watcher.Wait()
	defer close(over)
	const pace = time.Second / outageRate
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	part, last := -1, p.began
	for now := p.began; now.Sub(p.began) < p.long; now = time.Now() {
		p.stalled, last = max(p.stalled, now.Sub(last)-pace), now
		if next := int(now.Sub(p.began) * time.Duration(max(1, len(p.faults))) / p.long); next != part {
			part = next
			o.sim.ClearFaults()
			if len(p.faults) > 0 {
				o.must(o.sim.SetFaults(p.faults[part]))
			}
		}
		c := &call{n: len(o.calls), phase: p, texts: 1}
		o.calls = append(o.calls, c)
		o.callers.Go(func() { o.call(c) })
		<-ticker.C
	}
}

// watch samples what the program takes and whether its connector is out of use.
func (o *outage) watch(p *phase, over <-chan struct{}) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		p.peak = p.peak.max(o.usage())
		p.samples++
		if open, err := o.v.tryMetric(openMetric); err == nil && open > 0 {
			p.open++
		}
		select {
		case <-ticker.C:
		case <-over:
			return
		}
	}
}

func (o *outage) usage() usage {
	var all [3]float64
	for i, name := range []string{"process_resident_memory_bytes", "go_memstats_next_gc_bytes", "go_goroutines"} {
		var err error
		if all[i], err = o.v.tryMetric(name); err != nil {
			o.t.Error(err)
		}
	}
	return usage{all[0], all[1] / 2, all[2]} // the next collection comes when the heap has doubled
}

const openMetric = `sixdigit_connector_open{connector="twilio"}`

// call starts a verification. Some callers cancel it, some want another text.
func (o *outage) call(c *call) {
	c.got, c.err = o.v.start(o.numbers.draw())
	c.slowest = c.got.took
	if c.err != nil || c.got.ID == "" {
		return
	}
	switch {
	case c.n%40 == 7:
		if got, err := o.v.cancel(c.got.ID); err != nil || got.status != http.StatusOK {
			o.t.Errorf("cancel: %d %s %v", got.status, got.Code, err)
		}
		c.canceled = time.Now()
	case c.n%20 == 3:
		time.Sleep(outageResend) //nolint:forbidigo // it is the load that waits, as a person does
		got, err := o.v.resend(c.got.ID)
		switch {
		case err != nil || got.status != http.StatusOK && got.status != http.StatusAccepted:
			o.t.Errorf("resend: %d %s %v", got.status, got.Code, err)
		}
		c.slowest = max(c.slowest, got.took)
		c.texts++
	}
}

// answers finds fault with what the callers were told, and returns where the
// records are.
func (o *outage) answers() (paths []string) {
	t := o.t
	for _, c := range o.calls {
		switch {
		case c.err != nil:
			t.Errorf("%s: a start was not answered: %v", c.phase.name, c.err)
		case c.got.status == http.StatusCreated, c.got.status == http.StatusAccepted:
			paths = append(paths, verificationsPath+c.got.ID)
		case c.got.status != http.StatusTooManyRequests && c.got.status != http.StatusUnprocessableEntity:
			t.Errorf("%s: a start was answered %d %s", c.phase.name, c.got.status, c.got.Code)
		}
		if c.slowest > outageTimeout+outageMargin+c.phase.stalled {
			t.Errorf("%s: a caller had to wait %s", c.phase.name, c.slowest)
		}
	}
	return paths
}

// judge waits until nothing is owed and says what became of it all.
func (o *outage) judge(phases []*phase, long bool) {
	t := o.t
	found := o.v.settle(o.answers(), 3*time.Minute, owedAny)
	l := o.ledger()
	var y tally
	stale, least := 0, time.Duration(math.MaxInt64)
	var backlog []time.Time
	for _, c := range o.calls {
		got, ok := found[verificationsPath+c.got.ID]
		if !ok {
			continue
		}
		y.add(t, got, c.texts, l)
		posted := 0
		for _, s := range got.Sends {
			for _, e := range l.ofSend[s.ID] {
				posted++
				least = min(least, o.fresh(c, got, e))
				if e.Time.Sub(s.CreatedAt) > 2*outageTimeout+200*time.Millisecond {
					backlog = append(backlog, e.Time)
				}
			}
		}
		if posted == 0 && c.canceled.IsZero() && !owedAny("", got) {
			stale++
			if life := time.Until(got.ExpiresAt); life > outageFresh {
				t.Errorf("%s was given up with %s to live: %+v", got.ID, life, got.Sends)
			}
		}
	}
	o.table(phases, l)
	t.Logf("acknowledged: %d; texts %d; second texts %d; lost %d; undecided %d; sends reported as failed and never posted %d; verifications whose code went stale unsent %d; "+
		"the stalest code that was sent had %s to live", y.records, y.texts, y.second, y.lost, y.open, y.failures, stale, least.Round(time.Millisecond))
	o.rates(phases, l, backlog)
	if y.open > 0 || len(backlog) == 0 || long && stale == 0 {
		t.Error("something is undecided still, or the outage shows nothing")
	}
	for _, e := range y.excused {
		t.Errorf("nothing is excused here: the lists do not lag: %s", e)
	}
	o.bounds(phases)
}

// rates finds fault with a provider that comes back and is overrun.
func (o *outage) rates(phases []*phase, l ledger, backlog []time.Time) {
	t := o.t
	fastest, all := busiest(backlog), 0
	for i, p := range phases[1:] {
		if len(p.faults) == 0 {
			all = max(all, busiest(taken(l, phases[i+1:])))
		}
	}
	t.Logf("posted late: %d, at most %d in one second (the rate is %d, the burst %d); with the live ones, after the end, at most %d",
		len(backlog), fastest, outageRetryRate, outageBurst, all)
	// A busy machine holds posts up and lets them go together; without a rate the
	// whole backlog would come at once.
	if bound := outageRetryRate + outageBurst; fastest > bound+bound/2 {
		t.Errorf("the backlog drains at %d a second", fastest)
	}
	if bound := outageRate + outageRetryRate + outageBurst; all > bound+bound/2 {
		t.Errorf("after the end %d texts were posted in one second", all)
	}
}

// fresh returns how long the code of a text had to live when the text was
// taken, and finds fault with a stale one, and one for a verification that its
// caller had canceled before.
func (o *outage) fresh(c *call, got answer, e twiliosim.Create) time.Duration {
	life := got.ExpiresAt.Sub(e.Time)
	// It is fresh when it is claimed; the post has its deadline from then on.
	if life < outageFresh-2*outageTimeout {
		o.t.Errorf("stale: %s was taken with %s to live", e.StatusCallback, life)
	}
	if !c.canceled.IsZero() && e.Time.After(c.canceled.Add(2*outageTimeout)) {
		o.t.Errorf("%s was taken %s after it was canceled", e.StatusCallback, e.Time.Sub(c.canceled))
	}
	return life
}

// bounds judges memory and breaker.
func (o *outage) bounds(phases []*phase) {
	t, first := o.t, phases[0]
	var peak usage
	for _, p := range phases {
		peak = peak.max(p.peak)
		if len(p.faults) > 0 && p.open == 0 {
			t.Errorf("%s: the connector was never taken out of use", p.name)
		}
	}
	begin, end := first.peak, o.usage()
	const mb = 1 << 20
	t.Logf("before, at the peak, in the end: resident %.0f, %.0f, %.0f MB; heap %.0f, %.0f, %.0f MB; goroutines %.0f, %.0f, %.0f",
		begin.resident/mb, peak.resident/mb, end.resident/mb, begin.heap/mb, peak.heap/mb, end.heap/mb, begin.goroutines, peak.goroutines, end.goroutines)
	peak = peak.max(end)
	if peak.resident-begin.resident > outageResident || peak.heap-begin.heap > outageHeap || peak.goroutines-begin.goroutines > outageGoroutines {
		t.Error("that is not bounded")
	}
	if open := o.v.metric(openMetric); open != 0 {
		t.Error("the connector is out of use still")
	}
}

// table prints what the callers saw, and finds fault with an outage that each of
// them pays for.
func (o *outage) table(phases []*phase, l ledger) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-11s %6s %6s %6s %6s %8s %8s %8s %6s %6s %7s %7s %8s\n", "phase", "starts", "201", "202", "other", "p50", "p99", "longest", "texts", "open", "MB", "heap", "stalled")
	for i, p := range phases {
		counts := map[int]int{}
		var took []time.Duration
		for _, c := range o.calls {
			if c.phase == p {
				counts[c.got.status]++
				took = append(took, c.got.took)
			}
		}
		slices.SortFunc(took, cmp.Compare[time.Duration])
		n := len(took)
		ms := func(i int) string { return fmt.Sprintf("%.1f ms", float64(took[i].Microseconds())/1000) }
		fmt.Fprintf(&b, "%-11s %6d %6d %6d %6d %8s %8s %8s %6d %5d%% %7.1f %7.1f %8s\n", p.name, n, counts[201], counts[202], n-counts[201]-counts[202],
			ms(n/2), ms(n*99/100), ms(n-1), len(taken(l, phases[i:])), 100*p.open/max(1, p.samples), p.peak.resident/(1<<20), p.peak.heap/(1<<20), p.stalled.Round(time.Millisecond))
		if took[n/2] > outageTimeout/4 {
			o.t.Errorf("%s: most starts were answered after more than %s", p.name, took[n/2])
		}
	}
	o.t.Log(b.String())
}

// taken are the times at which texts were taken in the first of the phases.
func taken(l ledger, phases []*phase) (all []time.Time) {
	for _, entries := range l.ofSend {
		for _, e := range entries {
			if !e.Time.Before(phases[0].began) && (len(phases) == 1 || e.Time.Before(phases[1].began)) {
				all = append(all, e.Time)
			}
		}
	}
	return all
}

// busiest is the most that happened within any one second.
func busiest(all []time.Time) (most int) {
	slices.SortFunc(all, time.Time.Compare)
	for i, j := 0, 0; j < len(all); j++ {
		for all[j].Sub(all[i]) >= time.Second {
			i++
		}
		most = max(most, j-i+1)
	}
	return most
}
