package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts is an Observer.
type counts struct {
	mu             sync.Mutex
	tried, givenUp map[string]int
	oldest         time.Duration
}

func newCounts() *counts { return &counts{tried: map[string]int{}, givenUp: map[string]int{}} }

func (c *counts) EventTried(app, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried[app+" "+result]++
}

func (c *counts) EventGivenUp(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.givenUp[app]++
}

func (c *counts) EventOldest(age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oldest = age
}

// site is a store with deliverers, and endpoints that do as they are told, in the
// time of a synctest bubble.
type site struct {
	t      *testing.T
	store  *memory.Store
	seen   *counts
	log    strings.Builder
	logMu  sync.Mutex
	answer func(app string, e verify.Event) answer // may take its time; ctx ends it

	mu  sync.Mutex
	got []string // the ids that arrived, in their order
	at  []time.Time
	// How many are on their way, and were at most.
	busy, most int
}

func newSite(t *testing.T, answer func(app string, e verify.Event) answer) *site {
	t.Helper()
	return &site{t: t, store: memory.New(nil), seen: newCounts(), answer: answer}
}

func (s *site) Write(p []byte) (int, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log.Write(p)
}

func (s *site) post(ctx context.Context, e Endpoint, ev verify.Event, _ time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	s.mu.Lock()
	s.got = append(s.got, ev.ID)
	s.at = append(s.at, time.Now())
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
	}()
	done := make(chan answer, 1)
	go func() { done <- s.answer(e.App, ev) }()
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	}
}

// deliverer makes one for some apps. stop ends it.
func (s *site) deliverer(out verify.Outbox, apps ...string) (d *Deliverer, stop func()) {
	s.t.Helper()
	var endpoints []Endpoint
	for _, app := range apps {
		endpoints = append(endpoints, Endpoint{App: app, URL: "https://hooks.example.com/", Secrets: []secret.String{secret.New(testSecret)}})
	}
	d, err := New(Options{Outbox: out, Endpoints: endpoints, Observer: s.seen, Log: slog.New(slog.NewTextHandler(s, nil)), post: s.post})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	var once sync.Once
	return d, func() { once.Do(func() { cancel(); <-done }) }
}

// tell writes events down, each as key/name.
func (s *site) tell(app string, ids ...string) {
	s.t.Helper()
	_, err := s.store.Do(context.Background(), verify.Op{Decide: func(time.Time, *verify.Subject, *verify.Verification) (d verify.Decision, err error) {
		for _, id := range ids {
			key, _, _ := strings.Cut(id, "/")
			d.Events = append(d.Events, verify.Event{ID: id, App: app, Key: key, Type: verify.EventDelivered, Payload: []byte(id)})
		}
		return d, nil
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) arrived() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *site) left() int {
	s.t.Helper()
	all, err := s.store.OldestEvents(context.Background(), 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(all)
}

func status(n int) answer { return answer{status: n} }

func TestDelivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(string, verify.Event) answer { return status(204) })
		d, stop := s.deliverer(s.store, "shop")
		defer stop()
		synctest.Wait()
		s.tell("shop", "a/1", "b/1", "a/2")
		s.tell("nobody", "c/1")
		d.Wake("shop")
		d.Wake("nobody")
		synctest.Wait() // no time passes: it was woken
		if got := s.arrived(); len(got) != 3 || slices.Index(got, "a/1") > slices.Index(got, "a/2") {
			t.Errorf("%q", got)
		}
		s.tell("shop", "d/1") // another process's: nobody wakes this one
		time.Sleep(pollEvery)
		synctest.Wait()
		if got := s.arrived(); len(got) != 4 || s.left() != 1 {
			t.Errorf("%q, %d left", got, s.left())
		}
		// The app without an endpoint is not waited for for ever.
		time.Sleep(MaxAge + time.Minute)
		synctest.Wait()
		if n := s.seen.givenUp["nobody"]; n != 1 || s.left() != 0 || !strings.Contains(s.log.String(), "event=c/1") {
			t.Errorf("%d given up, %d left\n%s", n, s.left(), s.log.String())
		}
	})
}

