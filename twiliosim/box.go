package twiliosim

import (
	"slices"
	"sync"
	"time"
)

// box keeps the messages and the ledger. Every operation of a create is O(1),
// apart from the queue of steps, which is a heap.
type box struct {
	mu     sync.Mutex
	max    int
	bySID  map[string]*message
	newest *message
	oldest *message
	byTo   map[string]*message // the newest to each number
	ledger []Create            // a ring once it is full
	next   int64               // number of the next ledger entry
	lists  int64               // lists of messages answered since the ledger was empty
	due    dueHeap
	wake   chan struct{} // tells the progress goroutine of an earlier step
}

// Create is one entry of the ledger: a create that the simulator took.
type Create struct {
	Time                time.Time `json:"time"`
	To                  string    `json:"to"`
	From                string    `json:"from,omitempty"` // as posted
	MessagingServiceSID string    `json:"messaging_service_sid,omitempty"`
	StatusCallback      string    `json:"status_callback"`
	SID                 string    `json:"sid"`
	// AnswerLost says that the caller did not get the answer: a fault swallowed
	// it, or the caller had hung up by the time it was written.
	AnswerLost bool `json:"answer_lost"`
	// HiddenAt are the times of the lists by this To that ListLagMS alone kept
	// the message out of, the newest 8, oldest first: whoever asked then was
	// told that there is no such message.
	HiddenAt []time.Time `json:"hidden_at,omitempty"`
}

// maxHidden bounds Create.HiddenAt.
const maxHidden = 8

// link chains a message to its neighbours in age.
type link struct{ older, newer *message }

const (
	inAll = iota
	inTo
)

func newBox(limit int) *box {
	b := &box{max: limit, wake: make(chan struct{}, 1)}
	b.clearMessages()
	return b
}

// clearMessages forgets the messages. Those that were on their way stop where
// they are and call nobody back.
func (b *box) clearMessages() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.bySID {
		m.gone.Store(true)
	}
	b.bySID, b.byTo = map[string]*message{}, map[string]*message{}
	b.newest, b.oldest, b.due = nil, nil, nil
}

func (b *box) clearLedger() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger, b.next, b.lists = nil, 0, 0
}

// size counts what is kept: messages, steps that fall due, ledger entries, and
// the entries that have made room for younger ones.
func (b *box) size() (messages, steps, creates, dropped int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	creates = int64(len(b.ledger))
	return int64(len(b.bySID)), int64(len(b.due)), creates, b.next - creates
}

// keep takes a message in. The caller holds b.mu.
func (b *box) keep(m *message) {
	if len(b.bySID) >= b.max {
		b.remove(b.oldest)
	}
	b.bySID[m.sid] = m
	if b.newest != nil {
		b.newest.links[inAll].newer = m
	} else {
		b.oldest = m
	}
	m.links[inAll].older, b.newest = b.newest, m
	if head := b.byTo[m.to]; head != nil {
		head.links[inTo].newer, m.links[inTo].older = m, head
	}
	b.byTo[m.to] = m
}

// enter writes a create into the ledger. The caller holds b.mu.
func (b *box) enter(m *message, entry Create) {
	m.entry = b.next
	b.next++
	if len(b.ledger) < b.max {
		b.ledger = append(b.ledger, entry)
	} else {
		b.ledger[m.entry%int64(b.max)] = entry
	}
}

// entryOf returns the ledger entry of a message, or nil if there is none, or
// none any more. The caller holds b.mu.
func (b *box) entryOf(m *message) *Create {
	if m.entry < 0 || m.entry >= b.next || m.entry < b.next-int64(len(b.ledger)) {
		return nil
	}
	// An emptied ledger counts anew: the place may be another message's.
	if e := &b.ledger[m.entry%int64(b.max)]; e.SID == m.sid {
		return e
	}
	return nil
}

// remove forgets a message. The caller holds b.mu.
func (b *box) remove(m *message) {
	m.gone.Store(true)
	delete(b.bySID, m.sid)
	all, to := m.links[inAll], m.links[inTo]
	if all.newer != nil {
		all.newer.links[inAll].older = all.older
	} else {
		b.newest = all.older
	}
	if all.older != nil {
		all.older.links[inAll].newer = all.newer
	} else {
		b.oldest = all.newer
	}
	switch {
	case to.newer != nil:
		to.newer.links[inTo].older = to.older
	case to.older != nil:
		b.byTo[m.to] = to.older
	default:
		delete(b.byTo, m.to)
	}
	if to.older != nil {
		to.older.links[inTo].newer = to.newer
	}
	// A step or a callback may still hold m: let it hold nothing else.
	m.links = [2]link{}
}

// lose marks the ledger entry of a message: its answer did not reach the caller.
func (b *box) lose(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entryOf(m); e != nil {
		e.AnswerLost = true
	}
}

// hide notes that a list left the message out. It never writes into the slice
// that copies of the entry share. The caller holds b.mu.
func (b *box) hide(m *message, now time.Time) {
	e := b.entryOf(m)
	if e == nil {
		return
	}
	old := e.HiddenAt
	if len(old) == maxHidden {
		old = old[1:]
	}
	e.HiddenAt = append(slices.Clip(old), now.UTC())
}

// each calls f for the messages to one number, or for all if to is empty,
// newest first, until f returns false. The caller holds b.mu.
func (b *box) each(to string, f func(*message) bool) {
	m, list := b.newest, inAll
	if to != "" {
		m, list = b.byTo[to], inTo
	}
	for ; m != nil; m = m.links[list].older {
		if !f(m) {
			return
		}
	}
}

// messages copies at most limit messages, or all if limit is 0.
func (b *box) messages(to string, limit int) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []Message{}
	b.each(to, func(m *message) bool {
		out = append(out, m.public())
		return limit <= 0 || len(out) < limit
	})
	return out
}

// creates copies the ledger, oldest first, and counts the entries that have
// made room for younger ones, and the lists that were answered.
func (b *box) creates() (out []Create, dropped, lists int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := int64(len(b.ledger))
	out = make([]Create, 0, n)
	for i := b.next - n; i < b.next; i++ {
		out = append(out, b.ledger[i%int64(b.max)])
	}
	return out, b.next - n, b.lists
}
