package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// patronWrong bounds the wrong codes that a patron gives: two checks are left.
	patronWrong = crashChecks - 2
	// patronPatience is for how long a right code is given again after a 503.
	patronPatience = 40 * time.Second
	// patronPause is between a 503 and the next call.
	patronPause = 5 * time.Millisecond
)

// patron has started a verification, which was answered, and gives its code, and
// others. Only one caller at a time speaks for them.
type patron struct {
	number, id, code string

	wrong, maybeWrong int  // wrong codes that were counted, and that may have been
	given             bool // the right code, twice
	valid             int  // answers that said so
	unsure            bool // a right code was answered with 503 before
}

// sample is one call, as its caller saw it.
type sample struct {
	server int
	began  time.Time
	took   time.Duration
	status int
}

// crowd are the callers of replicas whose database comes and goes.
type crowd struct {
	t        *testing.T
	site     *site
	replicas []*server
	seed     uint64
	numbers  numbers

	over       chan struct{}
	startsOnly atomic.Bool // nothing else for now
	callers    sync.WaitGroup

	mu      sync.Mutex
	patrons []*patron
	samples []sample
	counts  struct{ starts, unanswered, wrong, valid, unsure, codeless int }
}

// begin lets callers call until end; each keeps to some replicas.
func (c *crowd) begin(round int, of ...[]int) {
	c.over = make(chan struct{})
	for i, which := range of {
		c.callers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(round)<<16|uint64(i)))
			var mine []*patron
			for {
				select {
				case <-c.over:
					return
				default:
				}
				switch n := chance.IntN(10); {
				case n < 4, len(mine) == 0, c.startsOnly.Load():
					mine = c.start(mine, which[chance.IntN(len(which))])
				case n < 7:
					c.guess(mine[chance.IntN(len(mine))], which[chance.IntN(len(which))])
				default:
					p := mine[chance.IntN(len(mine))]
					if !p.given && c.readCode(p) {
						c.right(p, which[chance.IntN(len(which))], which[chance.IntN(len(which))])
					}
				}
			}
		})
	}
}

func (c *crowd) end() {
	close(c.over)
	c.callers.Wait()
}

// call makes a call once, and a pause where the service was busy.
func (c *crowd) call(server int, method, path, body string) answer {
	began := time.Now()
	got, err := c.replicas[server].callFor(context.Background(), method, path, body)
	if err != nil {
		c.t.Errorf("%s: no answer: %v", method, err)
	}
	c.mu.Lock()
	c.samples = append(c.samples, sample{server, began, time.Since(began), got.status})
	c.mu.Unlock()
	if got.status == http.StatusServiceUnavailable || err != nil {
		<-time.After(patronPause)
	}
	return got
}

func (c *crowd) start(mine []*patron, server int) []*patron {
	p := &patron{number: c.numbers.draw()}
	got := c.call(server, http.MethodPost, "/v1/verifications", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn"}`, p.number))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch got.status {
	case http.StatusCreated, http.StatusAccepted:
		c.counts.starts++
		p.id = got.ID
		c.patrons = append(c.patrons, p)
		return append(mine, p)
	case http.StatusServiceUnavailable:
		c.counts.unanswered++
	default:
		c.t.Errorf("start: %d %s", got.status, got.Code)
	}
	return mine
}

func (c *crowd) check(server int, p *patron, code string) answer {
	return c.call(server, http.MethodPost, verificationsPath+p.id+"/check", fmt.Sprintf(`{"code": %q}`, code))
}

func (c *crowd) guess(p *patron, server int) {
	if p.given || p.wrong+p.maybeWrong >= patronWrong || !c.readCode(p) {
		return
	}
	switch got := c.check(server, p, wrongCode(p.code)); {
	case got.status == http.StatusServiceUnavailable:
		p.maybeWrong++
	case got.status != http.StatusOK || got.Valid:
		c.t.Errorf("a wrong code: %d %s, valid: %t", got.status, got.Code, got.Valid)
	default:
		p.wrong++
		c.mu.Lock()
		c.counts.wrong++
		c.mu.Unlock()
	}
}

