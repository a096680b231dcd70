package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// start serves h until the test ends; stop ends it and returns Serve's error.
func start(t *testing.T, h http.Handler, timeouts Timeouts) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewServer(h, timeouts, nil).Serve(ctx, ln) }()
	ended := false
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return ln.Addr().String(), stop
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func ok(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		Problem{Status: http.StatusRequestTimeout, Code: "body_timeout"}.Write(w, r)
	}
}

// TestHostileClients sends what no honest client does and expects to be hung
// up on, in bounded time.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	short := Timeouts{Header: 150 * time.Millisecond, Read: 300 * time.Millisecond, Write: time.Second, Idle: 150 * time.Millisecond}
	addr, _ := start(t, Wrap(http.HandlerFunc(ok), Options{MaxBody: 64}), short)
	for _, tt := range []struct {
		name, send string
		want       string // the first line of the answer; "" is none at all
	}{
		{"nothing at all", "", ""},
		{"half a header", "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ", ""},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n12345", "HTTP/1.1 408 Request Timeout"},
		{"idle after an answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
		{"a header flood", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Flood: "+strings.Repeat("a", 100)+"\r\n", 400), "HTTP/1.1 431 Request Header Fields Too Large"},
		{"one endless header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 64<<10), "HTTP/1.1 431 Request Header Fields Too Large"},
		{"a body too large", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 Request Entity Too Large"},
		{"chunked garbage", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 408 Request Timeout"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 400 Bad Request"},
		{"length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01", ""},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request: missing required Host header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, addr)
			go func() { _, _ = io.WriteString(c, tt.send) }()
			all, err := io.ReadAll(c) // ends when the server hangs up
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the connection is still open after 10 s")
			}
			first, _, _ := strings.Cut(string(all), "\r\n")
			// A server that hangs up on unread bytes may reset the connection
			// before its answer is read.
			if first != tt.want && (err == nil || first != "") && !(tt.want == "" && strings.Contains(first, " 400 ")) {
				t.Errorf("answer %q, want %q (%v)", first, tt.want, err)
			}
		})
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	addr, _ := start(t, Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}), Options{}), Timeouts{})
	c := dial(t, addr)
	var all strings.Builder
	for i := range 50 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
	}
	if _, err := io.WriteString(c, all.String()); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	for i := range 50 {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if want := fmt.Sprintf("/%d", i); string(body) != want {
			t.Fatalf("answer %d is %q", i, body)
		}
	}
}

// A client that never reads must not hold a goroutine for ever.
func TestClientThatNeverReads(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	addr, _ := start(t, Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		var err error
		for range 64 { // more than any socket buffer
			if _, err = w.Write(block); err != nil {
				break
			}
		}
		ended <- err
	}), Options{}), Timeouts{Write: 200 * time.Millisecond})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all was written to a client that does not read")
		}
	case <-time.After(10 * time.Second):
		t.Error("the handler is still writing")
	}
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	var canceled error
	addr, stop := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		canceled = r.Context().Err()
		_, _ = io.WriteString(w, "done")
	}), Timeouts{})
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + addr)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the listener is closed
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped (%v) with a request in flight", err)
	default:
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if canceled != nil {
		t.Errorf("its context ended: %v", canceled)
	}
	http.DefaultClient.CloseIdleConnections() //nolint:forbidigo // httptest and http.Get above use it
}

func TestStopBreaksOffWhatOutlastsTheGrace(t *testing.T) {
	t.Parallel()
	entered, left := make(chan struct{}), make(chan struct{})
	addr, stop := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	}), Timeouts{Grace: 50 * time.Millisecond})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	if err := stop(); !errors.Is(err, ErrUnfinished) {
		t.Errorf("stop: %v", err)
	}
	<-left
}

func TestServeReportsALostListener(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := NewServer(http.NotFoundHandler(), Timeouts{}, nil).Serve(t.Context(), ln); err == nil {
		t.Error("no error")
	}
}
