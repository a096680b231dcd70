package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/connector"
)

// The machine of this file interleaves starts, resends, messages and checks with
// answers that are held, lost or refused, callbacks in any order, crashes,
// clocks that jump, and the work of the background. What the provider knows is
// the truth; in the end the records must tell it.

// delivery is the machine.
type delivery struct {
	t         *testing.T
	b         *bench
	providers []*truth
	dead      chan struct{}
	jump      time.Duration
	asked     map[string]int // texts that were asked for, by record
	ids       []string
	seen      map[string]word // of each send, when it was last looked at
	heardOf   []callbackDue

	// When, in operations of the store, a send became unknown, and was claimed.
	seq              int
	unknown, claimed map[string]int
	epochs           map[string]int
	latest           time.Time // that the store's clock has shown
}

func newDelivery(t *testing.T, seed uint64, two bool, lag time.Duration) *delivery {
	d := &delivery{t: t, asked: map[string]int{}, seen: map[string]word{}, unknown: map[string]int{}, claimed: map[string]int{}, epochs: map[string]int{}}
	d.b = newBench(t, func(o *Options) { o.Log = nil })
	d.b.store.now = func() time.Time { return time.Now().Add(d.jump) }
	d.b.store.after = func(Op) error { d.watchRows(); return nil }
	for i, name := range []string{"main", "other"} {
		if i == 0 || two {
			d.providers = append(d.providers, &truth{name: name, r: rand.New(rand.NewPCG(seed, uint64(i))), lag: lag, watch: d.watch})
		}
	}
	d.boot()
	return d
}

// boot starts a process on the store.
func (d *delivery) boot() {
	d.dead = make(chan struct{})
	templates := d.b.options.Connectors[0].Templates
	d.b.options.Connectors = nil
	for _, p := range d.providers {
		d.b.options.Connectors = append(d.b.options.Connectors, Connector{Name: p.name, Sender: &instance{p, d.dead}, Templates: templates})
	}
	d.b.options.Store = &mortalStore{d.b.store, d.dead}
	d.b.options.CallbackURL = func(_, sendID string) string { return sendID }
	d.b.options.Policy.Life, d.b.options.Policy.Feedback = 5*time.Minute, false
	d.b.restart()
	d.b.now = d.b.store.now
}

func (d *delivery) start(rt *rapid.T) {
	message := rapid.IntRange(0, 3).Draw(rt, "message") == 0
	code := rapid.SampledFrom([]string{"111111", "222222"}).Draw(rt, "code")
	n := number(d.t, rapid.SampledFrom([]string{testNumber, "+12125550123"}).Draw(rt, "number"))
	svc := d.b.Service
	go func() {
		var st Started
		var err error
		if message {
			st, err = svc.SendMessage(context.Background(), MessageRequest{App: testApp, To: n, Usage: "SignIn", ClientIP: testIP, Payload: map[string]any{"code": code}})
		} else {
			st, err = svc.Start(context.Background(), StartRequest{App: testApp, To: n, Usage: "SignIn", ClientIP: testIP})
		}
		d.note(st, err)
	}()
}

// note remembers what was asked for and told.
func (d *delivery) note(st Started, err error) {
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	var refused *RefusedError
	if errors.As(err, &refused) {
		st.Verification, st.Sent = refused.Verification, true
	}
	if st.Verification == nil || !st.Sent {
		return
	}
	if d.asked[st.Verification.ID] == 0 {
		d.ids = append(d.ids, st.Verification.ID)
	}
	d.asked[st.Verification.ID]++
}

// started are the newest records, the newest last.
func (d *delivery) started() []string {
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	return slices.Clone(d.ids[max(0, len(d.ids)-3):])
}

func (d *delivery) pick(rt *rapid.T) string {
	ids := d.started()
	return ids[len(ids)-1-rapid.IntRange(0, len(ids)-1).Draw(rt, "which")]
}

func (d *delivery) resend(rt *rapid.T) {
	id, svc := d.pick(rt), d.b.Service
	go func() {
		st, err := svc.Resend(context.Background(), ResendRequest{App: testApp, ID: id})
		d.note(st, err)
	}()
}

func (d *delivery) cancel(rt *rapid.T) {
	_, _, err := d.b.Cancel(context.Background(), testApp, d.pick(rt))
	if err != nil && !errors.Is(err, ErrNotFound) {
		panic(err)
	}
}

func (d *delivery) provider(rt *rapid.T) *truth {
	return d.providers[rapid.IntRange(0, len(d.providers)-1).Draw(rt, "provider")]
}

func (d *delivery) release(rt *rapid.T) {
	p := d.provider(rt)
	do := rapid.IntRange(0, doHold-1).Draw(rt, "answer")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.held) > 0 {
		n := p.r.IntN(len(p.held))
		p.held[n].release <- do
		p.held = slices.Delete(p.held, n, n+1)
	}
}

func (d *delivery) callback(rt *rapid.T) {
	p := d.provider(rt)
	again := rapid.IntRange(0, 3).Draw(rt, "an old one again") == 0
	p.mu.Lock()
	var r callbackDue
	switch {
	case again && len(d.heardOf) > 0:
		r = d.heardOf[p.r.IntN(len(d.heardOf))]
	case len(p.reports) > 0:
		n := p.r.IntN(len(p.reports))
		r = p.reports[n]
		p.reports = slices.Delete(p.reports, n, n+1)
		d.heardOf = append(d.heardOf, r)
	}
	p.mu.Unlock()
	if r.send == "" {
		return
	}
	name := "main"
	if strings.HasPrefix(r.u.ProviderID, "SM-other") {
		name = "other"
	}
	if err := d.b.RecordDelivery(context.Background(), name, r.send, r.u); err != nil && !errors.Is(err, ErrNotFound) {
		panic(err)
	}
}

