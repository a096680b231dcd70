package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// local is a client for a server of the test's.
func local(t *testing.T, url string, resolver *net.Resolver) *client {
	t.Helper()
	c, err := newClient(Endpoint{App: "shop", URL: url, Secrets: []secret.String{secret.New(testSecret)}, AllowPrivate: true}, "sixdigit/test", resolver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func testEvent() verify.Event {
	return verify.Event{ID: "msg_1", App: "shop", Type: verify.EventApproved, Payload: []byte(`{"type":"verification.approved"}`)}
}

func TestPost(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != string(testEvent().Payload) || r.Method != http.MethodPost || r.URL.RequestURI() != "/hooks?a=b" {
			t.Errorf("%s %s: %q, %v", r.Method, r.URL, body, err)
		}
		for name, want := range map[string]string{
			"Webhook-Id": "msg_1", "Webhook-Timestamp": "1800000000", "Content-Type": "application/json", "User-Agent": "sixdigit/test",
			"Authorization": "", "Idempotency-Key": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	if a := local(t, s.URL+"/hooks?a=b", nil).post(t.Context(), testEvent(), now); !a.ok() || a.result() != "delivered" {
		t.Errorf("%+v", a)
	}
}

// TestAnswers: what an endpoint says is read no further than its status.
func TestAnswers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for name, c := range map[string]struct {
		serve  func(w http.ResponseWriter, r *http.Request)
		result string
		asked  time.Duration
	}{
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "delivered", 0},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "3xx", 0},
		"gone": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "4xx", 0},
		"busy": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(429) }, "4xx", 7 * time.Second},
		"busy by far": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "99999999")
			w.WriteHeader(503)
		}, "5xx", time.Hour},
		"no time": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "-7"); w.WriteHeader(503) }, "5xx", 0},
		"nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "soon")
			w.WriteHeader(503)
		}, "5xx", 0},
		"not busy": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(500) }, "5xx", 0},
		"much to say": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil { // it ends when nobody listens
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					return
				}
			}
		}, "delivered", 0},
		"long headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, "no_answer", 0},
		"another protocol, and silence": {func(w http.ResponseWriter, r *http.Request) {
			conn, out, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer func() { _ = conn.Close() }()
			_, _ = out.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_ = out.Flush()
			_, _ = conn.Read(make([]byte, 1)) // until it is hung up on
		}, "1xx", 0},
		"it breaks": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no_answer", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				c.serve(w, r)
			}))
			t.Cleanup(s.Close)
			a := local(t, s.URL, nil).post(t.Context(), testEvent(), time.Now())
			if a.result() != c.result || a.asked != c.asked {
				t.Errorf("%s, asked for %s; want %s, %s (%v)", a.result(), a.asked, c.result, c.asked, a.err)
			}
		})
	}
	t.Cleanup(func() {
		if elsewhere.Load() > 0 {
			t.Error("a redirect was followed")
		}
	})
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	for at, want := range map[time.Time]time.Duration{now.Add(time.Minute): time.Minute, now.Add(-time.Minute): 0, now.Add(100 * time.Hour): time.Hour} {
		if got := askedFor(429, at.Format(http.TimeFormat), now); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

// An endpoint that does not answer costs no more than the context's time; nobody's
// words reach the log.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	resets := nettest.RawServer(t, func(c net.Conn) {
		buf := make([]byte, 1)
		_, _ = c.Read(buf)
		nettest.Reset(c)
	})
	for name, url := range map[string]string{
		"hangs": hangs.URL, "resets": resets,
		"refused":   nettest.Refused(t),
		"untrusted": nettest.Untrusted(t, http.NotFoundHandler()),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		a := local(t, url, nil).post(ctx, testEvent(), time.Now())
		cancel()
		if a.err == nil || a.ok() || a.result() != "no_answer" {
			t.Errorf("%s: %+v", name, a)
			continue
		}
		if said := plainly(a.err); strings.Contains(said, "127.0.0.1") || strings.Contains(said, "://") {
			t.Errorf("%s: the log would hold %q", name, said)
		}
	}
}

