package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
)

// account is what the callers were told of one verification or message, and what
// they asked and never heard back.
type account struct {
	id, number, code string
	path             string
	taken            bool // the provider is known to have taken its first text

	texts, lostTexts int // that were asked for

	valid                          int // answers that said so
	wrong                          int // wrong codes that were counted
	canceled                       bool
	lostRight, lostWrong, lostStop int
	// open says that what was asked and not answered may be under way still.
	open bool
}

// lose takes it into account that a call had no answer. One that a replica
// gives up, and lives on, may happen later.
func (a *account) lose(got answer) {
	a.open = a.open || got.status == http.StatusServiceUnavailable
}

// unsure is whether the verification may have ended by a call that was not
// answered; compare finds out.
func (a *account) unsure() bool { return a.lostRight > 0 || a.lostStop > 0 }

// touch does something to a verification that its caller has to itself.
func (c *crash) touch(v *client, chance *rand.Rand, a *account) (alive bool) {
	open := a.valid == 0 && !a.canceled
	n := chance.IntN(12)
	switch {
	case a.unsure():
		return true
	case n < 3 && open:
		return c.resend(v, a)
	case !c.readCode(a):
		return true // the program has not come to send it yet
	case n < 7:
		return c.right(v, a)
	case n < 11 && open && a.wrong+a.lostWrong < crashChecks-2:
		return c.guess(v, a)
	case n == 11 && a.valid == 0:
		return c.cancel(v, a)
	}
	return true
}

// resend asks for another text, which may not be due yet.
func (c *crash) resend(v *client, a *account) bool {
	got, err := v.resend(a.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lost++
		a.lostTexts++
		return false
	case got.status == http.StatusOK, got.status == http.StatusAccepted:
		c.counts.resends++
		a.texts++
	case got.status != http.StatusTooManyRequests:
		c.t.Errorf("resend of %s: %d %s", a.id, got.status, got.Code)
	}
	return true
}

// readCode takes the code off the phone and reports whether there is one. Each
// number has one verification, all of whose texts say the same.
func (c *crash) readCode(a *account) bool {
	if a.code != "" {
		return true
	}
	codes := c.texts(a.number)
	if len(codes) == 0 {
		if a.taken {
			c.t.Errorf("%s was answered as sent: no text arrived", a.id)
		}
		return false
	}
	a.code = codes[0]
	if len(slices.Compact(codes)) != 1 {
		c.t.Errorf("the texts of %s do not say the same", a.id)
	}
	return true
}

// right gives the right code twice at once.
func (c *crash) right(v *client, a *account) bool {
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
			a.lose(got[i])
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

func (c *crash) guess(v *client, a *account) bool {
	got, err := v.check(a.id, wrongCode(a.code))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lost++
		a.lostWrong++
		a.lose(got)
		return false
	case got.status != http.StatusOK || got.Valid:
		c.t.Errorf("a wrong code: %d %s, valid: %t", got.status, got.Code, got.Valid)
	default:
		c.counts.wrong++
		a.wrong++
	}
	return true
}

func (c *crash) cancel(v *client, a *account) bool {
	got, err := v.cancel(a.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.counts.lost++
		a.lostStop++
		a.lose(got)
		return false
	case got.status != http.StatusOK || got.Status != "canceled":
		c.t.Errorf("cancel: %d %v %s", got.status, got.Status, got.Code)
	case !a.canceled:
		c.counts.canceled++
		a.canceled = true
	}
	return true
}

func (c *crash) compare(v *client, a *account, use bool) {
	got, err := v.get(a.id)
	if err != nil || got.status != http.StatusOK {
		c.t.Errorf("%s was answered and is lost: %d %s %v", a.id, got.status, got.Code, err)
		return
	}
	status := fmt.Sprint(got.Status)
	if fault := a.fault(status, got.AttemptsLeft); fault != "" {
		c.t.Errorf("%s: %s: it is %s with %d attempts left; told: %+v", a.id, fault, status, got.AttemptsLeft, *a)
	}
	if a.open {
		return
	}
	// What was not known is known now.
	if status == "canceled" && !a.canceled {
		a.canceled = true
	}
	a.wrong, a.lostWrong, a.lostStop = max(a.wrong, min(a.wrong+a.lostWrong, wrongOf(status, got.AttemptsLeft))), 0, 0
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
	wrong := wrongOf(status, left)
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
	if wrong < a.wrong || wrong > a.wrong+a.lostWrong {
		return "its checks were miscounted"
	}
	return ""
}

// wrongOf is how many checks were not the one that was right.
func wrongOf(status string, left int) int {
	used := crashChecks - left
	if status == "approved" {
		used--
	}
	return used
}
