//go:build linux && !race

package costs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// holdCall is the job whose costs the jobs that hold the writer are spared.
const holdCall = "hold"

// crowdSize is how many call at once.
const crowdSize = 64

// crowd calls the domain, without HTTP, so that what all of them hand to the
// store is one batch: the store's writer is held in an operation until all the
// others wait behind it. A batch of another size is no measurement.
type crowd struct {
	store   crowdStore
	service *verify.Service
	work    []chan func(int) error // to each caller
	callers sync.WaitGroup
	done    chan error
	sizes   chan int // of the batches

	sending, sent chan struct{} // a text is at the provider; it has answered
}

type crowdStore interface {
	verify.Store
	Close() error
}

// openCrowd makes a crowd on a store of its own: a database, or a file that is not
// there yet.
func openCrowd(ctx context.Context, url, file string) (*crowd, error) {
	c := &crowd{done: make(chan error, crowdSize), sizes: make(chan int, crowdSize), sending: make(chan struct{}), sent: make(chan struct{})}
	catalog, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}})
	if err != nil {
		return nil, err
	}
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		return nil, err
	}
	policy := verify.DefaultPolicy()
	policy.AllCountries, policy.Apps = true, map[string]verify.AppPolicy{appName: {NoClientIP: true}}
	for _, l := range policy.Limits.Each() {
		l.Burst = 10_000_000
		if l.Every != 0 {
			l.Every = time.Millisecond
		}
	}
	observe := func(size int, _ time.Duration) {
		select {
		case c.sizes <- size:
		default: // nobody has asked for long
		}
	}
	if url == "" {
		c.store, err = sqlite.Open(ctx, sqlite.Options{Path: file, Observe: observe})
	} else {
		c.store, err = postgres.Open(ctx, postgres.Options{URL: secret.New(url), Observe: observe})
	}
	if err != nil {
		return nil, err
	}
	c.service, err = verify.New(verify.Options{
		Store: c.store, Keys: ring, Policy: policy,
		Connectors: []verify.Connector{{Name: connectorName, Sender: c, Templates: catalog}},
	})
	if err != nil {
		return nil, errors.Join(err, c.store.Close())
	}
	for i := range crowdSize {
		work := make(chan func(int) error)
		c.work = append(c.work, work)
		c.callers.Go(func() {
			for f := range work {
				c.done <- f(i)
			}
		})
	}
	return c, nil
}

// close ends the callers, and then the store, which does what it has put off.
func (c *crowd) close() error {
	for _, w := range c.work {
		close(w)
	}
	c.callers.Wait()
	return errors.Join(c.service.Close(context.Background()), c.store.Close())
}

// Send is the provider, who answers when all have asked.
func (c *crowd) Send(context.Context, connector.Message) (connector.Receipt, error) {
	c.sending <- struct{}{}
	<-c.sent
	return connector.Receipt{ProviderID: providersID, Status: connector.StatusAccepted}, nil
}

// hold has the writer busy with an operation that changes nothing, until let go.
func (c *crowd) hold() (letGo func() error) {
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := c.store.Do(context.Background(), verify.Op{Subject: verify.SubjectKey{1}, Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			once.Do(func() { close(held) })
			<-free
			return verify.Decision{}, nil
		}})
		done <- err
	}()
	<-held
	return func() error {
		close(free)
		return <-done
	}
}

// rest waits until nobody can run but the one who waits.
func rest() {
	runnable := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	for {
		runtime.Gosched()
		if metrics.Read(runnable); runnable[0].Value.Uint64() == 0 {
			return
		}
	}
}

// nothing only holds the writer: what that costs is no caller's.
func (c *crowd) nothing() error { return c.hold()() }

// together has each caller call f, so that they are one batch. Where they send
// texts, the outcomes of these are another.
func (c *crowd) together(texts bool, f func(int) error) error {
	for len(c.sizes) > 0 {
		<-c.sizes
	}
	letGo := c.hold()
	for _, w := range c.work {
		w <- f
	}
	rest()
	err := errors.Join(letGo(), c.whole())
	at, left := 0, crowdSize // the provider's; under way
	for texts && at < left {
		select {
		case <-c.sending:
			at++
		case failed := <-c.done:
			err = errors.Join(err, failed, errEarly)
			left--
		}
	}
	if texts {
		letGo = c.hold()
		for range at {
			c.sent <- struct{}{}
		}
		rest()
		err = errors.Join(err, letGo(), c.whole())
	}
	for range left {
		err = errors.Join(err, <-c.done)
	}
	return err
}

// whole waits for the callers' batch. The store may have something of its own to
// write, by itself or along with them or with who held the writer.
func (c *crowd) whole() error {
	for {
		switch size := <-c.sizes; {
		case size == crowdSize || size == crowdSize+1:
			return nil
		case size > 2:
			return fmt.Errorf("%w: %d came at once", errTorn, size)
		}
	}
}

var (
	// errTorn says that the callers came in more batches than one.
	errTorn = errors.New("costs: the batches are not those that were meant")
	// errEarly says that a call ended that should have waited for its text.
	errEarly = errors.New("costs: a call sent no text")
)
