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
)

const (
	crashRounds  = 2 // unless SIXDIGIT_CRASH_ROUNDS says otherwise; `make crash` does
	crashCallers = 16
	crashChecks  = 5 // that a verification allows
	crashMaxLoad = 700 * time.Millisecond
)

// account is what the callers were told of one verification, and what they
// asked and never heard back.
type account struct {
	id, number, code string

	valid                          int // answers that said so
	wrong                          int // wrong codes that were counted
	canceled                       bool
	lostRight, lostWrong, lostStop int
}

// crash is a service that is killed again and again.
type crash struct {
	*site
	numbers numbers
	seed    uint64

	mu       sync.Mutex
	accounts []*account
	counts   struct{ starts, lostStarts, valid, repeated, wrong, lost, canceled int }
}

// TestCrash kills the program under load, again and again on one data folder.
// What it has answered is there afterwards, and no code passes twice.
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds := crashRounds
	if n, err := strconv.Atoi(os.Getenv("SIXDIGIT_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	c := &crash{site: newSite(t, "", nil), seed: rand.Uint64()}
	if n, err := strconv.ParseUint(os.Getenv("SIXDIGIT_CRASH_SEED"), 10, 64); err == nil {
		c.seed = n
	}
	t.Logf("SIXDIGIT_CRASH_SEED=%d", c.seed)
	chance := rand.New(rand.NewPCG(c.seed, 0))
	checked := 0
	for round := range rounds {
		v := c.serve()
		c.examine(v, chance, c.accounts[checked:], 0.5)
		c.examine(v, chance, c.some(chance, 200), 0.1)
		checked = len(c.accounts)
		c.load(v, round, time.Duration(chance.Int64N(int64(crashMaxLoad))))
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	v := c.serve()
	c.examine(v, chance, c.accounts, 1)
	if err := v.stop(); err != nil {
		t.Errorf("in the end, asked to stop: %v\n%s", err, v.log)
	}
	n := c.counts
	t.Logf("%d kills; %d starts answered and found, %d unanswered; codes: %d accepted once, %d of them given again and refused, 0 accepted twice; "+
		"%d wrong codes counted, %d canceled; %d calls in flight at a kill",
		rounds, n.starts, n.lostStarts, n.valid, n.repeated, n.wrong, n.canceled, n.lost)
	if n.starts < 20*rounds || n.valid == 0 || n.lost == 0 {
		t.Error("that is no load: the test shows nothing")
	}
}

// load has callers call until the program is killed under them.
func (c *crash) load(v *server, round int, span time.Duration) {
	var callers sync.WaitGroup
	for i := range crashCallers {
		callers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(round)<<16|uint64(i)+1))
			var mine []*account
			for alive := true; alive; {
				if len(mine) == 0 || chance.IntN(3) == 0 {
					mine, alive = c.start(v, mine)
					continue
				}
				alive = c.touch(v, chance, mine[chance.IntN(len(mine))])
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
	a := &account{number: c.numbers.draw()}
	got, err := v.start(a.number)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lostStarts++
		return mine, false
	case got.status != http.StatusCreated:
		c.t.Errorf("start: %d %s", got.status, got.Code)
		return mine, false
	}
	c.counts.starts++
	a.id = got.ID
	c.accounts = append(c.accounts, a)
	return append(mine, a), true
}

// touch does something to a verification that its caller has to itself.
func (c *crash) touch(v *server, chance *rand.Rand, a *account) (alive bool) {
	if !c.readCode(a) {
		return false
	}
	switch n := chance.IntN(10); {
	case n < 5:
		return c.right(v, a)
	case n < 9 && a.valid == 0 && !a.canceled && a.wrong+a.lostWrong < crashChecks-2:
		return c.guess(v, a)
	case n == 9 && a.valid == 0:
		return c.cancel(v, a)
	}
	return true
}

// readCode takes the code off the phone. Each number has one verification, and
// so one text.
func (c *crash) readCode(a *account) bool {
	if a.code == "" {
		codes := c.texts(a.number)
		if len(codes) != 1 {
			c.t.Errorf("%s was answered: %d texts arrived", a.id, len(codes))
			return false
		}
		a.code = codes[0]
	}
	return true
}

// right gives the right code twice at once.
func (c *crash) right(v *server, a *account) bool {
	var got [2]answer
	var errs [2]error
	var both sync.WaitGroup
	for i := range got {
		both.Go(func() { got[i], errs[i] = v.check(a.id, a.code) })
	}
	both.Wait()
	was, lost := a.valid, 0
	for i := range got {
		switch {
		case errs[i] != nil:
			lost++
		case got[i].status != http.StatusOK:
			c.t.Errorf("check: %d %s", got[i].status, got[i].Code)
		case got[i].Valid:
			a.valid++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.lost += lost
	if a.valid > 1 || a.valid > 0 && a.canceled {
		c.t.Errorf("%s: its code was accepted %d times, canceled: %t", a.id, a.valid, a.canceled)
	}
	if was > 0 && lost < 2 {
		c.counts.repeated++
	}
	if a.valid > was {
		c.counts.valid++
	}
	if was == 0 && a.valid == 0 && !a.canceled {
		if lost == 0 {
			c.t.Errorf("%s: its right code was refused", a.id)
		}
		a.lostRight += lost
	}
	return lost == 0
}

func (c *crash) guess(v *server, a *account) bool {
	got, err := v.check(a.id, wrongCode(a.code))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lost++
		a.lostWrong++
		return false
	case got.status != http.StatusOK || got.Valid:
		c.t.Errorf("a wrong code: %d %s, valid: %t", got.status, got.Code, got.Valid)
	default:
		c.counts.wrong++
		a.wrong++
	}
	return true
}

func (c *crash) cancel(v *server, a *account) bool {
	got, err := v.call(http.MethodDelete, "/v1/verifications/"+a.id, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lost++
		a.lostStop++
		return false
	case got.status != http.StatusOK || got.Status != "canceled":
		c.t.Errorf("cancel: %d %v %s", got.status, got.Status, got.Code)
	case !a.canceled:
		c.counts.canceled++
		a.canceled = true
	}
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
	work := make(chan func())
	var callers sync.WaitGroup
	for range crashCallers {
		callers.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	for _, a := range accounts {
		use := chance.Float64() < share
		if !seen[a] {
			seen[a] = true
			work <- func() { c.compare(v, a, use) }
		}
	}
	close(work)
	callers.Wait()
}

func (c *crash) compare(v *server, a *account, use bool) {
	got, err := v.get(a.id)
	if err != nil || got.status != http.StatusOK {
		c.t.Errorf("%s was answered and is lost: %d %s %v", a.id, got.status, got.Code, err)
		return
	}
	status := fmt.Sprint(got.Status)
	if fault := a.fault(status, got.AttemptsLeft); fault != "" {
		c.t.Errorf("%s: %s: it is %s with %d attempts left; told: %+v", a.id, fault, status, got.AttemptsLeft, *a)
	}
	// What was not known is known now.
	if status == "canceled" && !a.canceled {
		a.canceled = true
	}
	a.wrong, a.lostWrong, a.lostStop = max(a.wrong, min(a.wrong+a.lostWrong, crashChecks-got.AttemptsLeft)), 0, 0
	if status == "approved" && a.valid == 0 {
		a.valid = 1 // by a check whose answer was lost
	}
	a.lostRight = 0
	if use && c.readCode(a) && c.right(v, a) {
		c.right(v, a)
	}
}

// fault says what contradicts the callers' account, or nothing.
func (a *account) fault(status string, left int) string {
	used := crashChecks - left
	switch {
	case a.canceled && status != "canceled":
		return "a cancellation was lost"
	case a.valid > 0 && status != "approved":
		return "an approval was lost"
	case status == "canceled" && !a.canceled && a.lostStop == 0:
		return "nobody canceled it"
	case status == "approved" && a.valid == 0 && a.lostRight == 0:
		return "nobody gave its code"
	case status != "pending" && status != "approved" && status != "canceled":
		return "it ended by itself"
	}
	right := 0
	if status == "approved" {
		right = 1
	}
	if used < a.wrong+right || used > a.wrong+a.lostWrong+right {
		return "its checks were miscounted"
	}
	return ""
}
