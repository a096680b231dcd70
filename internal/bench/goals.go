package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// goals are what is asked of a mode. They hold for one replica; those of rate and
// CPU where many call, as one caller keeps nobody busy, the other for one caller.
type goals struct {
	rate  map[engine]float64 // the least that the ratio of the rates is to be
	cpu   float64            // the most that the ratio of the CPU time is to be
	added bool               // the latency has the bound of addedMost
}

// addedMost bounds what the service adds to its floor's latency where one caller
// is alone: two commits, and a quarter of a millisecond for all else.
func addedMost(sync time.Duration) time.Duration { return 2*sync + 250*time.Microsecond }

// goal is one that was asked for, and what came of it.
type goal struct {
	Of    string  `json:"of"`
	Least float64 `json:"least,omitempty"`
	Most  float64 `json:"most,omitempty"`
	Got   float64 `json:"got"`
	Met   bool    `json:"met"`
}

func least(of string, limit, got float64) goal {
	return goal{Of: of, Least: limit, Got: got, Met: got >= limit}
}

func most(of string, limit, got float64) goal {
	return goal{Of: of, Most: limit, Got: got, Met: got <= limit}
}

// say tells the goal and whether it is met; format is how its numbers look.
func (g goal) say(format string) string {
	sign, limit, met := "≥", g.Least, "met"
	if g.Least == 0 {
		sign, limit = "≤", g.Most
	}
	if !g.Met {
		met = "missed"
	}
	return fmt.Sprintf("%s "+format+" %s", sign, limit, met)
}

// sayGoals are the goals that are of one kind; empty where there are none.
func sayGoals(all []goal, of, format string) string {
	var words []string
	for _, g := range all {
		if g.Of == of {
			words = append(words, g.say(format))
		}
	}
	return strings.Join(words, ", ")
}

// What goals are of.
const (
	ofCPU    = "cpu"
	ofAdded  = "added_us"
	ofMemory = "kib_per_send"
)

// spread is the median of several turns' values, and the extremes.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{median(values), slices.Min(values), slices.Max(values)}
}

// beside compares each turn of the service with the floor's turns before and after
// it: of is what is made of a value and the mean of those two. So neither a machine
// that grows slower nor one bad turn decides. There is one more turn of the floor.
func beside(service, floor []sample, value func(s sample) float64, of func(service, floor float64) float64) spread {
	var got []float64
	for i, s := range service {
		got = append(got, of(value(s), (value(floor[i])+value(floor[i+1]))/2))
	}
	return spreadOf(got)
}

func ratio(service, floor float64) float64      { return service / floor }
func difference(service, floor float64) float64 { return service - floor }
