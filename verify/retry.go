package verify

import (
	"context"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// The one place that decides what follows when a text was not taken. Connectors
// only classify.
//
//	outcome        the error says         what follows
//	maybe                                 nothing is posted: it is looked for first (reconcile.go)
//	refused        auth, account, sender  the next connector; else it is final
//	refused        anything else          final: the number is the same everywhere
//	not processed  may be repeated        again after a while, here or at a connector that is in
//	                                      order; when the caller's patience ends, in the background
//	not processed  anything else          as refused
const (
	firstBackoff   = 250 * time.Millisecond // between tries while a caller waits
	longestBackoff = 4 * time.Second
	firstPark      = time.Second // between tries in the background
	longestPark    = 30 * time.Second
)

// plan is what follows a report. The zero plan is that it is final.
type plan struct {
	again time.Duration // post it again after this, in this process
	park  time.Duration // post it again after this, whoever comes
	move  *way          // send it through another connector
}

// next decides. tried are the connectors that refused it.
func (s *Service) next(j *job, r *report, try int, tried []string) plan {
	if r.err == nil || r.err.Outcome == connector.OutcomeMaybe {
		return plan{}
	}
	ours := slices.Contains([]connector.Kind{connector.KindAuth, connector.KindAccount, connector.KindSender}, r.err.Kind)
	again := r.err.Outcome == connector.OutcomeNotProcessed && r.err.Actions.Has(connector.ActRetry)
	if !ours && !again {
		return plan{}
	}
	other := s.other(j, tried)
	if ours && other.route != nil {
		return plan{move: &other} // even if that one has to wait: this one will not do
	}
	if !again {
		return plan{}
	}
	rest := j.breaker.wait()
	wait := backoff(firstBackoff, longestBackoff, try)
	if ask := r.err.RetryAfter; ask > 0 {
		wait = max(wait, ask+jitter(ask/8)) // never before the time asked for
	}
	wait = max(wait, rest)
	// A post that begins within the patience has the deadline's other half to end in.
	if rest == 0 && time.Until(j.patience) > wait {
		return plan{again: wait}
	}
	if other.route != nil && other.wait == 0 {
		return plan{move: &other}
	}
	if time.Until(j.patience) > wait {
		return plan{again: wait}
	}
	return plan{park: max(wait, backoff(firstPark, longestPark, j.send.Tries))}
}

// other finds the connector, of those that were not tried, that can be had first.
// It may have none.
func (s *Service) other(j *job, tried []string) (best way) {
	for _, w := range s.waysOf(j.v) {
		if w.name == j.send.Connector || slices.Contains(tried, w.name) {
			continue
		}
		if best.route == nil || w.wait < best.wait {
			best = w
		}
	}
	return best
}

// backoff is an exponential wait, half of it random.
func backoff(first, longest time.Duration, try int) time.Duration {
	d := min(first<<min(max(try, 0), 16), longest)
	return d/2 + jitter(d/2)
}

// pause waits, unless ctx ends or the service closes first.
func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.flight.closing:
	}
	return false
}
