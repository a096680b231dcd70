package main

import (
	"net/http"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
	"github.com/sixdigit/sixdigit/verify"
)

// reckon waits until nothing is owed and compares what the program says of its
// texts with those that were taken.
func (c *crash) reckon(killed time.Time) {
	v, accounts := c.fleet.insistent, map[string]*account{}
	owed, owedOrphans := owedAny, owedAny
	if c.long {
		c.must(c.sim.SetFaults(twiliosim.Faults{ListLagMS: int(crashLongLag.Milliseconds())}))
		// What nobody was answered for shows in the ledger alone, and it may be a
		// lease and two looks of one replica before it does.
		over := killed.Add(2*crashTimeout + verify.LeaseSlack + time.Duration(c.replicas)*absence + 10*time.Second)
		<-time.After(time.Until(over))
	} else {
		c.sim.ClearFaults()
		// That of an answered call which has no text may need a lease and two looks to
		// show it, as where its replica died when it posted what had to wait.
		began, l := time.Now(), c.ledger()
		owed = func(path string, got answer) bool {
			return accounts[path].lostTexts == 0 && slices.ContainsFunc(got.Sends, func(s sent) bool {
				return undecided(s.Status) && time.Since(began) < crashPatience || s.Status == "unknown" && len(l.ofSend[s.ID]) > 0
			})
		}
		owedOrphans = func(string, answer) bool { return false }
	}
	c.hear()
	var paths []string
	for _, list := range [][]*account{c.accounts, c.messages} {
		for _, a := range list {
			accounts[a.path] = a
			paths = append(paths, a.path)
		}
	}
	const bound = 3 * time.Minute
	found := v.settle(paths, bound, owed)
	orphaned := c.orphaned(v, bound, owedOrphans)
	l := c.ledger()
	c.single(l)
	var told tally
	for path, got := range found {
		a := accounts[path]
		told.add(c.t, got, a.texts+a.lostTexts, l)
	}
	c.t.Logf("acknowledged: %d records; texts %d; second texts %d; lost %d; excused %d; reported as failed, and never posted: %d; left to their leases: %d",
		told.records, told.texts, told.second, told.lost, len(told.excused), told.failures, told.open)
	c.t.Logf("never acknowledged: %d calls; records with a text %d; texts %d; second texts %d; lost %d; excused %d; left to their leases: %d",
		len(c.orphans), orphaned.records, orphaned.texts, orphaned.second, orphaned.lost, len(orphaned.excused), orphaned.open)
	for _, got := range append(told.silent, orphaned.silent...) {
		// Only who canceled it, or gave its code, had no use for a text any more.
		if got.Status == "pending" || got.Status == "failed" {
			c.t.Errorf("nothing is sent of %s any more: %+v", got.ID, got.Sends)
		}
	}
	for _, f := range append(told.failed, orphaned.failed...) {
		c.t.Logf("never posted: %s", f)
	}
	for _, e := range append(told.excused, orphaned.excused...) {
		c.t.Logf("excused: %s", e)
	}
	if open := told.open + orphaned.open; c.long && open > 0 {
		c.t.Errorf("%d sends are undecided", open)
	}
}

// single finds fault with a call that made two records, as one that is made again
// must not: each call has a number to itself.
func (c *crash) single(l ledger) {
	records := map[string]string{}
	for _, list := range [][]*account{c.accounts, c.messages} {
		for _, a := range list {
			records[a.number] = a.id
		}
	}
	for number, entries := range l.to {
		for _, e := range entries {
			id := parentOf(sendOf(e))
			if first, ok := records[number]; ok && first != id {
				c.t.Errorf("%s and %s came of one call", first, id)
			}
			records[number] = id
		}
	}
}

// orphaned compares the records that nobody was told of, as far as a text of
// theirs was taken.
func (c *crash) orphaned(v *client, bound time.Duration, owed func(string, answer) bool) (y tally) {
	l := c.ledger()
	seen := map[string]bool{}
	var paths []string
	for _, number := range c.orphans {
		for _, e := range l.to[number] {
			path := verificationsPath + parentOf(sendOf(e))
			if got, err := v.call(http.MethodGet, path, ""); err == nil && got.status == http.StatusNotFound {
				path = messagesPath + parentOf(sendOf(e))
			}
			if !seen[path] {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	found := v.settle(paths, bound, owed)
	l = c.ledger()
	for _, got := range found {
		y.add(c.t, got, 1, l)
	}
	return y
}

// hear asks again, with the same keys, for what was not answered. When the leases
// are over each has its answer: that of the first call, or, where that never came
// to anything, one of its own.
func (c *crash) hear() {
	asked := c.unheard
	c.unheard = nil
	each(len(asked), func(i int) {
		u := asked[i]
		got, err := u.ask()
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case !c.answered(u.account, u.path, got, err):
		case u.path == messagesPath:
			c.messages = append(c.messages, u.account)
		default:
			c.accounts = append(c.accounts, u.account)
		}
	})
	for _, u := range c.unheard {
		c.orphans = append(c.orphans, u.account.number)
		if c.long {
			c.t.Errorf("a call to %s is undecided, although its lease is over", u.path)
		}
	}
	c.counts.lostKeys, c.counts.heard = len(asked), len(asked)-len(c.unheard)
}
