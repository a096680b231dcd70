package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	crashRounds  = 5 // unless SIXDIGIT_CRASH_ROUNDS says otherwise; `make crash` does
	crashCallers = 16
	crashChecks  = 5 // that a verification allows
	crashMaxLoad = 700 * time.Millisecond
	crashLoses   = 0.05 // of the answers of the simulator get lost

	crashTimeout = time.Second
	crashConfig  = `send: {timeout: 1s, retry_rate: 1000}
code: {life: 1h, resend_waits: [200ms]}
`
	// crashLag is how far the lists are behind at times, for seconds that prove
	// nothing, and in the end of a long run, for long enough to prove a text absent.
	crashLag, crashLongLag = 3 * time.Second, 25 * time.Second
)

// crash is a service that is killed again and again.
type crash struct {
	*site
	numbers numbers
	seed    uint64
	rounds  int
	// long is a run that waits, in the end, for the leases of what was under way
	// at a kill; a short one uses no faults that leave an answered call to its lease.
	long bool

	mu       sync.Mutex
	accounts []*account
	messages []*account
	// orphans are the numbers of starts and messages that nobody was answered for.
	orphans []string
	counts  struct{ starts, unsure, lostStarts, resends, valid, repeated, wrong, lost, canceled int }
}

// TestCrash kills the program under load, again and again on one data folder,
// while its provider takes texts and loses the answers. What the program has
// answered is there afterwards, no code passes twice, and every text that it
// tells of went out, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	c := newCrash(t)
	chance := rand.New(rand.NewPCG(c.seed, 0))
	last, checked := 0, 0 // where the accounts of the last two rounds begin
	for round := range c.rounds {
		v := c.serve()
		c.examine(v, chance, c.accounts[last:], 0.3)
		c.examine(v, chance, c.some(chance, 200), 0.1)
		c.must(c.sim.SetFaults(c.faults(round)))
		last, checked = checked, len(c.accounts)
		c.load(v, round, c.accounts[last:], time.Duration(chance.Int64N(int64(crashMaxLoad))))
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	killed := time.Now()
	v := c.serve()
	c.reckon(v, killed)
	c.examine(v, chance, c.accounts, 1)
	if err := v.stop(); err != nil {
		t.Errorf("in the end, asked to stop: %v\n%s", err, v.log)
	}
	n := c.counts
	t.Logf("%d kills; %d starts answered and found, %d unanswered; codes: %d accepted once, %d of them given again and refused, 0 accepted twice; "+
		"%d wrong codes counted, %d canceled; %d calls in flight at a kill",
		c.rounds, n.starts, n.lostStarts, n.valid, n.repeated, n.wrong, n.canceled, n.lost)
	if n.starts < 20*c.rounds || n.valid == 0 || n.lost == 0 || n.unsure == 0 || n.resends == 0 || len(c.messages) == 0 {
		t.Errorf("that is no load: the test shows nothing: %+v, %d messages", n, len(c.messages))
	}
}

func newCrash(t *testing.T) *crash {
	c := &crash{seed: rand.Uint64(), rounds: crashRounds}
	if n, err := strconv.Atoi(os.Getenv("SIXDIGIT_CRASH_ROUNDS")); err == nil {
		c.rounds, c.long = n, true
	}
	if n, err := strconv.ParseUint(os.Getenv("SIXDIGIT_CRASH_SEED"), 10, 64); err == nil {
		c.seed = n
	}
	t.Logf("SIXDIGIT_CRASH_SEED=%d", c.seed)
	c.site = newSiteWith(t, siteOptions{
		more: crashConfig, callbacks: true,
		sim: twiliosim.Options{Step: 10 * time.Millisecond, MaxMessages: 1_000_000, Seed: c.seed | 1},
	})
	return c
}

// faults are how the provider fails in a round: some of its answers get lost,
// and some of the callbacks that would make up for it come late, twice or never.
func (c *crash) faults(round int) twiliosim.Faults {
	f := twiliosim.Faults{
		Rate: crashLoses, Seed: c.seed + uint64(round),
		AcceptThen: []string{"reset", "500"}[round%2],
		Callbacks:  []string{"normal", "none", "duplicate", "none", "reorder"}[round%5],
	}
	if c.long {
		f.AcceptThen = []string{"reset", "500", "hang"}[round%3]
		if third := 3 * round / c.rounds; third == 1 {
			f.ListLagMS = int(crashLag.Milliseconds())
		}
	}
	return f
}

