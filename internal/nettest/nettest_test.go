package nettest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post makes one request on a connection of its own.
func post(t *testing.T, url string) error {
	t.Helper()
	pool := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("a=b"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := pool.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func TestFaultsLookAsTheyShould(t *testing.T) {
	t.Parallel()
	read := func(then func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			req := nettest.ReadRequest(bufio.NewReader(c))
			if body, err := io.ReadAll(req.Body); err != nil || string(body) != "a=b" {
				t.Errorf("body %q, error %v", body, err)
			}
			then(c)
		}
	}
	for name, tt := range map[string]struct {
		url  string
		want error
	}{
		"closed":  {nettest.RawServer(t, read(func(net.Conn) {})), io.EOF},
		"reset":   {nettest.RawServer(t, read(nettest.Reset)), syscall.ECONNRESET},
		"refused": {nettest.Refused(t), syscall.ECONNREFUSED},
	} {
		if err := post(t, tt.url); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
	err := post(t, nettest.Untrusted(t, http.NotFoundHandler()))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("untrusted: error %v", err)
	}
}

// TestRawServerEnds: a server whose client says nothing is closed and waited for.
func TestRawServerEnds(t *testing.T) {
	t.Parallel()
	var client net.Conn // open until the server has ended
	var ended atomic.Bool
	t.Run("open", func(t *testing.T) {
		started := make(chan struct{})
		url := nettest.RawServer(t, func(c net.Conn) {
			close(started)
			_, _ = c.Read(make([]byte, 1))
			ended.Store(true)
		})
		var err error
		client, err = net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		<-started
	})
	if !ended.Load() {
		t.Error("serve is running yet")
	}
	if client != nil {
		_ = client.Close()
	}
}

func TestReadRequestOfHalf(t *testing.T) {
	t.Parallel()
	for _, half := range []string{"", "POST / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"} {
		if req := nettest.ReadRequest(bufio.NewReader(strings.NewReader(half))); req != nil {
			t.Errorf("%q is read as a request", half)
		}
	}
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	ctx, expire := nettest.Expiring(t.Context())
	if err := ctx.Err(); err != nil {
		t.Fatalf("before: %v", err)
	}
	expire()
	expire()
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after: %v", err)
	}
}
