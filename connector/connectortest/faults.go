package connectortest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/nettest"
)

// enough ends a test whose connector waits for ever.
const enough = 20 * time.Second

// lostAnswers: the request arrived, and then something broke.
func (s *suite) lostAnswers(t *testing.T) {
	want := Want{Outcome: connector.OutcomeMaybe, Kind: connector.KindTemporary}
	const half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\""
	for name, after := range map[string]func(net.Conn){
		"reset":             nettest.Reset,
		"closed":            func(net.Conn) {},
		"garbage":           func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n\r\n") },
		"half a header":     func(c net.Conn) { _, _ = io.WriteString(c, half[:30]) },
		"half a body":       func(c net.Conn) { _, _ = io.WriteString(c, half) },
		"half, then reset":  func(c net.Conn) { _, _ = io.WriteString(c, half); nettest.Reset(c) },
		"a header too long": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); flood(c) },
		"an endless body": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
			flood(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			url := nettest.RawServer(t, func(c net.Conn) {
				if nettest.ReadRequest(bufio.NewReader(c)) != nil {
					requests.Add(1)
					after(c)
				}
			})
			sender, _ := s.sender(t, url)
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			_ = s.fails(t, ctx, sender, want)
			if ctx.Err() != nil {
				t.Error("the connector waits for an answer that cannot come")
			}
			if got := requests.Load(); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	}
	t.Run("the deadline passes", func(t *testing.T) {
		t.Parallel()
		ctx, expire := nettest.Expiring(t.Context())
		s.hangs(t, ctx, expire, context.DeadlineExceeded)
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.hangs(t, ctx, cancel, context.Canceled)
	})
}

// hangs has a server that takes the request and says nothing. end is called
// once it has it.
func (s *suite) hangs(t *testing.T, ctx context.Context, end func(), want error) {
	url := nettest.RawServer(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if nettest.ReadRequest(r) != nil {
			end()
			_, _ = r.ReadByte() // returns when the connector gives up
		}
	})
	sender, _ := s.sender(t, url)
	e := s.fails(t, ctx, sender, Want{Outcome: connector.OutcomeMaybe, Kind: connector.KindTemporary})
	if e != nil && !errors.Is(e, want) {
		t.Errorf("errors.Is does not find %v", want)
	}
}

// flood writes until the other end has had enough.
func flood(c net.Conn) {
	chunk := []byte(strings.Repeat(" ", 64<<10))
	for {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// neverSent: no provider can have seen these.
func (s *suite) neverSent(t *testing.T) {
	want := Want{Outcome: connector.OutcomeNotProcessed, Kind: connector.KindTemporary}
	t.Run("connection refused", func(t *testing.T) {
		t.Parallel()
		sender, _ := s.sender(t, nettest.Refused(t))
		_ = s.fails(t, t.Context(), sender, want)
	})
	t.Run("certificate not trusted", func(t *testing.T) {
		t.Parallel()
		sender, _ := s.sender(t, nettest.Untrusted(t, http.HandlerFunc(s.h.Accept)))
		e := s.fails(t, t.Context(), sender, want)
		if e != nil && !e.Actions.Has(connector.ActPage) {
			t.Error("nobody is told: no waiting mends a certificate")
		}
	})
	t.Run("no TLS on the port", func(t *testing.T) {
		t.Parallel()
		url := nettest.RawServer(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		})
		sender, _ := s.sender(t, "https"+strings.TrimPrefix(url, "http"))
		_ = s.fails(t, t.Context(), sender, want)
	})
	ended := func(name string, ctx context.Context, cause error) {
		t.Run(name, func(t *testing.T) {
			p := s.provider(t, s.h.Accept)
			e := s.fails(t, ctx, p.sender, Want{Outcome: connector.OutcomeNotProcessed})
			if e != nil && !errors.Is(e, cause) {
				t.Errorf("errors.Is does not find %v", cause)
			}
			if got := p.requests.Load(); got != 0 {
				t.Errorf("%d requests, want none", got)
			}
		})
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	ended("canceled before", canceled, context.Canceled)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	ended("after the deadline", late, context.DeadlineExceeded)
}

// noReplay: a kept-alive connection dies under the second request. A client
// that makes it again may send two texts.
func (s *suite) noReplay(t *testing.T) {
	var requests atomic.Int64
	url := nettest.RawServer(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for req := nettest.ReadRequest(r); req != nil; req = nettest.ReadRequest(r) {
			if requests.Add(1) > 1 {
				return
			}
			w := &rawWriter{header: http.Header{}, status: http.StatusOK}
			s.h.Accept(w, req)
			resp := w.response()
			_ = resp.Write(c)
			_ = resp.Body.Close()
		}
	})
	sender, _ := s.sender(t, url)
	if _, err := sender.Send(t.Context(), message(t)); err != nil {
		t.Fatalf("the first Send: %v", err)
	}
	_ = s.fails(t, t.Context(), sender, Want{Outcome: connector.OutcomeMaybe, Kind: connector.KindTemporary})
	if got := requests.Load(); got != 2 {
		t.Errorf("%d requests for 2 sends", got)
	}
}

// rawWriter collects what Accept writes.
type rawWriter struct {
	header http.Header
	status int
	body   strings.Builder
}

func (w *rawWriter) Header() http.Header         { return w.header }
func (w *rawWriter) WriteHeader(status int)      { w.status = status }
func (w *rawWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

func (w *rawWriter) response() *http.Response {
	return &http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(strings.NewReader(w.body.String())), ContentLength: int64(w.body.Len()),
	}
}
