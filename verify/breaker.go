package verify

import (
	"math/rand/v2"
	"sync"
	"time"
)

// How a connector that is out of order is left alone.
const (
	breakAfter = 5 // failures in a row
	// The first rest, which doubles up to the longest. Twilio's own outages last
	// minutes; a probe every half minute finds their end soon enough.
	firstRest   = time.Second
	longestRest = 30 * time.Second
	// stallRest is the wait until somebody asks again whether it still is.
	stallRest = time.Second
)

// breaker keeps texts from a connector that fails, so that a dead provider
// costs nobody the time to find out. After breakAfter failures in a row it opens
// for a while; then one text probes, and closes it or opens it for longer. It
// is open as well while requests are under way and none gets an answer.
//
// Its time is the process's own, which no clock's jump touches.
type breaker struct {
	stall   time.Duration
	changed func(open bool) // told of each change, in order

	mu       sync.Mutex
	failures int
	rest     time.Duration // the next one
	until    time.Time     // open until then; zero is closed
	probing  bool
	inFlight int
	quiet    time.Time // since when no answer came to those in flight
	told     bool      // what changed was last told
}

func newBreaker(stall time.Duration, changed func(bool)) *breaker {
	return &breaker{stall: stall, changed: changed, rest: firstRest}
}

// wait is how long a text has to wait for its turn to be tried; zero is not at
// all.
func (b *breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waitAt(time.Now())
}

func (b *breaker) waitAt(now time.Time) time.Duration {
	switch {
	case b.inFlight > 0 && now.Sub(b.quiet) > b.stall:
		return stallRest
	case b.until.IsZero():
		return 0
	case now.Before(b.until):
		return b.until.Sub(now)
	case b.probing:
		return firstRest
	default:
		return 0
	}
}

// enter begins a request, which must leave in the end; or it may not begin.
func (b *breaker) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.waitAt(now) > 0 {
		b.tell()
		return false
	}
	if b.inFlight == 0 {
		b.quiet = now
	}
	b.inFlight++
	b.probing = !b.until.IsZero()
	return true
}

// leave ends a request. answered is whether the provider said anything, and
// retryAfter how long it asked to wait.
func (b *breaker) leave(ok, answered bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.inFlight--
	if answered {
		b.quiet = now
	}
	switch open := !b.until.IsZero(); {
	case ok:
		b.failures, b.rest, b.until, b.probing = 0, firstRest, time.Time{}, false
	case open && !b.probing:
		// It began before the breaker opened: nothing new.
	default:
		b.failures++
		if open || b.failures >= breakAfter {
			rest := min(max(b.rest, retryAfter), longestRest)
			b.until, b.probing = now.Add(rest+jitter(rest/4)), false
			b.rest = min(2*b.rest, longestRest)
		}
	}
	b.tell()
}

// tell is called with the lock held: what is told keeps its order.
func (b *breaker) tell() {
	open := !b.until.IsZero() || b.waitAt(time.Now()) > 0
	if open != b.told {
		b.told = open
		b.changed(open)
	}
}

// jitter is a random part of d, so that what failed at once does not come back
// at once. It need not be unforeseeable.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d) //nolint:forbidigo,gosec // it spreads load: tests know its bounds
}
