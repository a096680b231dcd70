package twiliosim

import (
	"net"
	"net/http"
	"time"
)

// createMessage answers POST Messages.json.
func (s *Server) createMessage(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	if x.who.acct.test {
		return s.testMessage(x, p)
	}
	f := s.faults.draw()
	if e := x.suffer(f); e != nil {
		return 0, nil, e
	}
	now := time.Now()
	m, e := s.validate(p, x.who.acct, now)
	if e != nil {
		return 0, nil, e
	}
	m.fate = f.fate()
	m.target = parseTarget(m.callback)
	answer := s.take(m, p, f.AcceptThen != "", now)
	switch f.AcceptThen {
	case "hang":
		x.hang()
	case "reset":
		x.reset()
	case "500":
		return 0, nil, refuse(20500)
	default:
		if x.r.Context().Err() != nil {
			s.box.lose(m)
		}
		return http.StatusCreated, answer, nil
	}
	return 0, nil, nil
}

// take keeps the message: from here on it goes out.
func (s *Server) take(m *message, p params, lost bool, now time.Time) *messageJSON {
	prefix := "SM"
	if m.media > 0 {
		prefix = "MM"
	}
	m.sid = s.ids.sid(prefix)
	first, next := statusQueued, now.Add(s.o.Step)
	switch {
	case !m.sendAt.IsZero():
		first, next = statusScheduled, m.sendAt
	case m.from == "":
		first = statusAccepted
	}
	m.enter(first, now)
	answer := m.resource(true) // before the lock: nobody else knows the message yet
	b := s.box
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(m)
	b.enter(m, Create{
		Time: now.UTC(), To: m.to, From: p.get("From"), MessagingServiceSID: m.service,
		StatusCallback: m.callback, SID: m.sid, AnswerLost: lost,
	})
	b.schedule(m, next)
	s.hub.publishMessage(m)
	return answer
}

// testMessage answers test credentials: everything is checked, nothing is kept.
func (s *Server) testMessage(x *exchange, p params) (int, any, *apiError) {
	now := time.Now()
	m, e := s.validate(p, x.who.acct, now)
	if e != nil {
		return 0, nil, e
	}
	m.sid = s.ids.sid("SM")
	m.enter(statusQueued, now)
	return http.StatusCreated, m.resource(true), nil
}

// abort ends the request without an answer. http.ErrAbortHandler is the way
// net/http offers; it closes the connection, or resets the HTTP/2 stream.
func (x *exchange) abort() { panic(http.ErrAbortHandler) }

// hang keeps the client waiting until it goes away, or until Close.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.s.ctx.Done():
	}
	x.abort()
}

// reset makes the client see a connection reset: with lingering off, closing
// a TCP connection sends RST. HTTP/2 cannot be hijacked, there the stream is.
func (x *exchange) reset() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.abort()
	}
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // else the close is an orderly one, still no answer
	}
	_ = raw.Close()
}
