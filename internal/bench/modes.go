package main

import (
	"fmt"
	"slices"
	"strings"
)

// The calls that are measured.
const (
	startCall    = "START"
	checkCall    = "CHECK"
	verifyCall   = "VERIFY"
	messageCall  = "MESSAGE"
	hookCall     = "HOOK"
	callbackCall = "CALLBACK"
)

// footprintPart is what is measured of the program itself.
const footprintPart = "FOOTPRINT"

// mode is a kind of call: how it is made, beside what, and how near it is to come.
type mode struct {
	name string
	// everyCrowd is measured with 64, 512 and one caller, others with 64.
	everyCrowd bool
	// called is measured on a service that Twilio calls back.
	called bool
	// texts and calls are what one operation asks of the simulator and of the load.
	texts, calls float64
	floor        func(w *world) *side
	side         func(s *site, n, callers int, p plan) *side
	goals        goals
}

// modes is the table of all modes, in the order in which they are measured: what
// VERIFY leaves to do in the background, feedback to Twilio, disturbs none that has
// a goal.
func modes() []mode {
	proxy := func(w *world) *side { return w.floor(w.proxy) }
	empty := func(w *world) *side { return w.floor(w.empty) }
	return []mode{
		{
			name: startCall, everyCrowd: true, texts: 1, calls: 1, floor: proxy,
			side:  func(s *site, n, _ int, _ plan) *side { return s.startSide(n, s.world.fresh) },
			goals: goals{rate: map[engine]float64{sqliteEngine: 0.60, postgresEngine: 0.50}, cpu: 2.5, added: true},
		},
		{
			name: checkCall, everyCrowd: true, calls: 1, floor: empty, side: (*site).checkSide,
			goals: goals{rate: map[engine]float64{sqliteEngine: 0.50, postgresEngine: 0.40}, cpu: 4},
		},
		{
			name: callbackCall, called: true, calls: 1, floor: (*world).callbackFloor, side: (*site).callbackSide,
			goals: goals{rate: map[engine]float64{sqliteEngine: 0.50, postgresEngine: 0.50}},
		},
		{
			name: messageCall, texts: 1, calls: 1, floor: proxy,
			side: func(s *site, n, _ int, _ plan) *side { return s.messageSide(n) },
		},
		{
			name: hookCall, texts: 1, calls: 1, floor: proxy,
			side: func(s *site, n, _ int, _ plan) *side { return s.hookSide(n) },
		},
		{
			name: verifyCall, texts: 1, calls: 3, floor: (*world).wholeFloor,
			side: func(s *site, n, _ int, _ plan) *side { return s.wholeSide(n) },
		},
	}
}

// parts are the words that -only knows.
func parts() []string {
	var names []string
	for _, m := range modes() {
		names = append(names, m.name)
	}
	return append(names, footprintPart)
}

// setOnly reads "START,CHECK".
func (p *plan) setOnly(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		if !slices.Contains(parts(), word) {
			return fmt.Errorf("write some of %s, as START,CHECK", strings.Join(parts(), ","))
		}
		p.only = append(p.only, word)
	}
	return nil
}

// has reports whether a part is to be measured.
func (p plan) has(part string) bool { return len(p.only) == 0 || slices.Contains(p.only, part) }

// modes are those to be measured.
func (p plan) modes() []mode {
	return slices.DeleteFunc(modes(), func(m mode) bool { return !p.has(m.name) })
}
