package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// What the rest of the benchmark can do where the service is not there: if it is
// not many times what a row asked of it, the row tells nothing of the service.

// alone is what Twilio or the load can do by itself: the quickest of several turns,
// which together last as long as one of the service's.
type alone struct {
	Name    string `json:"name"`
	Callers int    `json:"callers"`
	Sample  sample `json:"sample"`
	// Times is how many times that is what the row By asked of it, a second: the
	// one that asked most. Zero where none asked.
	Times float64 `json:"times,omitempty"`
	Asked float64 `json:"asked,omitempty"`
	By    string  `json:"by,omitempty"`
}

const (
	twilioAlone = "Twilio"
	loadAlone   = "load"
)

// crowdsAlone are the numbers of callers with which it is measured: not one, who
// waits most of the time, unless there is no other.
func (p plan) crowdsAlone() (crowds []int) {
	for _, m := range p.modes() {
		for _, n := range p.crowdsOf(m) {
			if (n != 1 || p.callers == 1) && !slices.Contains(crowds, n) {
				crowds = append(crowds, n)
			}
		}
	}
	return crowds
}

// measureAlone has the load post the connector's form straight to the simulator,
// and call the handler that answers at once.
func (w *world) measureAlone(ctx context.Context, p plan, callers int, r *report) error {
	short := p
	short.slice, short.profile = p.slice/time.Duration(p.turns), ""
	load := w.floor(w.empty)
	samples, err := takeTurns(ctx, short, callers, w.twilioSide(), load)
	if err != nil {
		return fmt.Errorf("alone: %w", err)
	}
	r.Alone = append(r.Alone, alone{Name: twilioAlone, Callers: callers, Sample: quickest(samples[0])}, alone{Name: loadAlone, Callers: callers, Sample: quickest(samples[1])})
	return nil
}

// quickest is the turn with the highest rate.
func quickest(samples []sample) sample {
	return slices.MaxFunc(samples, func(a, b sample) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
}

// twilioSide is the simulator without anything before it.
func (w *world) twilioSide() *side {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(simAccount, simToken)
	l := letter{
		method: http.MethodPost, url: w.sim.url + simMessages, kind: formType, authorization: req.Header.Get("Authorization"),
		body: []byte(textForm()), want: http.StatusCreated,
	}
	return &side{
		name: twilioAlone, who: cast{measured: []*process{w.sim}},
		call: func(ctx context.Context, _ int) error { return w.send(ctx, l, nil) },
	}
}

// compareAlone finds for each the row that asked most of it.
func (r *report) compareAlone() {
	asks := map[string]mode{}
	for _, m := range modes() {
		asks[m.name] = m
	}
	for i := range r.Alone {
		a := &r.Alone[i]
		for _, x := range r.Rows {
			each := asks[x.Name].calls
			if a.Name == twilioAlone {
				each = asks[x.Name].texts
			}
			if asked := each * x.Service.PerSecond; x.Callers == a.Callers && asked > a.Asked {
				a.Asked, a.Times = asked, a.Sample.PerSecond/asked
				a.By = fmt.Sprintf("%s, %s", x.Name, x.Store)
			}
		}
	}
}
