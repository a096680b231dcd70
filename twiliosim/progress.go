package twiliosim

import (
	"hash/fnv"
	"time"
)

// tick is the finest pace of the progress: steps that fall due within one tick
// are taken together, so that 20,000 creates a second do not wake the goroutine
// 60,000 times.
const tick = time.Millisecond

// due is a message whose next step falls at a time.
type due struct {
	at int64
	m  *message
}

// dueHeap is a binary heap, the earliest first. It is written out because
// container/heap would box every element.
type dueHeap []due

func (h *dueHeap) push(d due) {
	q := append(*h, d)
	i := len(q) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].at <= q[i].at {
			break
		}
		q[parent], q[i] = q[i], q[parent]
		i = parent
	}
	*h = q
}

func (h *dueHeap) pop() due {
	q := *h
	top := q[0]
	last := len(q) - 1
	q[0], q[last] = q[last], due{}
	q = q[:last]
	q.sink(0)
	*h = q
	return top
}

func (h dueHeap) sink(i int) {
	for {
		least, left, right := i, 2*i+1, 2*i+2
		if left < len(h) && h[left].at < h[least].at {
			least = left
		}
		if right < len(h) && h[right].at < h[least].at {
			least = right
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// sweep drops the steps of messages that are gone.
func (h *dueHeap) sweep() {
	kept := (*h)[:0]
	for _, d := range *h {
		if !d.m.gone.Load() {
			kept = append(kept, d)
		}
	}
	clear((*h)[len(kept):])
	*h = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		kept.sink(i)
	}
}

// schedule enters the next step of a message. The caller holds b.mu.
func (b *box) schedule(m *message, at time.Time) {
	// Evicted and deleted messages leave their step behind. Sweeping when the
	// heap is twice what can be alive keeps it bounded at a constant price.
	if len(b.due) >= 2*b.max+1024 {
		b.due.sweep()
	}
	b.due.push(due{at.UnixNano(), m})
	if b.due[0].m == m {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// runProgress takes the steps as they fall due, until Close.
func (s *Server) runProgress() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			if wait, more := s.advance(time.Now()); more {
				t.Reset(wait)
			}
		case <-s.box.wake:
			s.box.mu.Lock()
			if len(s.box.due) > 0 {
				t.Reset(untilDue(s.box.due[0].at, time.Now()))
			}
			s.box.mu.Unlock()
		}
	}
}

func untilDue(at int64, now time.Time) time.Duration {
	return max(time.Duration(at-now.UnixNano()), tick)
}

// advance takes all steps that are due, in bounded batches so that creates are
// not kept waiting, and tells how long it is to the next.
func (s *Server) advance(now time.Time) (wait time.Duration, more bool) {
	const batch = 512
	b := s.box
	for {
		b.mu.Lock()
		n := 0
		for ; n < batch && len(b.due) > 0 && b.due[0].at <= now.UnixNano(); n++ {
			if m := b.due.pop().m; !m.gone.Load() {
				s.advanceMessage(m, now)
			}
		}
		if n < batch {
			defer b.mu.Unlock()
			if len(b.due) == 0 {
				return 0, false
			}
			return untilDue(b.due[0].at, now), true
		}
		b.mu.Unlock()
	}
}

// advanceMessage takes one step of one message. The caller holds box.mu.
func (s *Server) advanceMessage(m *message, now time.Time) {
	status, code := s.nextStatus(m, now)
	if status == "" {
		return
	}
	m.errorCode = code
	m.enter(status, now)
	if status == statusSent {
		m.sent = m.updated
	}
	final := isFinal(status) || status == m.fate.final
	s.announce(m, now, final)
	if !final {
		s.box.schedule(m, now.Add(s.o.Step))
	}
}

// announce publishes the status that m has just entered.
func (s *Server) announce(m *message, now time.Time, final bool) {
	s.calls.enqueue(m, now, final)
	s.hub.publishMessage(m)
}

func isFinal(status string) bool {
	switch status {
	case statusDelivered, statusUndelivered, statusFailed, statusCanceled:
		return true
	}
	return false
}

// nextStatus is the state machine:
//
//	accepted, scheduled -> queued | failed (no sender in the pool)
//	queued -> sent | failed (the message's fate, or its validity is over)
//	sent -> delivered | undelivered | stays, where no carrier reports
func (s *Server) nextStatus(m *message, now time.Time) (status string, code int) {
	switch m.status {
	case statusAccepted, statusScheduled:
		if m.from == "" {
			from, code := s.reg.pickSender(m.service, m.to)
			if code != 0 {
				return statusFailed, code
			}
			m.from = from
		}
		return statusQueued, 0
	case statusQueued:
		start := unixTime(m.created)
		if !m.sendAt.IsZero() {
			start = m.sendAt
		}
		switch {
		case now.Sub(start) > m.validity:
			return statusFailed, 30036
		case m.fate.final == statusFailed:
			return statusFailed, m.fate.code
		}
		return statusSent, 0
	case statusSent:
		if m.fate.final != statusSent {
			return m.fate.final, m.fate.code
		}
	}
	return "", 0
}

// pickFrom chooses a number of a pool; the same To gets the same sender for as
// long as the pool stays as it is, as with Twilio's sticky sender.
func pickFrom(pool []string, to string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(to))
	return pool[int(h.Sum32()%uint32(len(pool)))] // #nosec G115 -- a pool has at most a thousand numbers
}
