package twilio

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/nettest"
)

// keptConnections is how many idle connections the Client keeps.
func (c *Client) keptConnections() int {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	return len(c.wire.idle)
}

// answered answers each request of a connection with text, and counts.
func answered(t *testing.T, text string, connections, requests *atomic.Int64) string {
	return nettest.RawServer(t, func(c net.Conn) {
		connections.Add(1)
		r := bufio.NewReader(c)
		for nettest.ReadRequest(r) != nil {
			requests.Add(1)
			_, _ = io.WriteString(c, text)
			if !strings.Contains(text, "-Length") && !strings.Contains(text, "-Encoding") {
				return // its end is the connection's
			}
		}
	})
}

// TestAnswers is about how an answer may be written, and which connections are
// used again.
func TestAnswers(t *testing.T) {
	t.Parallel()
	message := messageJSON("accepted", "null")
	length := fmt.Sprintf("Content-Length: %d\r\n", len(message))
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n", message[:5], len(message)-5, message[5:])
	const head, early = "HTTP/1.1 201 Created\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	padding := "X-Padding: " + strings.Repeat("x", 1<<10) + "\r\n"
	for name, tt := range map[string]struct {
		text string
		kept bool
		fail error // what errors.Is finds; errElse for any
	}{
		"length":                    {text: head + length + "\r\n" + message, kept: true},
		"a long body":               {text: head + "Content-Length: 30000\r\n\r\n" + message + strings.Repeat(" ", 30000-len(message)), kept: true},
		"chunks":                    {text: head + chunked, kept: true},
		"until the close":           {text: "HTTP/1.1 201 Created\r\n\r\n" + message},
		"HTTP/1.0":                  {text: "HTTP/1.0 201 Created\r\n" + length + "\r\n" + message},
		"Connection: close":         {text: head + "Connection: close\r\n" + length + "\r\n" + message},
		"more than its length":      {text: head + length + "\r\n" + message + "HTTP/1.1 201 Created\r\n\r\n"},
		"interim answers":           {text: strings.Repeat(early, maxInterim) + head + length + "\r\n" + message, kept: true},
		"too many interim answers":  {text: strings.Repeat(early, maxInterim+1) + head + length + "\r\n" + message, fail: errElse},
		"a long header":             {text: head + strings.Repeat(padding, 60) + length + "\r\n" + message, kept: true},
		"a header that is too long": {text: head + strings.Repeat(padding, 64) + length + "\r\n" + message, fail: errElse},
		"interim headers too long":  {text: strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+strings.Repeat(padding, 30)+"\r\n", 3) + head + length + "\r\n" + message, fail: errElse},
		"two lengths":               {text: head + length + "Content-Length: 3\r\n\r\n" + message, fail: errElse},
		"a body too long":           {text: head + "Content-Length: 70000\r\n\r\n" + strings.Repeat(" ", 70000), fail: errTooLong},
		"chunks too long":           {text: head + "Transfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat(" ", 70000) + "\r\n0\r\n\r\n", fail: errTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			var connections, requests atomic.Int64
			c := newTestClient(t, testConfig(answered(t, tt.text, &connections, &requests)), Options{})
			const sends = 3
			for range sends {
				_, err := c.Send(t.Context(), testMsg(t))
				if tt.fail == nil && err != nil {
					t.Fatal(err)
				}
				if tt.fail == nil {
					continue
				}
				if e := asError(t, err); e.Outcome != maybe || !errors.Is(err, tt.fail) {
					t.Errorf("%v", err)
				}
			}
			want, idle := int64(sends), 0
			if tt.kept {
				want, idle = 1, 1
			}
			if connections.Load() != want || requests.Load() != sends || c.keptConnections() != idle {
				t.Errorf("%d requests on %d connections, %d kept; want %d on %d, %d", requests.Load(), connections.Load(), c.keptConnections(), sends, want, idle)
			}
		})
	}
}

// TestDribble lets an answer arrive byte by byte.
func TestDribble(t *testing.T) {
	t.Parallel()
	message := messageJSON("accepted", "null")
	url := nettest.RawServer(t, func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetNoDelay(true)
		}
		for r := bufio.NewReader(c); nettest.ReadRequest(r) != nil; {
			for _, b := range []byte(fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s", len(message), message)) {
				_, _ = c.Write([]byte{b})
			}
		}
	})
	c := newTestClient(t, testConfig(url), Options{})
	for range 2 {
		if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
}

