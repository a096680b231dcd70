package twilio

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// errNoRaw cannot happen: what the dialer returns has a file descriptor.
var errNoRaw = errors.New("the connection has no file descriptor")

// wireConn is one connection. One goroutine uses it at a time, but for abort.
// It is the net.Conn that TLS runs on, so that wrote and quiet are about the
// bytes on the network.
type wireConn struct {
	net.Conn                 // TCP's
	talk     net.Conn        // what HTTP is spoken on: TLS, or the wireConn itself
	raw      syscall.RawConn // the file descriptor
	since    time.Time       // when it became idle
	wrote    bool            // a byte of this request may be on its way
	heard    bool            // a byte of its answer has come
	poll     bool            // Read returns what is there and does not wait
	first    [1]byte         // of the answer
}

func newWireConn(tcp net.Conn) (*wireConn, error) {
	s, ok := tcp.(syscall.Conn)
	if !ok {
		return nil, errNoRaw
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &wireConn{Conn: tcp, raw: raw}
	c.talk = c
	return c, nil
}

// Read reads from the network.
func (c *wireConn) Read(p []byte) (int, error) {
	if c.poll {
		return c.readNow(p)
	}
	return c.Conn.Read(p)
}

// Write writes to the network, and remembers that it did.
func (c *wireConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.wrote = true
	}
	return n, err
}

// shakeHands makes it a TLS connection. ctx breaks it off.
func (c *wireConn) shakeHands(ctx context.Context, cfg *tls.Config) error {
	stop := context.AfterFunc(ctx, c.abort)
	defer stop()
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	c.talk = t
	return c.SetDeadline(time.Time{})
}

// quiet reports whether a kept connection is open as far as can be seen, with
// nothing to read: a server that closed it, or that said anything unasked (as
// a 408 before it closes), has no use for another request. What TLS sends for
// itself, tickets and new keys, is taken in.
func (c *wireConn) quiet() bool {
	c.poll = true
	n, err := c.talk.Read(c.first[:])
	c.poll = false
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// abort breaks off whatever is under way, from another goroutine. TLS says no
// farewell: it might have to wait for that.
func (c *wireConn) abort() { _ = c.Close() }

func (c *wireConn) close() {
	if c.talk == net.Conn(c) {
		c.abort()
		return
	}
	_ = c.talk.Close()
}

// answerReader is what an answer is read from: what has been read of it, then the
// connection, up to a bound.
type answerReader struct {
	conn  *wireConn
	begun []byte
	left  int
}

// Read reads on.
func (r *answerReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooLong
	}
	if len(p) > r.left {
		p = p[:r.left]
	}
	var n int
	var err error
	if len(r.begun) > 0 {
		n = copy(p, r.begun)
		r.begun = r.begun[n:]
	} else {
		n, err = r.conn.talk.Read(p)
	}
	r.left -= n
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil // comes again
	}
	return n, err
}
