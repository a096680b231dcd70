package twilio

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/internal/nettest"
)

// The tests of this file use the Client's own pool, and are not parallel: each
// looks for goroutines that it left behind.

// fault is what a send meets, and what it has to say.
type fault struct {
	name    string
	server  func(t *testing.T) (baseURL string, trust *x509.CertPool)
	outcome connector.Outcome
	kind    connector.Kind
	actions connector.Action
	is      error // what errors.Is finds, if anything
	status  int
	after   time.Duration
}

const (
	notProcessed = connector.OutcomeNotProcessed
	maybe        = connector.OutcomeMaybe
)

func TestFaults(t *testing.T) {
	const ok = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
	message := messageJSON("accepted", "null")
	retryAt := time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)
	for _, f := range []fault{
		{name: "reset before the answer", server: raw(nettest.Reset), outcome: maybe, kind: kindTemporary, actions: actFailover},
		{name: "closed before the answer", server: raw(nil), outcome: maybe, kind: kindTemporary, actions: actFailover, is: io.EOF},
		{name: "reset after the header", server: raw(then(ok, nettest.Reset)), outcome: maybe, kind: kindTemporary, actions: actFailover, status: 201},
		{name: "half a header", server: raw(then(ok[:20], nil)), outcome: maybe, kind: kindTemporary, actions: actFailover, is: io.ErrUnexpectedEOF},
		{name: "half a body", server: raw(then(ok+message[:90], nil)), outcome: maybe, kind: kindTemporary, actions: actFailover, is: io.ErrUnexpectedEOF, status: 201},
		{name: "half a chunk", server: raw(then("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"+message[:90], nil)), outcome: maybe, kind: kindTemporary, actions: actFailover, is: io.ErrUnexpectedEOF, status: 201},
		{name: "not HTTP", server: raw(then("SSH-2.0-OpenSSH_9.2\r\n", nil)), outcome: maybe, kind: kindTemporary, actions: actFailover},
		{name: "HTML of 200", server: answering(200, nil, "<html>Sign in to the network</html>"), outcome: maybe, kind: kindTemporary, actions: actFailover, status: 200},
		{name: "204", server: answering(204, nil, ""), outcome: maybe, kind: kindTemporary, actions: actFailover, status: 204},
		{name: "half a refusal", server: raw(then("HTTP/1.1 400 Bad Request\r\nContent-Length: 900\r\n\r\n{\"code\": 21211,", nil)), outcome: connector.OutcomeRefused, kind: kindUnclassified, actions: actTell | actPage, status: 400},
		{name: "101 and silence", server: raw(then("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", untilClosed)), outcome: maybe, kind: kindUnclassified, actions: actPage, status: 101},
		{name: "redirect 302", server: answering(302, http.Header{"Location": {"/"}}, ""), outcome: maybe, kind: kindUnclassified, actions: actPage, status: 302},
		{name: "redirect 307", server: answering(307, http.Header{"Location": {"/"}}, ""), outcome: maybe, kind: kindUnclassified, actions: actPage, status: 307},
		{name: "redirect 308", server: answering(308, http.Header{"Location": {"http://192.0.2.1/"}}, ""), outcome: maybe, kind: kindUnclassified, actions: actPage, status: 308},
		{name: "429", server: answering(429, nil, errorJSON(20429, 429)), outcome: notProcessed, kind: kindThrottled, actions: actRetry | actFailover, status: 429},
		{name: "429 with seconds", server: answering(429, http.Header{"Retry-After": {"30"}}, ""), outcome: notProcessed, kind: kindThrottled, actions: actRetry | actFailover, status: 429, after: 30 * time.Second},
		{name: "429 with a date", server: answering(429, http.Header{"Retry-After": {retryAt}}, ""), outcome: notProcessed, kind: kindThrottled, actions: actRetry | actFailover, status: 429, after: 20 * time.Minute},
		{name: "429 with garbage", server: answering(429, http.Header{"Retry-After": {"ask " + testToken}}, ""), outcome: notProcessed, kind: kindThrottled, actions: actRetry | actFailover, status: 429},
		{name: "503 with seconds", server: answering(503, http.Header{"Retry-After": {"30"}}, ""), outcome: maybe, kind: kindTemporary, actions: actFailover, status: 503, after: 30 * time.Second},
		{name: "dial refused", server: refused, outcome: notProcessed, kind: kindTemporary, actions: actRetry | actFailover},
		{name: "self-signed", server: selfSigned, outcome: notProcessed, kind: kindTemporary, actions: actRetry | actFailover | actPage},
		{name: "wrong host", server: wrongHost, outcome: notProcessed, kind: kindTemporary, actions: actRetry | actFailover | actPage},
		{name: "HTTP on the TLS port", server: plainOnTLS, outcome: notProcessed, kind: kindTemporary, actions: actRetry | actFailover | actPage},
		{name: "closed in the handshake", server: closedInHandshake, outcome: notProcessed, kind: kindTemporary, actions: actRetry | actFailover},
		{name: "HTTPS on the HTTP port", server: tlsOnPlain, outcome: connector.OutcomeRefused, kind: kindUnclassified, actions: actTell | actPage, status: 400},
	} {
		t.Run(f.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			t.Run("send", f.run)
			t.Run("send as to a proxy", f.runPool)
		})
	}
}

