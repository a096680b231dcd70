package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(p *plan)
		ok     bool
	}{
		"as it comes":                   {func(*plan) {}, true},
		"no time":                       {func(p *plan) { p.slice = 0 }, false},
		"no turns":                      {func(p *plan) { p.turns = 0 }, false},
		"too many callers":              {func(p *plan) { p.callers = maxCallers + 1 }, false},
		"a slow provider":               {func(p *plan) { p.slow = time.Second }, true},
		"a provider that never answers": {func(p *plan) { p.slow = time.Hour }, false},
		"some parts":                    {func(p *plan) { p.only = []string{hookCall, footprintPart} }, true},
		"checks of a full store":        {func(p *plan) { p.full, p.only = 100, []string{checkCall} }, true},
		"hooks of a full store":         {func(p *plan) { p.full, p.only = 100, []string{checkCall, hookCall} }, false},
		"replicas and slowness":         {func(p *plan) { p.replicas, p.slow = []int{2}, time.Second }, false},
		"another store":                 {func(p *plan) { p.store = "mysql" }, false},
		"replicas":                      {func(p *plan) { p.replicas = []int{1, 2, 4} }, true},
		"replicas of a file":            {func(p *plan) { p.replicas, p.store = []int{2}, "sqlite" }, false},
		"replicas and a full store":     {func(p *plan) { p.replicas, p.full = []int{2}, 100 }, false},
		"purge of nothing":              {func(p *plan) { p.purge = true }, false},
		"purge of little":               {func(p *plan) { p.purge, p.full = true, 100 }, false},
		"purge":                         {func(p *plan) { p.purge, p.full = true, 10_000 }, true},
		"more purges than there are":    {func(p *plan) { p.purge, p.full, p.turns = true, 10_000, 29 }, false},
	} {
		p := plan{slice: time.Second, turns: 3}
		test.change(&p)
		if err := p.validate(nil); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (plan{slice: 1, turns: 1}).validate([]string{"-slice"}); err == nil {
		t.Error("a word that is no flag passes")
	}
}

func TestSetReplicas(t *testing.T) {
	t.Parallel()
	var p plan
	if err := p.setReplicas("1,2,4"); err != nil || !slices.Equal(p.replicas, []int{1, 2, 4}) {
		t.Errorf("1,2,4 is %v, %v", p.replicas, err)
	}
	if got := p.most(postgresEngine); got != 4 {
		t.Errorf("%d replicas are started", got)
	}
	if got := p.most(sqliteEngine); got != 1 {
		t.Errorf("%d services open one file", got)
	}
	for _, bad := range []string{"", "0", "-1", "1,", "many", "13"} {
		if err := p.setReplicas(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestSetOnly(t *testing.T) {
	t.Parallel()
	var p plan
	if err := p.setOnly("CHECK,CALLBACK"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range p.modes() {
		names = append(names, m.name)
	}
	if !slices.Equal(names, []string{checkCall, callbackCall}) || p.has(footprintPart) {
		t.Errorf("the parts are %v, the program among them: %t", names, p.has(footprintPart))
	}
	all := plan{}
	if len(all.modes()) != len(modes()) || !all.has(footprintPart) {
		t.Error("not all is measured where nothing is said")
	}
	if err := all.setOnly(strings.Join(parts(), ",")); err != nil || len(all.only) != 7 {
		t.Errorf("every part, by name: %v, %v", all.only, err)
	}
	for _, bad := range []string{"", "GET", "START,", "start", "START, CHECK"} {
		if err := new(plan).setOnly(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestCrowds(t *testing.T) {
	t.Parallel()
	for _, m := range modes() {
		want := []int{manyCallers}
		if m.name == startCall || m.name == checkCall {
			want = []int{manyCallers, allCallers, 1}
		}
		if got := (plan{}).crowdsOf(m); !slices.Equal(got, want) {
			t.Errorf("%s has %v callers, want %v", m.name, got, want)
		}
		if got := (plan{callers: 7}).crowdsOf(m); !slices.Equal(got, []int{7}) {
			t.Errorf("%s has %v callers where 7 are asked for", m.name, got)
		}
	}
	for callers, want := range map[int][]int{0: {manyCallers, allCallers}, 1: {1}, 7: {7}} {
		if got := (plan{callers: callers}).crowdsAlone(); !slices.Equal(got, want) {
			t.Errorf("with -callers %d the parts are measured alone with %v, want %v", callers, got, want)
		}
	}
	if got := (plan{only: []string{footprintPart}}).crowdsAlone(); got != nil {
		t.Errorf("for the program alone they are measured with %v", got)
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	for store, want := range map[string][2]bool{"": {true, true}, "both": {true, true}, "sqlite": {true, false}, "postgres": {false, true}} {
		p := plan{store: store}
		if got := [2]bool{p.uses(sqliteEngine), p.uses(postgresEngine)}; got != want {
			t.Errorf("-store %q uses %v, want %v", store, got, want)
		}
	}
}
