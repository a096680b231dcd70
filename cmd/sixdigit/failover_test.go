package main

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	failoverRounds = 2 // unless SIXDIGIT_FAILOVER_ROUNDS says otherwise
	failoverConfig = "send: {timeout: 2s}\n"
	// failoverAway is for how long there is no primary, at least.
	failoverAway = time.Second
	// failoverQuick is within what a call is answered that comes when the primary
	// is gone. It takes milliseconds; the machine may be busy.
	failoverQuick = 3 * time.Second
	// failoverHeld is within what a call is answered whose COMMIT was under way:
	// for 10 s its fate is asked after, after 3 s at the old primary.
	failoverHeld = 15 * time.Second
	// failoverBack is how soon after the promotion the service answers again.
	failoverBack = 10 * time.Second
)

func newCrowd(s *site) *crowd {
	s.t.Helper()
	c := &crowd{t: s.t, site: s, seed: rand.Uint64()}
	if n, err := strconv.ParseUint(os.Getenv("SIXDIGIT_FAILOVER_SEED"), 10, 64); err == nil {
		c.seed = n
	}
	s.t.Logf("SIXDIGIT_FAILOVER_SEED=%d", c.seed)
	return c
}

// join starts another replica.
func (c *crowd) join(env ...string) {
	c.t.Helper()
	v, err := c.site.launch(nil, env...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.replicas = append(c.replicas, v)
}

// leave stops the replicas, and looks for what their logs must not tell.
func (c *crowd) leave(never ...string) {
	c.t.Helper()
	for _, v := range c.replicas {
		if err := v.stop(); err != nil {
			c.t.Errorf("asked to stop: %v", err)
		}
		log := v.log.String()
		if !strings.Contains(log, "the store is unavailable") {
			c.t.Error("the log does not tell of the outage")
		}
		for _, secret := range append(never, "user=") {
			if i := strings.Index(log, secret); i >= 0 {
				c.t.Errorf("the log holds %q: %s", secret, log[max(0, i-300):min(len(log), i+100)])
			}
		}
	}
}

// TestFailover kills the primary under the load of two replicas, and promotes its
// standby, again and again. Whatever was answered is there afterwards. In every
// other round the standby is away just before, so that transactions that were
// under way are on the primary alone.
func TestFailover(t *testing.T) {
	t.Parallel()
	cluster, err := pgtest.OpenCluster()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	cluster.Primary().Exec(t, cluster.URL("postgres"), `CREATE DATABASE codes`)
	address := cluster.URL("codes")
	c := newCrowd(newSiteWith(t, siteOptions{
		more: failoverConfig, database: address, sim: twiliosim.Options{Step: time.Hour, MaxMessages: 1_000_000},
	}))
	c.join()
	c.join()
	rounds := failoverRounds
	if n, err := strconv.Atoi(os.Getenv("SIXDIGIT_FAILOVER_ROUNDS")); err == nil {
		rounds = n
	}
	chance := rand.New(rand.NewPCG(c.seed, 1<<63))
	for round := range rounds {
		if round > 0 {
			c.must(cluster.Rejoin())
		}
		c.must(cluster.Synchronous())
		c.failover(cluster, round, chance)
		c.examine()
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	u, err := url.Parse(address)
	c.must(err)
	password, _ := u.User.Password()
	c.leave(password)
	n := c.counts
	t.Logf("%d failovers; %d starts answered and found, %d answered 503; codes: %d accepted once, 0 twice, %d of which nobody knew; %d wrong ones counted; %d without a text yet",
		rounds, n.starts, n.unanswered, n.valid, n.unsure, n.wrong, n.codeless)
	if n.starts < 20*rounds || n.valid < 10*rounds || n.wrong < 5*rounds || n.unanswered == 0 || n.codeless > n.starts/10 {
		t.Error("that is no load: the test shows nothing")
	}
}

func (c *crowd) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// failover is one round, under load.
func (c *crowd) failover(cluster *pgtest.Cluster, round int, chance *rand.Rand) {
	t := c.t
	began := time.Now()
	both := make([][]int, 12)
	for i := range both {
		both[i] = []int{0, 1}
	}
	c.begin(round, both...)
	for i := range c.replicas {
		c.works(i, began)
	}
	<-time.After(300*time.Millisecond + time.Duration(chance.Int64N(int64(500*time.Millisecond))))
	alone := round%2 == 1
	if alone {
		cluster.Standby().Stop()
		<-time.After(time.Duration(chance.Int64N(int64(300 * time.Millisecond))))
	}
	dying := time.Now()
	cluster.Primary().Kill()
	killed := time.Now()
	if alone {
		c.must(cluster.Standby().Start())
	}
	for i, v := range c.replicas {
		c.unready(i, "connection refused", "it takes no writes", "/codes")
		if _, text := v.ready(); strings.Contains(text, pgtest.User+"@") || strings.Contains(text, "user=") {
			t.Errorf("readyz names the user: %s", text)
		}
	}
	<-time.After(time.Until(killed.Add(failoverAway)))
	promoting := time.Now()
	c.must(cluster.Promote())
	promoted := time.Now()
	for i := range c.replicas {
		back := c.works(i, promoted)
		during := c.between(i, killed, promoting)
		before := c.between(i, began, dying)
		t.Logf("round %d, replica %d: the promotion took %s, an answer %s more; calls without a primary: %s; the longest under way when it was killed took %s",
			round, i, promoted.Sub(promoting).Round(time.Millisecond), back.Sub(promoted).Round(time.Millisecond), took(during), before[0].took.Round(time.Millisecond))
		if wait := back.Sub(promoted); wait > failoverBack {
			t.Errorf("it answers again %s after the promotion", wait)
		}
		if len(during) == 0 || during[0].took > failoverQuick {
			t.Errorf("without a primary: %s", took(during))
		}
		if n, _ := good(during); n > 0 {
			t.Errorf("%d calls without a primary were answered", n)
		}
		if before[0].took > failoverHeld {
			t.Errorf("a call took %s", before[0].took)
		}
	}
	<-time.After(300 * time.Millisecond)
	c.end()
}

// unready waits until a replica's readyz says 503 and all of that.
func (c *crowd) unready(i int, want ...string) {
	c.t.Helper()
	var status int
	var text string
	defer func() {
		if c.t.Failed() {
			c.t.Logf("readyz at last: %d %s", status, text)
		}
	}()
	until(c.t, "readyz to say what is wrong", func() bool {
		status, text = c.replicas[i].ready()
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return status == http.StatusServiceUnavailable
	})
}