func (d *delivery) crash(*rapid.T) {
	close(d.dead)
	d.boot()
}

func (d *delivery) clock(rt *rapid.T) {
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	d.jump = min(max(d.jump, -10*time.Minute), 0) + rapid.SampledFrom([]time.Duration{-time.Minute, -10 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}).Draw(rt, "jump")
}

func (d *delivery) wait(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{
		time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 5 * time.Second, 16 * time.Second, 41 * time.Second, 3 * time.Minute,
	}).Draw(rt, "for"))
}

func (d *delivery) work(*rapid.T) {
	svc := d.b.Service
	go func() { _, _ = svc.Reconcile(context.Background()) }() // it may hang in a post, as a process does
}

// everything holds the records against what was seen of them before.
func (d *delivery) everything() error {
	synctest.Wait()
	for _, p := range d.providers {
		p.mu.Lock()
		wrong := p.wrong
		p.mu.Unlock()
		if len(wrong) > 0 {
			return errors.New(wrong[0])
		}
	}
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	for id := range d.b.store.verifications {
		v, err := memRows{d.b.store}.Verification(id)
		if err != nil {
			return err
		}
		for i := range v.Sends {
			send := &v.Sends[i]
			is, was := word{send.Status, send.Guess}, d.seen[send.ID]
			if was.status != "" && is != was && !mayFollow(was, is) {
				return fmt.Errorf("send %s was %v and is %v", send.ID, was, is)
			}
			d.seen[send.ID] = is
		}
		if v.Supplied && v.Sealed != nil && !slices.ContainsFunc(v.Sends, func(s Send) bool {
			return s.Status == connector.StatusSending || s.Status == connector.StatusUnknown
		}) {
			return fmt.Errorf("message %s is still sealed, and nothing of it is to be sent: %+v", id, v.Sends)
		}
	}
	return nil
}

// settle lets the weather clear and everything come to rest.
func (d *delivery) settle() error {
	for _, p := range d.providers {
		p.mu.Lock()
		p.fair, p.lag = true, 0
		for _, h := range p.held {
			h.release <- doTake
		}
		p.held, p.reports = nil, nil
		for range 2 {
			for _, t := range p.texts {
				p.advance(t)
			}
		}
		p.reports = nil // they are all lost
		p.mu.Unlock()
	}
	idle := 0
	for range 4000 {
		synctest.Wait()
		n, err := d.b.Reconcile(context.Background())
		if err != nil {
			return err
		}
		for _, p := range d.providers { // texts that were taken by now
			p.mu.Lock()
			for range 2 {
				for _, t := range p.texts {
					p.advance(t)
				}
			}
			p.reports = nil
			p.mu.Unlock()
		}
		if err := d.everything(); err != nil {
			return err
		}
		if idle++; n > 0 {
			idle = 0
		}
		if idle > 3 && !d.owed() {
			return d.judge()
		}
		time.Sleep(5 * time.Second)
	}
	return errors.New("there is no end of what is owed")
}

func (d *delivery) owed() bool {
	d.b.store.mu.Lock()
	defer d.b.store.mu.Unlock()
	for id := range d.b.store.verifications {
		if v, _ := (memRows{d.b.store}).Verification(id); !v.DueAt().IsZero() {
			return true
		}
	}
	return false
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		two := rapid.Bool().Draw(rt, "two connectors")
		lag := rapid.SampledFrom([]time.Duration{0, 0, 0, 3 * time.Second, 10 * time.Second, time.Minute}).Draw(rt, "lag")
		// rapid ends an example by a panic, which must not leave the bubble's goroutine.
		var ended any
		var failure error
		synctest.Test(t, func(t *testing.T) {
			d := newDelivery(t, seed, two, lag)
			func() {
				defer func() { ended = recover() }()
				d.drive(rt, &failure)
			}()
			if ended == nil && failure == nil {
				failure = d.settle()
			}
			close(d.dead)
			time.Sleep(2 * time.Minute) // every goroutine ends
		})
		if ended != nil {
			panic(ended)
		}
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

func (d *delivery) drive(rt *rapid.T, failure *error) {
	steps := map[string]func(*rapid.T){
		"start": d.start, "start2": d.start, "resend": d.resend, "cancel": d.cancel,
		"release": d.release, "release2": d.release, "callback": d.callback, "callback2": d.callback,
		"progress": func(rt *rapid.T) { d.provider(rt).progress() },
		"crash":    d.crash, "clock": d.clock, "wait": d.wait, "wait2": d.wait, "work": d.work, "work2": d.work, "work3": d.work,
	}
	names := make([]string, 0, len(steps))
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	for range rapid.IntRange(5, 60).Draw(rt, "steps") {
		name := rapid.SampledFrom(names).Draw(rt, "step")
		if (name == "resend" || name == "cancel") && len(d.started()) == 0 {
			continue
		}
		steps[name](rt)
		if *failure = d.everything(); *failure != nil {
			return
		}
	}
}
