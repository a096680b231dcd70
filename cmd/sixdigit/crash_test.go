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
)

const (
	crashRounds  = 5 // unless SIXDIGIT_CRASH_ROUNDS says otherwise; `make crash` does
	crashCallers = 16
	crashChecks  = 5 // that a verification allows
	crashMaxLoad = 700 * time.Millisecond
	crashPause   = 10 * time.Millisecond // of a caller who was not answered, and goes on
	crashLoses   = 0.05                  // of the answers of the simulator get lost

	crashTimeout = time.Second
	crashConfig  = `send: {timeout: 1s, retry_rate: 1000}
code: {life: 1h, resend_waits: [200ms]}
`
	// crashPatience is what a short run gives the program to decide of its texts.
	crashPatience = 10 * time.Second
	// crashLag is how far the lists are behind at times, for seconds that prove
	// nothing, and in the end of a long run, for long enough to prove a text absent.
	crashLag, crashLongLag = 3 * time.Second, 25 * time.Second
)

// crash is a service that is killed again and again.
type crash struct {
	*site
	fleet   *fleet
	numbers numbers
	seed    uint64
	rounds  int
	// replicas are processes: one on its data folder, or several on a database.
	replicas int
	// long is a run that waits, in the end, for the leases of what was under way
	// at a kill; a short one uses no faults that leave many answered calls to theirs.
	long bool

	mu       sync.Mutex
	accounts []*account
	messages []*account
	// orphans are the numbers of starts and messages that nobody was answered for;
	// unheard are those of them that can be asked for again.
	orphans []string
	unheard []unheard
	counts  struct{ starts, unsure, lostStarts, lostKeys, heard, resends, valid, repeated, wrong, lost, canceled int }
}

// unheard is a start or a message whose caller was not answered, and can ask
// again.
type unheard struct {
	account *account
	path    string
	ask     func() (answer, error)
}

// TestCrash kills the program under load, again and again on one data folder,
// while its provider takes texts and loses the answers. What the program has
// answered is there afterwards, no code passes twice, and every text that it
// tells of went out, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	newCrash(t, 1, "").run()
}

// TestCrashPostgres does the same to three replicas on one database. Now one of
// them is killed, now two, now all, and the callers go on: most of them as a
// client should, which makes a call again, with the same Idempotency-Key, when
// it has no answer. Callbacks too come by way of the round-robin.
func TestCrashPostgres(t *testing.T) {
	t.Parallel()
	newCrash(t, 3, database(t).Database(t)).run()
}

func (c *crash) run() {
	t := c.t
	chance := rand.New(rand.NewPCG(c.seed, 0))
	last, checked := 0, 0 // where the accounts of the last two rounds begin
	c.fleet = newFleet(c.site, c.replicas)
	for round := range c.rounds {
		c.fleet.up(chance)
		c.examine(chance, c.accounts[last:], 0.3)
		c.examine(chance, c.some(chance, 200), 0.1)
		c.must(c.sim.SetFaults(c.faults(round)))
		last, checked = checked, len(c.accounts)
		c.load(round, c.accounts[last:], chance)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	killed := time.Now()
	c.fleet.up(chance)
	c.reckon(killed)
	c.examine(chance, c.accounts, 1)
	c.fleet.stop()
	n, seen := c.counts, c.fleet.plain.seen
	t.Logf("%d rounds, %d kills; %d starts answered and found, %d unanswered; codes: %d accepted once, %d of them given again and refused, 0 accepted twice; "+
		"%d wrong codes counted, %d canceled; %d calls in flight at a kill",
		c.rounds, c.fleet.kills, n.starts, n.lostStarts, n.valid, n.repeated, n.wrong, n.canceled, n.lost)
	if n.starts < 20*c.rounds || n.valid == 0 || n.lost == 0 || n.unsure == 0 || n.resends == 0 || len(c.messages) == 0 {
		t.Errorf("that is no load: the test shows nothing: %+v, %d messages", n, len(c.messages))
	}
	if c.replicas > 1 {
		t.Logf("calls with a key: %d requests made again, %d told that the first one is not over, %d answered 503; starts and messages without an answer then: %d, answered in the end: %d",
			seen.again.Load(), seen.inFlight.Load(), seen.busy.Load(), n.lostKeys, n.heard)
		if seen.again.Load() == 0 || c.fleet.kills < c.rounds {
			t.Error("no call had to be made again: the test shows nothing")
		}
	}
}

func newCrash(t *testing.T, replicas int, database string) *crash {
	c := &crash{replicas: replicas, seed: rand.Uint64(), rounds: crashRounds}
	if n, err := strconv.Atoi(os.Getenv("SIXDIGIT_CRASH_ROUNDS")); err == nil {
		c.rounds, c.long = n, true
	}
	if n, err := strconv.ParseUint(os.Getenv("SIXDIGIT_CRASH_SEED"), 10, 64); err == nil {
		c.seed = n
	}
	t.Logf("SIXDIGIT_CRASH_SEED=%d", c.seed)
	c.site = newSiteWith(t, siteOptions{
		more: crashConfig, callbacks: true, database: database,
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

// load has callers call until the program is killed under them; with replicas,
// until all is over. Each has some accounts of the round before to itself.
func (c *crash) load(round int, older []*account, chance *rand.Rand) {
	var callers sync.WaitGroup
	over := make(chan struct{})
	plain, insistent := c.fleet.plain, c.fleet.insistent
	for i := range crashCallers {
		callers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(round)<<16|uint64(i)+1))
			var mine []*account
			for j := i; j < len(older); j += crashCallers {
				mine = append(mine, older[j])
			}
			for alive := true; alive || c.replicas > 1; {
				if !alive {
					<-time.After(crashPause)
				}
				select {
				case <-over:
					return
				default:
				}
				v := insistent
				if chance.IntN(3) == 0 {
					v = plain
				}
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
	c.strike(round, chance)
	close(over)
	callers.Wait()
}

// strike kills the program at a random moment: of replicas one, two, or all, at
// once or one soon after the other. The others go on, until those that were
// killed come back.
func (c *crash) strike(round int, chance *rand.Rand) {
	wait := func(atMost time.Duration) { <-time.After(time.Duration(chance.Int64N(int64(atMost)))) }
	wait(crashMaxLoad)
	c.fleet.alive()
	victims := c.fleet.draw(chance, []int{1, 2, 1, 3, 1, 2}[round%6])
	if together := chance.IntN(2) == 0; together {
		c.fleet.kill(victims...)
	} else {
		for _, i := range victims {
			wait(crashMaxLoad / 10)
			c.fleet.kill(i)
		}
	}
	if c.replicas == 1 {
		return
	}
	if len(victims) < c.replicas {
		wait(crashMaxLoad / 2)
	}
	c.fleet.up(chance)
	wait(crashMaxLoad / 4)
}

func (c *crash) start(v *client, mine []*account) ([]*account, bool) {
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
func (c *crash) text(v *client, chance *rand.Rand) bool {
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
	case err != nil && got.ask != nil:
		c.unheard = append(c.unheard, unheard{a, path, got.ask})
		return false
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
func (c *crash) examine(chance *rand.Rand, accounts []*account, share float64) {
	seen := map[*account]bool{}
	var use []bool
	var once []*account
	for _, a := range accounts {
		if !seen[a] {
			seen[a] = true
			once, use = append(once, a), append(use, chance.Float64() < share)
		}
	}
	each(len(once), func(i int) { c.compare(c.fleet.insistent, once[i], use[i]) })
}