// readCode takes the code off the phone, once a text is there.
func (c *crowd) readCode(p *patron) bool {
	if p.code == "" {
		if codes := c.site.texts(p.number); len(codes) > 0 {
			p.code = codes[0]
		}
	}
	return p.code != ""
}

// right gives the right code twice at once, each until it is answered. It passes
// once.
func (c *crowd) right(p *patron, servers ...int) {
	var both sync.WaitGroup
	valid, busy := make([]bool, len(servers)), make([]bool, len(servers))
	for i, server := range servers {
		both.Go(func() {
			for deadline := time.Now().Add(patronPatience); ; {
				got := c.check(server, p, p.code)
				if got.status == http.StatusServiceUnavailable && time.Now().Before(deadline) {
					busy[i] = true
					continue
				}
				if valid[i] = got.Valid; got.status != http.StatusOK {
					c.t.Errorf("a right code: %d %s", got.status, got.Code)
				}
				return
			}
		})
	}
	both.Wait()
	first := !p.given
	p.given = true
	for i := range servers {
		p.unsure = p.unsure || busy[i]
		if valid[i] {
			p.valid++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.valid > 1:
		c.t.Errorf("%s was approved %d times", p.id, p.valid)
	case first && p.valid == 1:
		c.counts.valid++
	case p.valid == 0 && !p.unsure:
		c.t.Errorf("%s: its right code was refused", p.id)
	case first:
		// Whoever was told that nobody knows may have passed.
		c.counts.unsure++
	}
}

// examine compares what all patrons were told with what the replicas know now, and
// gives every right code that was not given yet.
func (c *crowd) examine() {
	each(len(c.patrons), func(i int) {
		p, one := c.patrons[i], i%len(c.replicas)
		got := c.call(one, http.MethodGet, verificationsPath+p.id, "")
		if fault := p.fault(got); fault != "" {
			c.t.Errorf("%s: %s: %d %v with %d attempts left; told: %+v", p.id, fault, got.status, got.Status, got.AttemptsLeft, *p)
			return
		}
		if !c.readCode(p) {
			c.mu.Lock()
			c.counts.codeless++
			c.mu.Unlock()
			return
		}
		c.right(p, one, (one+1)%len(c.replicas))
	})
}

// fault says what contradicts the patron, or nothing.
func (p *patron) fault(got answer) string {
	want, right := "pending", 0
	if p.given {
		want, right = "approved", 1
	}
	used := crashChecks - got.AttemptsLeft - right
	switch {
	case got.status != http.StatusOK:
		return "a start was answered, and is lost"
	case fmt.Sprint(got.Status) != want:
		return "it ought to be " + want
	case used < p.wrong || used > p.wrong+p.maybeWrong:
		return "its checks were miscounted"
	}
	return ""
}

// between are the calls to a replica that began in a span of time, the slowest first.
func (c *crowd) between(server int, from, to time.Time) []sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []sample
	for _, s := range c.samples {
		if s.server == server && !s.began.Before(from) && s.began.Before(to) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(b.took, a.took) })
	return all
}

// good are the first calls of a span that were answered, and how many.
func good(all []sample) (n int, first time.Time) {
	for _, s := range all {
		if at := s.began.Add(s.took); s.status < 500 {
			if n++; first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return n, first
}

// works waits until a replica has answered a call that began since then, and
// returns when.
func (c *crowd) works(server int, since time.Time) (at time.Time) {
	c.t.Helper()
	until(c.t, "a replica to answer again", func() bool {
		_, at = good(c.between(server, since, time.Now()))
		return !at.IsZero()
	})
	return at
}

// took tells of calls: how many, the median and the longest.
func took(all []sample) string {
	if len(all) == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (median %s, longest %s)", len(all), all[len(all)/2].took.Round(time.Microsecond*100), all[0].took.Round(time.Millisecond))
}
