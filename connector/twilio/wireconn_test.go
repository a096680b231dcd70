package twilio

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// brokenConn is a kept connection that looks well and then takes n bytes.
type brokenConn struct {
	net.Conn
	n      int
	writes *int
}

func (c *brokenConn) Write([]byte) (int, error) { *c.writes++; return c.n, syscall.EPIPE }
func (c *brokenConn) Read([]byte) (int, error)  { return 0, os.ErrDeadlineExceeded }

// looksQuiet has nothing to read, at the level of the file descriptor.
type looksQuiet struct{ syscall.RawConn }

func (looksQuiet) Read(func(uintptr) bool) error { return os.ErrDeadlineExceeded }

// TestKeptConnectionDiesUnderTheRequest: only a POST of which no byte was
// written goes to another connection; a GET may go.
func TestKeptConnectionDiesUnderTheRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		written int
		get     bool
		again   int64
	}{{0, false, 1}, {1, false, 0}, {0, true, 1}, {1, true, 1}} {
		var requests atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			accept(w, r)
		}))
		defer s.Close()
		c := newTestClient(t, testConfig(s.URL), Options{})
		client, server := net.Pipe()
		defer func() { _ = server.Close() }()
		writes := 0
		for range 3 { // only one of them may be tried
			dead := &wireConn{Conn: &brokenConn{client, tt.written, &writes}, raw: looksQuiet{}}
			dead.talk = dead
			c.wire.keep(dead)
		}
		r := &call{url: c.messages, form: []byte("To=1"), limit: maxAnswer}
		if tt.get {
			r.form = nil
		}
		a, e := c.exchange(t.Context(), r)
		switch {
		case requests.Load() != tt.again || writes != 1:
			t.Errorf("%+v: %d requests elsewhere, %d writes", tt, requests.Load(), writes)
		case tt.again == 1 && (e != nil || a.status != http.StatusCreated):
			t.Errorf("%+v: %v", tt, e)
		case tt.again == 0 && (e == nil || e.Outcome != maybe):
			t.Errorf("%+v: %v", tt, e)
		}
	}
}

// TestNotOneByte: a new connection that takes nothing leaves nothing open.
func TestNotOneByte(t *testing.T) {
	t.Parallel()
	w := newWire(&newTestClient(t, testConfig("http://127.0.0.1:1"), Options{}).base, 1)
	for written, want := range map[int]bool{0: true, 1: false} {
		client, server := net.Pipe()
		defer func() { _ = server.Close() }()
		writes := 0
		c := &wireConn{Conn: &brokenConn{client, written, &writes}}
		c.talk = c
		var a answer
		err := w.talk(t.Context(), c, &question{text: &[]byte{'P'}}, &a)
		if e := unheard(t.Context(), c, err, false); e == nil || (e.Outcome == notProcessed) != want {
			t.Errorf("%d bytes written: %v", written, e)
		}
	}
}

// TestIdleConnections: the last one used is the next, none is kept for too
// long, nor more than there are places, nor any after Close.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	w := newWire(&newTestClient(t, testConfig("http://127.0.0.1:1"), Options{}).base, 2)
	var ends []net.Conn
	idle := func() *wireConn {
		client, server := net.Pipe()
		ends = append(ends, server)
		c := &wireConn{Conn: client, raw: looksQuiet{}}
		c.talk = c
		return c
	}
	open := func(i int) bool {
		_ = ends[i].SetReadDeadline(time.Now())
		_, err := ends[i].Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	first, second := idle(), idle()
	w.keep(first)
	w.keep(second)
	w.keep(idle())
	if open(2) || !open(0) || !open(1) {
		t.Error("of three connections in two places it is not the third that is closed")
	}
	if w.kept() != second {
		t.Error("the last one used is not the next")
	}
	w.keep(second)
	first.since = first.since.Add(-idleTimeout)
	w.reap()
	if open(0) || !open(1) || w.reaper == nil {
		t.Error("reap does not close the old one, and that alone, or does not come back")
	}
	second.since = second.since.Add(-idleTimeout)
	if w.kept() != nil || open(1) {
		t.Error("an old connection is used again")
	}
	w.keep(idle())
	w.close()
	w.keep(idle())
	if open(3) || open(4) || w.kept() != nil {
		t.Error("a connection is kept after Close")
	}
	w.reap() // a timer that fired meanwhile
}

// TestTimedOutIsNotQuiet: an error of the kind of a time-out does not pass for silence.
func TestTimedOutIsNotQuiet(t *testing.T) {
	t.Parallel()
	c := &wireConn{raw: failing{os.NewSyscallError("read", syscall.ETIMEDOUT)}}
	c.talk = c
	if c.quiet() {
		t.Error("a connection that TCP has given up is quiet")
	}
}

type failing struct{ error }

func (failing) Control(func(uintptr)) error      { return nil }
func (f failing) Read(func(uintptr) bool) error  { return f.error }
func (f failing) Write(func(uintptr) bool) error { return f.error }