func (f fault) run(t *testing.T) {
	baseURL, trust := f.server(t)
	c := newTestClient(t, testConfig(baseURL), Options{})
	if trust != nil {
		c.wire.tls.RootCAs = trust
	}
	f.send(t, c)
}

// runPool uses http.Transport in place of the wire, as towards a proxy.
func (f fault) runPool(t *testing.T) {
	baseURL, trust := f.server(t)
	c := newTestClient(t, testConfig(baseURL), Options{})
	c.usePool(DefaultMaxConcurrent)
	if trust != nil {
		c.pool.TLSClientConfig = &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}
	}
	f.send(t, c)
}

func (f fault) send(t *testing.T, c *Client) {
	_, err := c.Send(t.Context(), testMsg(t))
	e := asError(t, err)
	if e.Outcome != f.outcome || e.Kind != f.kind || e.Actions != f.actions || e.HTTPStatus != f.status {
		t.Errorf("%s, %s, %s, status %d; want %s, %s, %s, status %d\n%v",
			e.Outcome, e.Kind, e.Actions, e.HTTPStatus, f.outcome, f.kind, f.actions, f.status, e)
	}
	if f.is != nil && !errors.Is(err, f.is) {
		t.Errorf("errors.Is does not find %v in %v", f.is, err)
	}
	// A date is as good as the seconds that pass on the way.
	if e.RetryAfter > f.after || e.RetryAfter < f.after-10*time.Second {
		t.Errorf("RetryAfter %v, want %v", e.RetryAfter, f.after)
	}
	if strings.Contains(err.Error(), "://") && !strings.Contains(err.Error(), "https://www.twilio.com/docs/errors/") {
		t.Errorf("the error holds a URL: %v", err)
	}
	connectortest.NoSecrets(t, err, testSecrets...)
}

// untilClosed keeps the connection for as long as the client does.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// raw reads a request and runs after; the connection is closed behind it.
func raw(after func(net.Conn)) func(*testing.T) (string, *x509.CertPool) {
	return func(t *testing.T) (string, *x509.CertPool) {
		return nettest.RawServer(t, func(c net.Conn) {
			if nettest.ReadRequest(bufio.NewReader(c)) != nil && after != nil {
				after(c)
			}
		}), nil
	}
}

func then(text string, after func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		if after != nil {
			after(c)
		}
	}
}

// answering also fails the test when it is asked a second time.
func answering(status int, header http.Header, body string) func(*testing.T) (string, *x509.CertPool) {
	return func(t *testing.T) (string, *x509.CertPool) {
		var requests atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) > 1 {
				t.Errorf("a second request, for %s", r.URL.Path)
			}
			for name, values := range header {
				w.Header()[name] = values
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL, nil
	}
}

func refused(t *testing.T) (string, *x509.CertPool) { return nettest.Refused(t), nil }

func selfSigned(t *testing.T) (string, *x509.CertPool) {
	return nettest.Untrusted(t, http.HandlerFunc(accept)), nil
}

// wrongHost has a certificate that is trusted and names 127.0.0.1, not
// localhost.
func wrongHost(t *testing.T) (string, *x509.CertPool) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(accept))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	trust := x509.NewCertPool()
	trust.AddCert(s.Certificate())
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port, trust
}

func plainOnTLS(t *testing.T) (string, *x509.CertPool) {
	s := httptest.NewServer(http.HandlerFunc(accept))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return "https" + strings.TrimPrefix(s.URL, "http"), nil
}

