package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	// partitionTrip is how long the first callers wait when the network has fallen
	// silent: a round trip of 3 s, and 1 s for a new connection; and what the
	// machine takes. Those whose COMMIT was under way wait for failoverHeld.
	partitionTrip = 6 * time.Second
	// partitionKnown is when a replica knows: after another round trip, since API
	// keys are looked up every few seconds. Then it answers at once, but for the few
	// that find out whether the database is back, one at a time.
	partitionKnown = 8 * time.Second
	partitionOnce  = 500 * time.Millisecond
	partitionAsk   = 4 * time.Second
	// partitionHeld is for how long the other replica may be held up: by the rows
	// of an open transaction, which the server ends after 3 s, and by the tries to
	// have them.
	partitionHeld = 8 * time.Second
	// partitionGoroutines may be added to a replica: its callers' connections, and
	// what is left of connections to the database, for 15 s each.
	partitionGoroutines = 80
	// partitioned is what the replica calls itself to the database.
	partitioned = "partitioned"
)

// partition is what happens to one replica's way to the database.
type partition struct {
	name string
	// begin breaks the way and returns how it is mended.
	begin func(*crowd, *pgtest.Proxy) (mend func())
	long  time.Duration
	wants string // of readyz
}

// TestPartition takes the database from one of two replicas, whose transaction is
// open. It says so, at once to all but the first; the other one goes on; and when
// the way is open again so does it, with all that was answered.
func TestPartition(t *testing.T) {
	t.Parallel()
	server := database(t)
	url := server.Database(t)
	proxy := pgtest.NewProxy(t, server)
	c := newCrowd(newSiteWith(t, siteOptions{
		more: failoverConfig, database: url, sim: twiliosim.Options{Step: time.Hour, MaxMessages: 1_000_000},
	}))
	c.join()
	c.join("SIXDIGIT_STORE=" + proxy.URL("test1") + "&connect_timeout=4&application_name=" + partitioned)
	for round, p := range []partition{
		{"silence", (*crowd).holdTransaction, partitionKnown + 2*time.Second, "no answer in time"},
		{"refusal", func(_ *crowd, p *pgtest.Proxy) func() { return p.Refuse() }, 2 * time.Second, "connection reset by peer"},
	} {
		c.partition(round, proxy, p)
		c.examine()
		if t.Failed() {
			t.FailNow()
		}
	}
	c.replicas[0].mustStop()
	c.replicas = c.replicas[1:]
	c.leave()
	n := c.counts
	t.Logf("%d starts answered and found, %d answered 503; codes: %d accepted once, 0 twice, %d of which nobody knew; %d wrong ones counted",
		n.starts, n.unanswered, n.valid, n.unsure, n.wrong)
	if n.starts < 100 || n.valid < 50 || n.unanswered == 0 || n.unsure > 0 {
		t.Error("that is no load: the test shows nothing")
	}
}

func (v *server) mustStop() {
	v.site.t.Helper()
	if err := v.stop(); err != nil {
		v.site.t.Errorf("asked to stop: %v", err)
	}
}