// TestDeadConnectionsAreNotUsed: what a server did to a kept connection in the
// meantime costs no request.
func TestDeadConnectionsAreNotUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		tls bool
		do  func(net.Conn)
	}{
		"closed":              {do: func(c net.Conn) { _ = c.Close() }},
		"reset":               {do: nettest.Reset},
		"said something":      {do: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") }},
		"TLS, closed":         {tls: true, do: func(c net.Conn) { _ = c.Close() }},
		"TLS, no farewell":    {tls: true, do: func(c net.Conn) { _ = c.(*tls.Conn).NetConn().Close() }},
		"TLS, said something": {tls: true, do: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			t.Run("send", func(t *testing.T) {
				var mu sync.Mutex
				var idle []net.Conn
				var requests atomic.Int64
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					accept(w, r)
				}))
				s.Config.ConnState = func(c net.Conn, state http.ConnState) {
					if state == http.StateIdle {
						mu.Lock()
						idle = append(idle, c)
						mu.Unlock()
					}
				}
				c := startFor(t, s, tt.tls)
				if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
					t.Fatal(err)
				}
				// The server's end becomes idle, and what it does then arrives, in
				// their own time.
				soon(t, "an idle connection", func() bool { mu.Lock(); defer mu.Unlock(); return len(idle) > 0 })
				if !c.wire.idle[0].quiet() {
					t.Fatal("a fresh connection is not quiet")
				}
				tt.do(idle[0])
				soon(t, "a connection that is not quiet", func() bool { return !c.wire.idle[0].quiet() })
				if _, err := c.Send(t.Context(), testMsg(t)); err != nil || requests.Load() != 2 {
					t.Errorf("%d requests, %v", requests.Load(), err)
				}
			})
		})
	}
}

// startFor starts a server, and makes a Client that trusts it.
func startFor(t *testing.T, s *httptest.Server, secure bool) *Client {
	t.Helper()
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	c := newTestClient(t, testConfig(s.URL), Options{})
	if secure {
		c.wire.tls.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	return c
}

// soon polls: a network decides when.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("no " + what)
		}
	}
}

// TestGetIsRepeated: a kept connection that dies under a GET costs nothing.
func TestGetIsRepeated(t *testing.T) {
	t.Parallel()
	message := messageJSON("delivered", "null")
	var requests atomic.Int64
	url := nettest.RawServer(t, func(c net.Conn) {
		for r := bufio.NewReader(c); nettest.ReadRequest(r) != nil; {
			if requests.Add(1) == 2 {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(message), message)
		}
	})
	c := newTestClient(t, testConfig(url), Options{})
	for range 2 {
		if _, err := c.Fetch(t.Context(), testMessage); err != nil {
			t.Error(err)
		}
	}
	if requests.Load() != 3 {
		t.Errorf("%d requests, want 3", requests.Load())
	}
	c.Close()
}

// TestTLS: the connection is HTTP/1.1's, is kept, and a second one resumes.
func TestTLS(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("send", func(t *testing.T) {
		var mu sync.Mutex
		var seen []tls.ConnectionState
		var connections atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen = append(seen, *r.TLS)
			mu.Unlock()
			accept(w, r)
		}))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		c := startFor(t, s, true)
		for i := range 3 {
			if i == 2 {
				c.wire.kept().close()
			}
			if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
				t.Fatal(err)
			}
		}
		if n := connections.Load(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		for i, s := range seen {
			if s.NegotiatedProtocol != "http/1.1" || s.Version != tls.VersionTLS13 || s.DidResume != (i == 2) {
				t.Errorf("request %d: %q, version %x, resumed: %t", i, s.NegotiatedProtocol, s.Version, s.DidResume)
			}
		}
	})
}

// TestSilentHandshake: the context ends a handshake that the server does not
// take part in, and nothing was sent.
func TestSilentHandshake(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("send", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		url := nettest.RawServer(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			cancel()
			untilClosed(c)
		})
		c := newTestClient(t, testConfig("https"+strings.TrimPrefix(url, "http")), Options{})
		_, err := c.Send(ctx, testMsg(t))
		if e := asError(t, err); e.Outcome != notProcessed || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
