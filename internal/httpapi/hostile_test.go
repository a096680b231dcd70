package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/verify"
)

// serveTCP serves the API on a port of its own until the test ends.
func serveTCP(t *testing.T, ta *testAPI, timeouts edge.Timeouts) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- edge.NewServer(ta, timeouts, nil).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// TestHostileBodies holds that every broken body gets its problem, that the
// domain never sees it, and that the connection ends or goes on as it should.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{check: func(verify.CheckRequest) (verify.Checked, error) {
		t.Error("the domain was asked")
		return verify.Checked{}, verify.ErrNotFound
	}})
	addr := serveTCP(t, ta, edge.Timeouts{Header: time.Second, Read: 300 * time.Millisecond, Idle: 200 * time.Millisecond})
	head := "POST " + onePath + "/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ta.keys["shop"] + "\r\nContent-Type: application/json\r\n"
	for _, tt := range []struct {
		name, send string
		half       bool // the client closes its side after sending
		status     int
		code       string
	}{
		{"a slow body", head + "Content-Length: 17\r\n\r\n{\"code\":", false, 408, codeBodySlow},
		{"a slow chunk", head + "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"code", false, 408, codeBodySlow},
		{"a half-open connection", head + "Content-Length: 17\r\n\r\n{\"code\":", true, 400, codeBodyBroken},
		{"chunked garbage", head + "Transfer-Encoding: chunked\r\n\r\nXYZ\r\n{}\r\n", false, 400, codeBodyBroken},
		{"endless chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 5), false, 413, codeBodyTooLarge},
		{"a huge body announced", head + "Content-Length: 9999999\r\n\r\n", false, 413, codeBodyTooLarge},
		{"a body between the caps", head + "Content-Length: 20000\r\n\r\n" + strings.Repeat(" ", 20000), false, 413, codeBodyTooLarge},
		{"no body", head + "Content-Length: 0\r\n\r\n", false, 400, codeBodyMissing},
		{"no key and a slow body", strings.Replace(head, "Bearer", "Basic", 1) + "Content-Length: 17\r\n\r\n{", false, 401, codeUnauthorized},
		{"no key, waiting for 100", strings.Replace(head, "Bearer", "Basic", 1) + "Expect: 100-continue\r\nContent-Length: 17\r\n\r\n", false, 401, codeUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialTCP(t, addr)
			go func() {
				_, _ = io.WriteString(c, tt.send)
				if tt.half {
					_ = c.CloseWrite()
				}
			}()
			br := bufio.NewReader(c)
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			var p Problem
			if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || p.Code != tt.code || p.RequestID == "" {
				t.Errorf("%d %+v, want %d %s", res.StatusCode, p, tt.status, tt.code)
			}
			// The server ends the connection, at the latest when it is idle.
			if _, err := io.Copy(io.Discard, br); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection does not end: %v", err)
			}
		})
	}
}

// Requests sent without waiting for answers are answered in order; a broken
// one among them spoils none.
func TestPipelinedChecks(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{check: func(r verify.CheckRequest) (verify.Checked, error) {
		v := record(t)
		return verify.Checked{Valid: r.Code.Reveal() == "1", Verification: v, Now: recordTime()}, nil
	}})
	addr := serveTCP(t, ta, edge.Timeouts{})
	c := dialTCP(t, addr)
	var all strings.Builder
	bodies := []string{`{"code":"0"}`, `{"code":0}`, `{"code":"1"}`, `nonsense`, `{"code":"1"}`}
	for _, body := range bodies {
		fmt.Fprintf(&all, "POST %s/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			onePath, ta.keys["shop"], len(body), body)
	}
	if _, err := io.WriteString(c, all.String()); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	for i, want := range []string{"200 false", "422 <nil>", "200 true", "400 <nil>", "200 true"} {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if got := fmt.Sprint(res.StatusCode, " ", answer["valid"]); got != want {
			t.Errorf("answer %d: %s, want %s", i, got, want)
		}
	}
}

// A caller who hangs up ends the request's context; what the domain makes of it
// is its own affair.
func TestHangingUp(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan struct{})
	ta := newTestAPI(t, hangUp{entered: entered, ended: ended})
	addr := serveTCP(t, ta, edge.Timeouts{})
	c := dialTCP(t, addr)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", onePath, ta.keys["shop"])
	<-entered
	_ = c.Close()
	<-ended
}

type hangUp struct {
	*fake
	entered, ended chan struct{}
}

func (h hangUp) Get(ctx context.Context, _, _ string) (*verify.Verification, time.Time, error) {
	close(h.entered)
	<-ctx.Done()
	close(h.ended)
	return nil, time.Time{}, ctx.Err()
}