// TestRetries follows one event that never arrives, and what waits behind it.
func TestRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ string, e verify.Event) answer {
			if e.ID == "a/2" {
				return status(200)
			}
			return status(500)
		})
		_, stop := s.deliverer(s.store, "shop")
		defer stop()
		s.tell("shop", "a/1", "a/2")
		time.Sleep(MaxAge)
		synctest.Wait()
		if got, want := s.arrived(), append(slices.Repeat([]string{"a/1"}, 10), "a/2"); !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
		for n, want := range waits() {
			// A minute for the rest of an endpoint that fails, and a poll.
			if d := s.at[n+1].Sub(s.at[n]); d < want || d > want+want/10+longestRest+pollEvery {
				t.Errorf("try %d came %s after the one before, want %s", n+2, d, want)
			}
		}
		if s.seen.tried["shop 5xx"] != 10 || s.seen.tried["shop delivered"] != 1 || s.seen.givenUp["shop"] != 1 || s.left() != 0 {
			t.Errorf("%v %v, %d left", s.seen.tried, s.seen.givenUp, s.left())
		}
		if n := strings.Count(s.log.String(), "webhook event given up"); n != 1 {
			t.Errorf("the log tells %d times that it was given up", n)
		}
	})
}

func TestGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(string, verify.Event) answer { return status(http.StatusGone) })
		_, stop := s.deliverer(s.store, "shop")
		defer stop()
		s.tell("shop", "a/1", "a/2")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.arrived(); len(got) != 2 || s.seen.givenUp["shop"] != 2 || s.left() != 0 {
			t.Errorf("%q, %v, %d left", got, s.seen.givenUp, s.left())
		}
	})
}

// TestRetryAfter waits for as long as the endpoint asked for, with all events.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := true
		s := newSite(t, func(string, verify.Event) answer {
			if busy {
				busy = false
				return answer{status: 429, asked: 50 * time.Second}
			}
			return status(200)
		})
		began := time.Now()
		_, stop := s.deliverer(s.store, "shop")
		defer stop()
		s.tell("shop", "a/1")
		time.Sleep(pollEvery)
		synctest.Wait()
		s.tell("shop", "b/1")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(s.got) != 3 || s.at[1].Sub(began) < 50*time.Second || s.at[2].Sub(began) < 50*time.Second || s.at[2].Sub(began) > time.Minute {
			t.Errorf("%q at %v", s.got, s.at)
		}
	})
}

// TestOthersDoNotWait: the endpoint of one app hangs, those of another's events are
// not late for it; nor do they take more than their number of places.
func TestOthersDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(app string, _ verify.Event) answer {
			if app == "dead" {
				time.Sleep(time.Hour)
			}
			return status(200)
		})
		d, stop := s.deliverer(s.store, "dead", "shop")
		defer stop()
		for i := range 200 {
			s.tell("dead", fmt.Sprintf("d%d/1", i))
		}
		time.Sleep(10 * time.Minute)
		for i := range 50 {
			began := time.Now()
			s.tell("shop", fmt.Sprintf("s%d/1", i))
			d.Wake("shop")
			synctest.Wait()
			if got := s.arrived(); got[len(got)-1] != fmt.Sprintf("s%d/1", i) || time.Now() != began {
				t.Fatalf("after %d the last is %s", i, got[len(got)-1])
			}
		}
		// It rests most of the time: ten minutes of four that hang for 15 s would
		// be 160.
		if n := s.seen.tried["dead no_answer"]; s.most != atOnce || n < restAfter || n > 30 {
			t.Errorf("%d at once, %d tries", s.most, n)
		}
		stop()
		time.Sleep(time.Hour) // what hangs ends
	})
}

