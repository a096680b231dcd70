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
	s.remove(v.ID)
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
func (s *Service) addSend(v *Verification, now time.Time, segments int) *Send {
	send := Send{
		ID: v.ID + "." + strconv.Itoa(len(v.Sends)+1), Channel: v.Channel,
		Connector: s.connector.Name, Status: connector.StatusSending,
		Generation: v.Generation, Segments: segments, CreatedAt: now, UpdatedAt: now,
		LeaseUntil: now.Add(s.sendDeadline() + LeaseSlack), Epoch: 1,
	}
	if v.Test {
		send.Connector, send.Status = testConnector, connector.StatusAccepted
		send.Segments, send.LeaseUntil = 0, time.Time{}
	}
	v.Sends = append(v.Sends, send)
	v.ResendAfter = now.Add(nth(s.policy.ResendWaits, v.chargedSends()))
	if !v.sendsLeft() {
		v.ResendAfter = v.ExpiresAt
	}
	return &v.Sends[len(v.Sends)-1]
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
