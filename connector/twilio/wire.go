package twilio

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The bounds of a connection's life.
const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	probeInterval    = 15 * time.Second // of TCP's keep-alive
	// Load balancers commonly close connections after 60 idle seconds; we are
	// first, and seldom write to one that is being closed.
	idleTimeout = 45 * time.Second
)

// wire is an HTTP/1.1 client for one server. Everything about a request happens
// on its caller's goroutine, and nothing but the connection is held while the
// server takes its time: http.Transport keeps two goroutines and 8 KiB of
// buffers for each (docs/adr/0013). It never repeats a POST of which a byte was
// written.
type wire struct {
	address string // host:port
	dialer  net.Dialer
	tls     *tls.Config // nil speaks plain HTTP
	readers sync.Pool   // of *bufio.Reader, for answers that have begun
	buffers sync.Pool   // of *[]byte

	mu     sync.Mutex
	idle   []*wireConn // the one that was used last is at the end, and is next
	most   int         // idle connections
	closed bool        // keep none
	reaper *time.Timer // ends what is idle for too long
}

// newWire makes a wire to the base URL that keeps at most so many connections.
func newWire(base *url.URL, connections int) *wire {
	w := &wire{
		address: net.JoinHostPort(base.Hostname(), port(base)),
		dialer:  net.Dialer{Timeout: dialTimeout, KeepAlive: probeInterval},
		most:    connections,
	}
	if base.Scheme == "https" {
		w.tls = &tls.Config{
			ServerName: base.Hostname(),
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"},
			// A shaken hand is remembered: the next connection costs less.
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
			// One record a request, and so one packet.
			DynamicRecordSizingDisabled: true,
		}
	}
	w.readers.New = func() any { return bufio.NewReader(nil) }
	w.buffers.New = newBuffer
	return w
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// wireSpeaks reports whether a wire can serve the base URL. http.Transport can
// do more: it goes through the proxy that the environment names, writes a name
// in another script as DNS wants it, and knows IPv6 zones.
func wireSpeaks(base *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base})
	if proxy != nil || err != nil {
		return false // the error shows where a proxy is used
	}
	return !strings.ContainsFunc(base.Host, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
	})
}

// kept takes the connection that was used last, or returns nil. What has died
// or spoken meanwhile is closed: a request on it would be lost.
func (w *wire) kept() *wireConn {
	for {
		w.mu.Lock()
		n := len(w.idle)
		if n == 0 {
			w.mu.Unlock()
			return nil
		}
		c := w.idle[n-1]
		w.idle[n-1] = nil
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		// The timer may be late: a machine that sleeps stops it.
		if time.Since(c.since) < idleTimeout && c.quiet() {
			return c
		}
		c.close()
	}
}

// keep puts a connection aside whose answer was read to its end.
func (w *wire) keep(c *wireConn) {
	c.since = time.Now()
	w.mu.Lock()
	if w.closed || len(w.idle) >= w.most {
		w.mu.Unlock()
		c.close()
		return
	}
	w.idle = append(w.idle, c)
	if w.reaper == nil {
		w.reaper = time.AfterFunc(idleTimeout, w.reap)
	}
	w.mu.Unlock()
}

// reap closes what has been idle for too long and comes back for the rest.
func (w *wire) reap() {
	w.mu.Lock()
	now, old := time.Now(), 0
	for old < len(w.idle) && now.Sub(w.idle[old].since) >= idleTimeout {
		old++
	}
	ended := append([]*wireConn(nil), w.idle[:old]...)
	rest := copy(w.idle, w.idle[old:])
	clear(w.idle[rest:])
	w.idle = w.idle[:rest]
	if rest > 0 && !w.closed {
		w.reaper.Reset(idleTimeout - now.Sub(w.idle[0].since))
	} else {
		w.reaper = nil
	}
	w.mu.Unlock()
	for _, c := range ended {
		c.close()
	}
}

// close ends the idle connections at once and the others after their answers.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	ended := w.idle
	w.idle = nil
	if w.reaper != nil {
		w.reaper.Stop()
	}
	w.mu.Unlock()
	for _, c := range ended {
		c.close()
	}
}

// dial opens a connection, TLS included, on a goroutine of its own: either
// needs a stack that one which then waits for an answer need not keep.
func (w *wire) dial(ctx context.Context) (*wireConn, error) {
	type dialed struct {
		conn *wireConn
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		c, err := w.connect(ctx)
		done <- dialed{c, err}
	}()
	d := <-done // ctx ends the dialling
	return d.conn, d.err
}

// connect opens a connection. The dialer tries a host's IPv6 and IPv4
// addresses side by side.
func (w *wire) connect(ctx context.Context) (*wireConn, error) {
	raw, err := w.dialer.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, err
	}
	c, err := newWireConn(raw)
	if err == nil && w.tls != nil {
		err = c.shakeHands(ctx, w.tls)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}
