package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// What the form asks for.
const (
	stepNumber = "number"
	stepCode   = "code"
	stepDone   = "done"  // signed in
	stepEnded  = "ended" // without success
)

// The fields that a fault can be about.
const (
	fieldTo   = "to"
	fieldCode = "code"
)

// state is one sign-in, as the app remembers it between two forms.
type state struct {
	step   string
	flow   string // names the sign-in to the service, so that a form sent twice starts one
	typed  string // the number, as it was typed
	usage  string
	v      verification
	notice string // what went well
	fault  string // what went wrong
	field  string // which field the fault is about, if any
}

// fresh is the state before a number was typed.
func fresh() state { return state{step: stepNumber, flow: "flow-" + rand.Text(), usage: usageSignIn} }

// entry is a line of the log: a call, or what became of a text.
type entry struct {
	N    int
	Call *exchange
	Text *text
}

// maxLog bounds the log of a session; the oldest lines make room.
const maxLog = 60

// session is one browser's. Its cookie is nobody else's business.
type session struct {
	turn   chan struct{} // holds one token: a session does one thing at a time
	cookie string        // names the session to its browser alone
	run    string        // tells the page one session from the next; no secret

	mu       sync.Mutex
	state    state
	rev      int // counts the changes of state
	log      []entry
	logged   int
	watchers map[chan struct{}]struct{}

	used time.Time // guarded by sessions.mu
}

func newSession() *session {
	s := &session{
		turn: make(chan struct{}, 1), run: rand.Text(), cookie: rand.Text(),
		state: fresh(), watchers: map[chan struct{}]struct{}{},
	}
	s.turn <- struct{}{}
	return s
}

// begin waits for the session's turn; false if ctx ends before.
func (s *session) begin(ctx context.Context) bool {
	select {
	case <-s.turn:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *session) end() { s.turn <- struct{}{} }

func (s *session) read() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// update changes the state. What was said of the last step is said no more.
func (s *session) update(change func(*state)) {
	s.change(func() {
		s.state.notice, s.state.fault, s.state.field = "", "", ""
		change(&s.state)
		s.rev++
	})
}

// change runs f under the lock and tells the streams.
func (s *session) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	for w := range s.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not read the last one yet
		}
	}
}

// maxWatchers bounds the open streams of one session: more tabs than anybody
// looks at.
const maxWatchers = 16

// watch returns a channel that gets a token when something changed, and how to
// end that. It is nil when too many watch.
func (s *session) watch() (changed <-chan struct{}, stop func()) {
	w := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watchers) >= maxWatchers {
		return nil, nil
	}
	s.watchers[w] = struct{}{}
	return w, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}
}

// add puts a line into the log and returns its number.
func (s *session) add(e entry) int {
	s.change(func() {
		s.logged++
		e.N = s.logged
		s.log = append(s.log, e)
		if len(s.log) > maxLog {
			s.log = slices.Delete(s.log, 0, len(s.log)-maxLog)
		}
	})
	return e.N
}

// answered fills in the answer of the call in line n.
func (s *session) answered(n int, x exchange) {
	s.change(func() {
		for i := range s.log {
			if s.log[i].N == n {
				s.log[i].Call = &x
			}
		}
	})
}

// entries returns the log, the oldest line first.
func (s *session) entries() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// follows reports whether the log tells of a text.
func (s *session) follows(sid string) bool {
	return slices.ContainsFunc(s.entries(), func(e entry) bool { return e.Text != nil && e.Text.SID == sid })
}

// arrived enters what is new about a text.
func (s *session) arrived(t text) {
	mine := s.follows(t.SID)
	if !mine && s.read().v.To != t.To {
		return
	}
	s.change(func() {
		for i := range s.log {
			// News may overtake each other where two ways lead here.
			if old := s.log[i].Text; old != nil && old.SID == t.SID && len(t.Statuses) >= len(old.Statuses) {
				s.log[i].Text = &t
			}
		}
	})
}

// maxSessions bounds the sessions; the one that was used least lately makes
// room.
const maxSessions = 128

// sessions are all browsers'.
type sessions struct {
	mu  sync.Mutex
	all map[string]*session // by cookie
}

func newSessions() *sessions { return &sessions{all: map[string]*session{}} }

// get returns the session of a cookie, or nil.
func (m *sessions) get(cookie string) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.all[cookie]
	if s != nil {
		s.used = time.Now()
	}
	return s
}

// open returns a new session.
func (m *sessions) open() *session {
	s := newSession()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) >= maxSessions {
		oldest := s
		for _, o := range m.all {
			if oldest == s || o.used.Before(oldest.used) {
				oldest = o
			}
		}
		delete(m.all, oldest.cookie)
	}
	s.used = time.Now()
	m.all[s.cookie] = s
	return s
}

// each returns all sessions, in no order that matters.
func (m *sessions) each() []*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*session, 0, len(m.all))
	for _, s := range m.all {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.run, b.run) })
	return list
}

// arrived hands a text to the sessions that it concerns.
func (m *sessions) arrived(t text) {
	for _, s := range m.each() {
		s.arrived(t)
	}
}