// TestStops gives back what is on its way, at once and uncounted.
func TestStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := time.Second
		s := newSite(t, func(string, verify.Event) answer {
			time.Sleep(slow)
			return status(200)
		})
		_, stop := s.deliverer(s.store, "shop")
		s.tell("shop", "a/1")
		time.Sleep(slow / 2)
		stop()
		if s.left() != 0 {
			t.Error("what was nearly done was not finished")
		}
		slow = time.Hour
		s.tell("shop", "b/1")
		_, stop = s.deliverer(s.store, "shop")
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took != stopGrace {
			t.Errorf("to stop took %s", took)
		}
		events, err := s.store.ClaimEvents(t.Context(), "shop", 10, lease)
		if err != nil || len(events) != 1 || events[0].Tries != 1 {
			t.Errorf("what was given back: %+v, %v", events, err)
		}
		time.Sleep(slow)
	})
}

// TestStoreIsDown asks it no more often because there is much to ask, and posts
// again what it could not write down.
func TestStoreIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(string, verify.Event) answer { return status(200) })
		out := &frailOutbox{Outbox: s.store}
		d, stop := s.deliverer(out, "shop")
		defer stop()
		synctest.Wait()
		out.set(func(string) error { return verify.ErrUnavailable })
		s.tell("shop", "a/1")
		for range 1000 {
			d.Wake("shop")
			time.Sleep(10 * time.Millisecond)
		}
		if n := out.count("claim"); n > 10 {
			t.Errorf("it was asked %d times in ten seconds", n)
		}
		out.set(func(call string) error {
			if call == "settle" {
				return verify.ErrUnavailable
			}
			return nil
		})
		time.Sleep(lease / 2)
		synctest.Wait()
		out.set(nil)
		time.Sleep(2 * lease)
		synctest.Wait()
		if got := s.arrived(); !slices.Equal(got, []string{"a/1", "a/1"}) || s.left() != 0 {
			t.Errorf("%q, %d left", got, s.left())
		}
	})
}

// frailOutbox fails before a call, after it, or from a time on for good.
type frailOutbox struct {
	verify.Outbox
	mu     sync.Mutex
	fail   func(call string) error
	after  func(call string) error
	calls  map[string]int
	broken bool
}

var errBroken = errors.New("the process is gone")

func (o *frailOutbox) set(fail func(string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = fail
}

func (o *frailOutbox) count(call string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[call]
}

func (o *frailOutbox) crash() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
}

func (o *frailOutbox) check(call string, before bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls == nil {
		o.calls = map[string]int{}
	}
	switch {
	case o.broken:
		return errBroken
	case before:
		o.calls[call]++
		if o.fail != nil {
			return o.fail(call)
		}
	case o.after != nil:
		return o.after(call)
	}
	return nil
}

func (o *frailOutbox) ClaimEvents(ctx context.Context, app string, limit int, lease time.Duration) (events []verify.Event, err error) {
	if err := o.check("claim", true); err != nil {
		return nil, err
	}
	events, err = o.Outbox.ClaimEvents(ctx, app, limit, lease)
	if err := o.check("claim", false); err != nil {
		return nil, err
	}
	return events, err
}

func (o *frailOutbox) SettleEvent(ctx context.Context, r verify.EventResult) (done bool, err error) {
	if err := o.check("settle", true); err != nil {
		return false, err
	}
	done, err = o.Outbox.SettleEvent(ctx, r)
	if err := o.check("settle", false); err != nil {
		return false, err
	}
	return done, err
}

func TestOptions(t *testing.T) {
	t.Parallel()
	good := Endpoint{App: "shop", URL: "https://hooks.example.com/", Secrets: []secret.String{secret.New(testSecret)}}
	bad := good
	bad.URL, bad.Secrets = "http://hooks.example.com/", []secret.String{secret.New("whsec_short")}
	none := good
	none.App, none.Secrets = "bare", nil
	_, err := New(Options{Endpoints: []Endpoint{good, good, bad, none}})
	for _, want := range []string{"two endpoints", "events go by https", "secrets[0]", "bare", "there is none"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "whsec_short") {
		t.Errorf("the error quotes a secret: %v", err)
	}
}