func tlsOnPlain(t *testing.T) (string, *x509.CertPool) {
	return "http" + strings.TrimPrefix(nettest.Untrusted(t, http.HandlerFunc(accept)), "https"), nil
}

func closedInHandshake(t *testing.T) (string, *x509.CertPool) {
	url := nettest.RawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	return "https" + strings.TrimPrefix(url, "http"), nil
}

// TestHugeAnswer reads no more than the cap of 10 MB.
func TestHugeAnswer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("send", func(t *testing.T) {
		const size = 10 << 20
		chunk := make([]byte, 64<<10)
		for name, header := range map[string]string{"announced": "Content-Length: " + strconv.Itoa(size) + "\r\n", "not announced": ""} {
			url := nettest.RawServer(t, func(c net.Conn) {
				if nettest.ReadRequest(bufio.NewReader(c)) == nil {
					return
				}
				_, err := io.WriteString(c, "HTTP/1.1 201 Created\r\n"+header+"\r\n")
				for n := 0; n < size && err == nil; n += len(chunk) {
					_, err = c.Write(chunk)
				}
			})
			c := newTestClient(t, testConfig(url), Options{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Send(t.Context(), testMsg(t))
			runtime.ReadMemStats(&after)
			if e := asError(t, err); e.Outcome != maybe || e.Kind != kindTemporary || !errors.Is(err, errTooLong) {
				t.Errorf("%s: %v", name, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
				t.Errorf("%s: %d bytes were allocated for it", name, used)
			}
		}
	})
}

// TestContextEnds covers a context that ends before the request and under it.
func TestContextEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("send", func(t *testing.T) {
		for _, header := range []string{"", "HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"} {
			var end atomic.Value
			url := nettest.RawServer(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				if nettest.ReadRequest(r) != nil {
					_, _ = io.WriteString(c, header)
					end.Load().(func())()
					_, _ = r.ReadByte() // until the client gives up
				}
			})
			c := newTestClient(t, testConfig(url), Options{})
			canceled, cancel := context.WithCancelCause(t.Context())
			late, expire := nettest.Expiring(t.Context())
			for want, x := range map[error]struct {
				ctx context.Context
				end func()
			}{
				context.Canceled:         {canceled, func() { cancel(errors.New("the person closed the page at " + testNumber)) }},
				context.DeadlineExceeded: {late, expire},
			} {
				end.Store(x.end)
				_, err := c.Send(x.ctx, testMsg(t))
				if e := asError(t, err); e.Outcome != maybe || e.Kind != kindTemporary || !errors.Is(err, want) {
					t.Errorf("%v: %v", want, err)
				}
				connectortest.NoSecrets(t, err, testSecrets...)
				// The same context is over now: nothing is sent.
				_, err = c.Send(x.ctx, testMsg(t))
				if e := asError(t, err); e.Outcome != notProcessed || e.Kind != kindTemporary || !errors.Is(err, want) {
					t.Errorf("%v, before: %v", want, err)
				}
			}
		}
	})
}

// TestPostIsNotReplayed lets a kept-alive connection die under a send. net/http
// posts again by itself when a request has an Idempotency-Key.
func TestPostIsNotReplayed(t *testing.T) {
	for name, die := range map[string]func(net.Conn){"closed": func(net.Conn) {}, "reset": nettest.Reset} {
		t.Run(name, func(t *testing.T) {
			var requests, connections atomic.Int64
			message := messageJSON("accepted", "null")
			url := nettest.RawServer(t, func(c net.Conn) {
				connections.Add(1)
				r := bufio.NewReader(c)
				for req := nettest.ReadRequest(r); req != nil; req = nettest.ReadRequest(r) {
					for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
						if _, ok := req.Header[key]; ok {
							t.Errorf("the request has %s", key)
						}
					}
					if requests.Add(1) == 2 {
						die(c)
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: "+strconv.Itoa(len(message))+"\r\n\r\n"+message)
				}
			})
			c := newTestClient(t, testConfig(url), Options{})
			if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Send(t.Context(), testMsg(t))
			if e := asError(t, err); e.Outcome != maybe || e.Kind != kindTemporary {
				t.Errorf("%v", err)
			}
			if r, n := requests.Load(), connections.Load(); r != 2 || n != 1 {
				t.Errorf("%d requests on %d connections for 2 sends, want 2 on 1", r, n)
			}
			if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
				t.Errorf("the next send: %v", err)
			}
		})
	}
}
