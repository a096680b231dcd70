package verify

import (
	"slices"
	"strconv"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// end moves a pending verification to a final status, once; docs/states.md
// draws it. s forgets it. It reports whether anything changed.
func (v *Verification) end(s *Subject, now time.Time, status Status, reason Reason) bool {
	if v.StatusAt(now) != StatusPending {
		return false
	}
	v.Status, v.Reason, v.EndedAt = status, reason, now
	if !v.keepsNumber() {
		s.remove(v.ID)
	}
	return true
}

// expire writes down that a pending verification's time has run out, so that no
// clock that is set back can bring it to life. It reports whether it did.
func (v *Verification) expire(s *Subject, now time.Time) bool {
	if v.Status != StatusPending || v.StatusAt(now) != StatusExpired {
		return false
	}
	v.Status, v.EndedAt = StatusExpired, now
	if v.ExpiresAt.Before(now) {
		v.EndedAt = v.ExpiresAt
	}
	s.remove(v.ID)
	return true
}

// resendWait is how long the next text has to wait.
func (s *Service) resendWait(v *Verification, now time.Time) time.Duration {
	last := v.Sends[len(v.Sends)-1].CreatedAt
	if last.Sub(now) > ClockSlack {
		return 0 // the clock jumped back; the wait would last for the jump's length
	}
	longest := last.Add(slices.Max(s.policy.ResendWaits)).Sub(now)
	return max(0, min(longest, v.ResendAfter.Sub(now)))
}

// testConnector is the connector of test numbers' sends: there is none.
const testConnector = "test"

// freeSends is how many sends of one verification may come to nothing without
// counting. Beyond them a provider that fails is not asked again.
const freeSends = 5

// sendsLeft reports whether another text may be sent.
func (v *Verification) sendsLeft() bool {
	return v.chargedSends() < v.MaxSends && len(v.Sends) < v.MaxSends+freeSends
}

func (v *Verification) chargedSends() int {
	n := 0
	for i := range v.Sends {
		if v.Sends[i].charged() {
			n++
		}
	}
	return n
}

// addSend writes a send down before it is made, and when the next may follow.
// One that has to wait for its connector is parked.
func (s *Service) addSend(v *Verification, now time.Time, w way) *Send {
	send := Send{
		ID: v.ID + "." + strconv.Itoa(len(v.Sends)+1), Channel: v.Channel,
		Status: connector.StatusSending, Generation: v.Generation, CreatedAt: now, UpdatedAt: now, Epoch: 1,
	}
	switch s.through(v, &send, w); {
	case v.Test:
		send.Connector, send.Status = testConnector, connector.StatusAccepted
		send.Segments, send.Feedback = 0, FeedbackNone
	case w.wait > 0:
		s.park(v, &send, now, w.wait)
	default:
		s.lease(&send, now)
	}
	if v.Supplied {
		send.History = []Heard{{send.Status, now}}
	}
	v.Sends = append(v.Sends, send)
	v.ResendAfter = now.Add(nth(s.policy.ResendWaits, v.chargedSends()))
	if !v.sendsLeft() {
		v.ResendAfter = v.ExpiresAt
	}
	return &v.Sends[len(v.Sends)-1]
}

// through makes a connector the send's. Each has texts of its own.
func (s *Service) through(v *Verification, send *Send, w way) {
	send.Connector, send.Segments, send.Feedback = w.name, w.segments, FeedbackNone
	if s.policy.Feedback && w.feedback != nil && !v.Supplied {
		send.Feedback = FeedbackWanted
	}
}

// lease gives the send to the process that asks, to be posted now. A process
// that dies leaves it to whoever comes when the lease is over.
func (s *Service) lease(send *Send, now time.Time) {
	send.LeaseUntil = now.Add(s.sendDeadline() + LeaseSlack)
	send.NextAt = send.LeaseUntil
}

// park puts a send that was not taken off for a while: it waits in the store,
// not in memory. From when its code is stale there is nothing to wait for.
func (s *Service) park(v *Verification, send *Send, now time.Time, wait time.Duration) {
	send.LeaseUntil = time.Time{}
	send.NextAt = now.Add(wait)
	if stale := v.ExpiresAt.Add(-s.policy.FreshBelow); stale.After(now) && stale.Before(send.NextAt) {
		send.NextAt = stale
	}
}

// parked reports whether the send waits to be posted, and is not under way.
func (s *Send) parked() bool {
	return s.Status == connector.StatusSending && s.LeaseUntil.IsZero()
}

// unresolved reports whether the send was posted, perhaps, and somebody is to
// find out what became of it.
func (s *Send) unresolved() bool {
	return s.Status == connector.StatusUnknown && !s.NextAt.IsZero() || s.Status == connector.StatusSending && !s.parked()
}

// fresh reports whether the send's code is worth sending: a stale one is never
// sent.
func (s *Service) fresh(v *Verification, send *Send, now time.Time) bool {
	return v.StatusAt(now) == StatusPending && send.Generation == v.Generation && v.ExpiresAt.Sub(now) > s.policy.FreshBelow
}

// send finds a send by its id, or nil.
func (v *Verification) send(id string) *Send {
	for i := range v.Sends {
		if v.Sends[i].ID == id {
			return &v.Sends[i]
		}
	}
	return nil
}

// sendDeadline is how long a send may take: one request, and the wait for its
// turn at a connector that is busy.
func (s *Service) sendDeadline() time.Duration { return 2 * s.policy.SendTimeout }
