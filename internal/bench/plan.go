package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is what is measured: everything, or a part of it.
type plan struct {
	slice    time.Duration
	turns    int
	only     []string
	callers  int
	store    string
	replicas []int
	hot      bool
	full     int
	purge    bool
	slow     time.Duration
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
	if p.slice <= 0 || p.turns < 1 || p.callers < 0 || p.callers > maxCallers || p.full < 0 {
		errs = append(errs, fmt.Errorf("-slice and -turns are to be positive, -callers from 1 to %d, -full not negative", maxCallers))
	}
	if p.slow < 0 || p.slow > maxSlow {
		errs = append(errs, fmt.Errorf("-slow is to be positive, and %s at most", maxSlow))
	}
	if !p.floors() && slices.ContainsFunc(p.only, func(part string) bool { return part != startCall && part != checkCall }) {
		errs = append(errs, errors.New("-hot, -full and -slow know START and CHECK alone"))
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
func (p plan) floors() bool { return !p.hot && p.full == 0 && p.slow == 0 }

// How many call at once unless the plan has another number: as many as keep two
// processors busy, far more than that, and one who shares nothing with anybody.
const (
	manyCallers = 64
	allCallers  = 512
)

// crowds are the numbers of callers.
func (p plan) crowds() []int {
	if p.callers != 0 {
		return []int{p.callers}
	}
	return []int{manyCallers, allCallers, 1}
}

// crowdsOf are those of a mode.
func (p plan) crowdsOf(m mode) []int {
	if m.everyCrowd {
		return p.crowds()
	}
	return []int{p.crowd()}
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