// TestTLS reaches a server of the test's own authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	t.Cleanup(s.Close)
	c := local(t, s.URL, nil)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c.http.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	if a := c.post(t.Context(), testEvent(), time.Now()); !a.ok() {
		t.Errorf("%+v", a)
	}
}

// TestPrivateAddresses dials none of them, whatever name leads there.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.0.1", "0.0.0.0", "::1", "fc00::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254"} {
		dns := newNames(t, addr)
		c, err := newClient(Endpoint{App: "shop", URL: "https://hooks.example.com:9/", Secrets: []secret.String{secret.New(testSecret)}}, "", dns.resolver())
		if err != nil {
			t.Fatal(err)
		}
		a := c.post(t.Context(), testEvent(), time.Now())
		if !errors.Is(a.err, errAddress) || a.result() != "refused_address" || strings.Contains(plainly(a.err), addr) {
			t.Errorf("%s: %v", addr, a.err)
		}
	}
}

// TestRebinding: a name that means another address the next time leads nowhere.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	dns := newNames(t, "127.0.0.1")
	c := local(t, s.URL, dns.resolver())
	c.url = "http://hooks.example.com:" + port // which no config could name
	if a := c.post(t.Context(), testEvent(), time.Now()); !a.ok() {
		t.Fatalf("the first time: %+v", a)
	}
	dns.set("169.254.169.254")
	if a := c.post(t.Context(), testEvent(), time.Now()); !errors.Is(a.err, errAddress) {
		t.Errorf("the second time: %+v", a)
	}
}

// names is a DNS server in which every name has one address.
type names struct {
	conn net.PacketConn
	mu   sync.Mutex
	addr netip.Addr
}

func newNames(t *testing.T, addr string) *names {
	t.Helper()
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn}
	n.set(addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return n
}

func (n *names) set(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr = netip.MustParseAddr(addr)
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

// serve answers with the address where the question is of its kind, else with
// nothing (RFC 1035, section 4).
func (n *names) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		n.mu.Lock()
		addr := n.addr
		n.mu.Unlock()
		end := 12 + bytes.IndexByte(buf[12:size], 0) + 5 // the name, its type and its class
		kind := binary.BigEndian.Uint16(buf[end-4:])
		answer := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
		if raw := addr.AsSlice(); kind == 1 && addr.Is4() || kind == 28 && !addr.Is4() {
			answer[7] = 1
			answer = append(answer, 0xc0, 12)
			answer = binary.BigEndian.AppendUint16(answer, kind)
			answer = append(answer, 0, 1, 0, 0, 0, 0)
			answer = binary.BigEndian.AppendUint16(answer, uint16(len(raw)))
			answer = append(answer, raw...)
		}
		_, _ = n.conn.WriteTo(answer, from)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	var all time.Duration
	for n := 1; ; n++ {
		d, again := wait(n, 0)
		if !again {
			if n != 10 {
				t.Errorf("given up after %d tries", n)
			}
			break
		}
		if short := waits()[n-1]; d < short || d > short+short/10 {
			t.Errorf("try %d: %s", n, d)
		}
		if longer, _ := wait(n, 40*time.Minute); longer < 40*time.Minute {
			t.Errorf("try %d: %s, and 40 minutes were asked for", n, longer)
		}
		if d > verify.EventWait {
			t.Errorf("try %d: %s is longer than a store lets anything be put off", n, d)
		}
		all += d
	}
	if all < 72*time.Hour || all > MaxAge {
		t.Errorf("all of it takes %s", all)
	}
	for n, want := range map[int]time.Duration{0: 0, 4: 0, 5: time.Second, 6: 2 * time.Second, 10: 32 * time.Second, 11: time.Minute, 1000: time.Minute} {
		if got := restFor(n); got != want {
			t.Errorf("after %s failures a rest of %s, want %s", strconv.Itoa(n), got, want)
		}
	}
}
