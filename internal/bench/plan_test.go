package main

import (
	"slices"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(p *plan)
		ok     bool
	}{
		"as it comes":                {func(*plan) {}, true},
		"no time":                    {func(p *plan) { p.slice = 0 }, false},
		"no turns":                   {func(p *plan) { p.turns = 0 }, false},
		"another call":               {func(p *plan) { p.only = "GET" }, false},
		"another store":              {func(p *plan) { p.store = "mysql" }, false},
		"replicas":                   {func(p *plan) { p.replicas = []int{1, 2, 4} }, true},
		"replicas of a file":         {func(p *plan) { p.replicas, p.store = []int{2}, "sqlite" }, false},
		"replicas and a full store":  {func(p *plan) { p.replicas, p.full = []int{2}, 100 }, false},
		"purge of nothing":           {func(p *plan) { p.purge = true }, false},
		"purge of little":            {func(p *plan) { p.purge, p.full = true, 100 }, false},
		"purge":                      {func(p *plan) { p.purge, p.full = true, 10_000 }, true},
		"more purges than there are": {func(p *plan) { p.purge, p.full, p.turns = true, 10_000, 29 }, false},
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

func TestUses(t *testing.T) {
	t.Parallel()
	for store, want := range map[string][2]bool{"": {true, true}, "both": {true, true}, "sqlite": {true, false}, "postgres": {false, true}} {
		p := plan{store: store}
		if got := [2]bool{p.uses(sqliteEngine), p.uses(postgresEngine)}; got != want {
			t.Errorf("-store %q uses %v, want %v", store, got, want)
		}
	}
}
