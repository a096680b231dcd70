package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The calls that are measured.
const (
	startCall = "START"
	checkCall = "CHECK"
)

// plan is what is measured: everything, or a part of it.
type plan struct {
	slice    time.Duration
	turns    int
	only     string
	callers  int
	store    string
	replicas []int
	hot      bool
	full     int
	purge    bool
	profile  string
}

// maxReplicas is how many have their connections on a server as it comes: it
// takes 100.
const maxReplicas = 12

// minPurged is how many verifications make days that a purge can be seen to
// remove.
const minPurged = 10_000

// setReplicas reads "1,2,4".
func (p *plan) setReplicas(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > maxReplicas {
			return fmt.Errorf("write numbers from 1 to %d, as 1,2,4", maxReplicas)
		}
		p.replicas = append(p.replicas, n)
	}
	return nil
}

func (p plan) validate(rest []string) error {
	var errs []error
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("%q is no flag", rest[0]))
	}
	if p.slice <= 0 || p.turns < 1 || p.callers < 0 || p.full < 0 {
		errs = append(errs, errors.New("-slice and -turns are to be positive, -callers and -full not negative"))
	}
	if !slices.Contains([]string{"", startCall, checkCall}, p.only) {
		errs = append(errs, errors.New("-only is START or CHECK"))
	}
	if !slices.Contains([]string{"", "sqlite", "postgres", "both"}, p.store) {
		errs = append(errs, errors.New("-store is sqlite, postgres or both"))
	}
	if p.purge && (p.full < minPurged || p.turns > historyDays-2) {
		errs = append(errs, fmt.Errorf("-purge needs -full %d or more, and at most %d turns: each removes a day or more", minPurged, historyDays-2))
	}
	if p.store == "sqlite" && p.most(postgresEngine) > 1 {
		errs = append(errs, errors.New("-replicas is about PostgreSQL: a SQLite file has one service"))
	}
	if len(p.replicas) > 0 && !p.floors() {
		errs = append(errs, errors.New("-replicas goes with no other measurement"))
	}
	return errors.Join(errs...)
}

// uses reports whether a kind of store is to be measured.
func (p plan) uses(e engine) bool {
	return p.store == "" || p.store == "both" || p.store == "sqlite" == (e == sqliteEngine)
}

// floors reports whether the service is measured beside its floors, which it is
// unless something else is asked for.
func (p plan) floors() bool { return !p.hot && p.full == 0 }

// calls are START, CHECK, or both.
func (p plan) calls() []string {
	if p.only != "" {
		return []string{p.only}
	}
	return []string{startCall, checkCall}
}

// manyCallers is how many call at once unless the plan has another number.
const manyCallers = 64

// crowds are the numbers of callers.
func (p plan) crowds() []int {
	if p.callers != 0 {
		return []int{p.callers}
	}
	return []int{manyCallers, 1}
}

// crowd is the number of callers where one is enough.
func (p plan) crowd() int { return p.crowds()[0] }

// replicasOf are the numbers of replicas that are measured on a store.
func (p plan) replicasOf(e engine) []int {
	if e == sqliteEngine || len(p.replicas) == 0 {
		return []int{1}
	}
	return p.replicas
}

// most is how many replicas a store needs.
func (p plan) most(e engine) int { return slices.Max(p.replicasOf(e)) }