func (c *crash) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// load has callers call until the program is killed under them. Each has some
// accounts of the round before to itself.
func (c *crash) load(v *server, round int, older []*account, span time.Duration) {
	var callers sync.WaitGroup
	for i := range crashCallers {
		callers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(round)<<16|uint64(i)+1))
			var mine []*account
			for j := i; j < len(older); j += crashCallers {
				mine = append(mine, older[j])
			}
			for alive := true; alive; {
				switch n := chance.IntN(12); {
				case len(mine) == 0, n < 4:
					mine, alive = c.start(v, mine)
				case n == 4:
					alive = c.text(v, chance)
				default:
					alive = c.touch(v, chance, mine[chance.IntN(len(mine))])
				}
			}
		})
	}
	life := time.NewTimer(span)
	defer life.Stop()
	select {
	case <-life.C:
	case <-v.ended:
		c.t.Errorf("the program ended by itself: %v\n%s", v.err, v.log)
	}
	v.kill()
	callers.Wait()
}

func (c *crash) start(v *server, mine []*account) ([]*account, bool) {
	a := &account{number: c.numbers.draw(), texts: 1}
	got, err := v.start(a.number)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered(a, verificationsPath, got, err) {
		return mine, false
	}
	c.counts.starts++
	c.accounts = append(c.accounts, a)
	return append(mine, a), true
}

// text has a message sent with a code that the caller made.
func (c *crash) text(v *server, chance *rand.Rand) bool {
	a := &account{number: c.numbers.draw(), texts: 1, code: fmt.Sprintf("%06d", chance.IntN(1_000_000))}
	got, err := v.message(a.number, a.code)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered(a, messagesPath, got, err) {
		return false
	}
	c.messages = append(c.messages, a)
	return true
}

// answered takes the answer to a start or a message into the account.
func (c *crash) answered(a *account, path string, got answer, err error) bool {
	switch {
	case err != nil:
		c.counts.lostStarts++
		c.orphans = append(c.orphans, a.number)
		return false
	case got.status == http.StatusAccepted:
		c.counts.unsure++
	case got.status != http.StatusCreated:
		c.t.Errorf("%s: %d %s", path, got.status, got.Code)
		return false
	}
	a.id, a.path, a.taken = got.ID, path+got.ID, got.status == http.StatusCreated
	return true
}

// some draws accounts of any age.
func (c *crash) some(chance *rand.Rand, n int) []*account {
	if len(c.accounts) <= n {
		return nil // the others are looked at anyway
	}
	all := make([]*account, n)
	for i := range all {
		all[i] = c.accounts[chance.IntN(len(c.accounts))]
	}
	return all
}

// examine compares what the callers were told with what the program knows now,
// and gives the right code of a share of the verifications: once it passes, if it
// has not before, and then never again.
func (c *crash) examine(v *server, chance *rand.Rand, accounts []*account, share float64) {
	seen := map[*account]bool{}
	var use []bool
	var once []*account
	for _, a := range accounts {
		if !seen[a] {
			seen[a] = true
			once, use = append(once, a), append(use, chance.Float64() < share)
		}
	}
	each(len(once), func(i int) { c.compare(v, once[i], use[i]) })
}

// reckon waits until nothing is owed and compares what the program says of its
// texts with those that were taken.
func (c *crash) reckon(v *server, killed time.Time) {
	accounts := map[string]*account{}
	var paths []string
	for _, list := range [][]*account{c.accounts, c.messages} {
		for _, a := range list {
			accounts[a.path] = a
			paths = append(paths, a.path)
		}
	}
	owed, owedOrphans := owedAny, owedAny
	if c.long {
		c.must(c.sim.SetFaults(twiliosim.Faults{ListLagMS: int(crashLongLag.Milliseconds())}))
	} else {
		c.sim.ClearFaults()
		owed = func(path string, got answer) bool { return accounts[path].lostTexts == 0 && owedAny(path, got) }
		owedOrphans = func(string, answer) bool { return false }
	}
	const bound = 3 * time.Minute
	found := v.settle(paths, bound, owed)
	if c.long {
		// What nobody was answered for shows in the ledger alone, and it may be a
		// lease and two looks before it does.
		over := killed.Add(2*crashTimeout + verify.LeaseSlack + absence + 10*time.Second)
		<-time.After(time.Until(over))
	}
	orphaned := c.orphaned(v, bound, owedOrphans)
	l := c.ledger()
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

// orphaned compares the records that nobody was told of, as far as a text of
// theirs was taken.
func (c *crash) orphaned(v *server, bound time.Duration, owed func(string, answer) bool) (y tally) {
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