// holdTransaction lets the network fall silent while the replica has a transaction
// open that the other one waits for.
func (c *crowd) holdTransaction(p *pgtest.Proxy) (mend func()) {
	ctx := c.t.Context()
	conn, err := pgx.Connect(ctx, c.site.database)
	c.must(err)
	defer conn.Close(ctx)
	c.startsOnly.Store(true) // these have rows in common
	defer c.startsOnly.Store(false)
	for tries := 1; ; tries++ {
		mend = p.Silence()
		<-time.After(50 * time.Millisecond) // for what was said before
		for since := time.Now(); time.Since(since) < 100*time.Millisecond; {
			var n int
			c.must(conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity AS waits, LATERAL unnest(pg_blocking_pids(waits.pid)) AS by (pid)
				JOIN pg_stat_activity AS holds USING (pid) WHERE holds.application_name = $1 AND holds.state = 'idle in transaction'`, partitioned).Scan(&n))
			if n > 0 {
				c.t.Logf("silence %d has left a transaction open that another one waits for", tries)
				return mend
			}
		}
		mend() // nobody minded; until it has made another transaction or two
		<-time.After(20*time.Millisecond + time.Duration(tries)*time.Millisecond)
		if tries == 200 {
			c.end()
			c.t.Fatal("the replicas do not meet")
		}
	}
}

// partition is one round, under load: some callers at each replica.
func (c *crowd) partition(round int, proxy *pgtest.Proxy, p partition) {
	t, began := c.t, time.Now()
	of := make([][]int, 12)
	for i := range of {
		of[i] = []int{i % 2}
	}
	c.begin(round, of...)
	for i := range c.replicas {
		c.works(i, began)
	}
	cut := c.replicas[1]
	calm := cut.metric("go_goroutines")
	mend := p.begin(c, proxy)
	broken := time.Now()
	c.unready(1, p.wants, "/test1")
	told := time.Since(broken)
	var peak float64
	var slowest time.Duration
	for time.Since(broken) < p.long {
		asked := time.Now()
		if status, text := cut.ready(); status != http.StatusServiceUnavailable || !strings.Contains(text, p.wants) {
			t.Errorf("%s: readyz: %d %s", p.name, status, text)
		}
		slowest = max(slowest, time.Since(asked))
		peak = max(peak, cut.metric("go_goroutines"))
		<-time.After(50 * time.Millisecond)
	}
	mending := time.Now()
	mend()
	mended := time.Now()
	back := c.works(1, mended).Sub(mended)
	until(t, "the replica to be ready", func() bool { status, _ := cut.ready(); return status == http.StatusOK })
	c.end()

	first, known := c.between(1, broken, broken.Add(partitionKnown)), c.between(1, broken.Add(partitionKnown), mending)
	other := c.between(0, broken.Add(-partitionHeld), mending)
	t.Logf("%s: readyz told it after %s, and then within %s; calls at first: %s; from %s on: %s; at the other replica: %s; an answer %s after it was mended; goroutines %.0f, at most %.0f",
		p.name, told.Round(time.Millisecond), slowest.Round(time.Millisecond), took(first), partitionKnown, took(known), took(other), back.Round(time.Millisecond), calm, peak)
	c.judgePartition(p, broken, mending, first, known, other)
	if back > failoverBack || told > partitionTrip || slowest > partitionOnce {
		t.Errorf("%s: that took too long", p.name)
	}
	if peak > calm+partitionGoroutines {
		t.Errorf("%s: goroutines pile up", p.name)
	}
}

// judgePartition looks at the calls while the way was broken: to the replica in its
// first seconds and later, and to the other one.
func (c *crowd) judgePartition(p partition, broken, mending time.Time, first, known, other []sample) {
	c.t.Helper()
	for _, s := range first {
		if bound := partitionTrip; s.took > bound {
			c.t.Errorf("%s: at first, a call took %s and was answered %d", p.name, s.took, s.status)
		}
	}
	slow := 0
	for _, s := range known {
		if s.took > partitionOnce {
			slow++
		}
	}
	if p.long > partitionKnown && len(known) < 20 {
		c.t.Errorf("%s: %d calls when it was known: that shows nothing", p.name, len(known))
	}
	if slow > 3+len(known)/20 || len(known) > 0 && known[0].took > partitionAsk {
		c.t.Errorf("%s: when it was known, %d calls of %d waited, up to %s", p.name, slow, len(known), known[0].took)
	}
	early := slices.DeleteFunc(append(first, known...), func(s sample) bool { return s.began.Add(s.took).After(mending) })
	if n, _ := good(early); n > 0 {
		c.t.Errorf("%s: %d calls were answered without a database", p.name, n)
	}
	if n, _ := good(other); n != len(other) {
		c.t.Errorf("%s: the other replica answered %d calls of %d", p.name, n, len(other))
	}
	late := c.between(0, broken.Add(partitionKnown), broken.Add(p.long))
	if n, _ := good(late); other[0].took > partitionHeld || p.long > partitionKnown && n == 0 {
		c.t.Errorf("%s: the other replica was held up for %s, and answered %d calls later on", p.name, other[0].took, n)
	}
}
