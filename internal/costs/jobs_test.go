//go:build linux && !race

package costs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// job is a call that is measured.
type job struct {
	call string
	// prepare makes what so many calls need, and run makes the calls.
	prepare, run func(calls int) error
	holds        int // of the store's writer, for each batch: not the calls' cost
	calls        int // in a window, where it is not the bench's number; then each window is prepared
}

// wrongCode is never right: codes are digits.
const wrongCode = "00000a"

// checksEach is how many wrong codes a verification takes before it is used up.
const checksEach = 5

// line is a caller's work, one call after the other.
type line struct {
	*caller
	provider *provider
	ready    []id // verifications that were prepared
}

func (l *line) jobs() []job {
	none := func(int) error { return nil }
	return []job{
		{call: "START", prepare: none, run: each(func() error { _, err := l.start(); return err })},
		{call: "CALLBACK", prepare: l.prepare, run: each(func() error { return l.callback(l.next()) })},
		{call: "CHECK", prepare: func(calls int) error { return l.prepare(calls / checksEach) }, run: l.wrongChecks},
		{call: "VERIFICATION", prepare: none, run: each(l.verification)},
		{call: "MESSAGE", prepare: none, run: each(func() error { _, err := l.message(); return err })},
	}
}

func each(call func() error) func(int) error {
	return func(calls int) error {
		for range calls {
			if err := call(); err != nil {
				return err
			}
		}
		return nil
	}
}

// wrongChecks gives each verification wrong codes until it is used up.
func (l *line) wrongChecks(calls int) error {
	wrong := [6]byte([]byte(wrongCode))
	var v id
	for i := range calls {
		if i%checksEach == 0 {
			v = l.next()
		}
		if err := l.check(v, wrong, false); err != nil {
			return err
		}
	}
	return nil
}

// verification is a whole one: started, delivered, and approved by the right code.
func (l *line) verification() error {
	v, err := l.start()
	if err != nil {
		return err
	}
	if err := l.callback(v); err != nil {
		return err
	}
	return l.check(v, l.provider.last(), true)
}

func (l *line) prepare(verifications int) error {
	for range verifications {
		v, err := l.start()
		if err != nil {
			return err
		}
		l.ready = append(l.ready, v)
	}
	return nil
}

func (l *line) next() id {
	v := l.ready[len(l.ready)-1]
	l.ready = l.ready[:len(l.ready)-1]
	return v
}

// gathering is a crowd's work, each call made by all at once.
type gathering struct {
	*crowd
	ctx     context.Context           // until the test ends
	ids     [][crowdSize]string       // verifications that were prepared
	to      [][crowdSize]phone.Number // numbers likewise
	numbers int                       // used so far
	open    func() (*crowd, error)    // another, on a new store; nil where a store puts nothing off
	life    *gathering                // that one
}

func (g *gathering) jobs() []job {
	jobs := []job{
		{call: holdCall, prepare: func(int) error { return nil }, run: func(int) error { return g.nothing() }},
		{call: "START", prepare: g.number, run: g.each(true, g.start), holds: 3},
		{call: "CALLBACK", prepare: g.prepare, run: g.each(false, func(ctx context.Context, i int) error {
			return g.service.RecordDelivery(ctx, connectorName, g.ids[0][i]+".1", connector.StatusUpdate{ProviderID: providersID, Status: connector.StatusDelivered})
		}), holds: 2},
		{call: "CHECK", prepare: g.prepare, run: g.each(false, func(ctx context.Context, i int) error {
			got, err := g.service.Check(ctx, verify.CheckRequest{App: appName, ID: g.ids[0][i], Code: secret.New(wrongCode)})
			if err == nil && (got.Valid || !got.Counted) {
				err = fmt.Errorf("the check came to %+v", got)
			}
			return err
		}), holds: 2},
		{call: "MESSAGE", prepare: g.number, run: g.each(true, func(ctx context.Context, i int) error {
			_, err := g.service.SendMessage(ctx, verify.MessageRequest{App: appName, To: g.to[0][i], Usage: sms.UsageSignIn, Payload: map[string]any{"code": "840173"}})
			return err
		}), holds: 3},
	}
	if g.open != nil {
		jobs = append(jobs, job{call: "START+LATER", prepare: g.beginLife, run: g.endLife, holds: 3, calls: lifeBatches * crowdSize})
	}
	return jobs
}

// lifeBatches are few: they are to be over before a second is.
const lifeBatches = 4

// beginLife makes a store whose whole life, but for its birth, is a window: what it
// puts off for later is done when it is closed at the latest.
func (g *gathering) beginLife(calls int) error {
	c, err := g.open()
	if err != nil {
		return err
	}
	g.life = &gathering{crowd: c, ctx: g.ctx}
	if err = g.life.number(crowdSize + calls); err == nil {
		err = g.life.each(true, g.life.start)(crowdSize)
	}
	return err
}

func (g *gathering) endLife(calls int) error {
	return errors.Join(g.life.each(true, g.life.start)(calls), g.life.close())
}

// each runs a call as batches. SQLite tells of the pages of a batch when the next
// begins: there is one more, of nothing.
func (g *gathering) each(texts bool, call func(context.Context, int) error) func(int) error {
	one := func(i int) error { return call(g.ctx, i) }
	return func(calls int) error {
		for range calls / crowdSize {
			if err := errors.Join(g.together(texts, one), g.nothing()); err != nil {
				return err
			}
			if texts {
				g.to = g.to[1:]
			} else {
				g.ids = g.ids[1:]
			}
		}
		return nil
	}
}

func (g *gathering) start(ctx context.Context, i int) error {
	_, err := g.startOne(ctx, i)
	return err
}

func (g *gathering) startOne(ctx context.Context, i int) (string, error) {
	started, err := g.service.Start(ctx, verify.StartRequest{App: appName, To: g.to[0][i], Usage: sms.UsageSignIn})
	if err != nil {
		return "", err
	}
	return started.Verification.ID, nil
}

// number makes numbers that were not used before. HTTP's part, in which they are
// parsed, is counted elsewhere.
func (g *gathering) number(calls int) error {
	for range calls / crowdSize {
		var to [crowdSize]phone.Number
		for i := range to {
			g.numbers++
			n, err := phone.Parse("+" + string(appendNumber(nil, g.numbers)))
			if err != nil {
				return err
			}
			to[i] = n
		}
		g.to = append(g.to, to)
	}
	return nil
}

// prepare starts verifications.
func (g *gathering) prepare(calls int) error {
	if err := g.number(calls); err != nil {
		return err
	}
	var ids [crowdSize]string
	start := g.each(true, func(ctx context.Context, i int) (err error) {
		ids[i], err = g.startOne(ctx, i)
		return err
	})
	for range calls / crowdSize {
		if err := start(crowdSize); err != nil {
			return err
		}
		g.ids = append(g.ids, ids)
	}
	return nil
}
