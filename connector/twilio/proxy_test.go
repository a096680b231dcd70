package twilio

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sixdigit/sixdigit/internal/nettest"
)

// proxyEnv makes this test the child that has a proxy: net/http reads the
// environment once.
const proxyEnv = "SIXDIGIT_TEST_PROXY"

// TestProxy sends through the proxy that the environment names. It refuses, so
// that nothing leaves this machine.
func TestProxy(t *testing.T) {
	if os.Getenv(proxyEnv) != "" {
		c := newTestClient(t, testConfig("https://api.twilio.example"), Options{})
		if c.pool == nil {
			t.Error("the Client does not use the proxy")
		}
		_, err := c.Send(t.Context(), testMsg(t))
		if e := asError(t, err); e.Outcome != notProcessed {
			t.Errorf("%v", err)
		}
		if local := newTestClient(t, testConfig("http://127.0.0.1:1"), Options{}); local.wire == nil {
			t.Error("what needs no proxy goes through it")
		}
		return
	}
	t.Parallel()
	var tunnels atomic.Int64
	proxy := nettest.RawServer(t, func(c net.Conn) {
		if r := nettest.ReadRequest(bufio.NewReader(c)); r != nil && r.Method == http.MethodConnect && r.Host == "api.twilio.example:443" {
			tunnels.Add(1)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
	})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), exe, "-test.run=^TestProxy$")
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(strings.ToLower(e), "="); !strings.HasSuffix(name, "_proxy") {
			child.Env = append(child.Env, e)
		}
	}
	child.Env = append(child.Env, proxyEnv+"=1", "HTTPS_PROXY="+proxy)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := tunnels.Load(); n != 1 {
		t.Errorf("%d tunnels were asked for, want 1", n)
	}
}

// TestWireSpeaks: what a wire does not do is left to http.Transport.
func TestWireSpeaks(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://localhost": true, "https://localhost:1": true,
		"https://tést.example": false, "https://[fe80::1%25lo]": false, "https://a&b.example": false,
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := wireSpeaks(u); got != want {
			t.Errorf("%s: %t, want %t", base, got, want)
		}
	}
	for base, want := range map[string]string{"https://a.example": "a.example:443", "http://[::1]": "[::1]:80", "https://[::1]:8": "[::1]:8"} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := newWire(u, 1).address; got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}

// TestRequest holds what is written to what net/http reads of it.
func TestRequest(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig("http://127.0.0.1:8080"), Options{})
	for _, r := range []*call{
		{url: c.messages, form: []byte("To=%2B14155550123&Body=x")},
		{url: c.resource("Messages.json", "PageSize=1000&To=%2B1415")},
	} {
		text := string(appendRequest(nil, r, c.auth.Reveal()))
		wire := bufio.NewReader(strings.NewReader(text))
		got := nettest.ReadRequest(wire)
		if got == nil || wire.Buffered() != 0 {
			t.Fatalf("net/http does not read\n%s", text)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		method, header := http.MethodGet, 3
		if r.form != nil {
			method, header = http.MethodPost, 5
		}
		user, password, _ := got.BasicAuth()
		if got.Method != method || got.Host != "127.0.0.1:8080" || got.URL.String() != r.url.RequestURI() ||
			string(body) != string(r.form) || user != testKey || password != testKeySecret || len(got.Header) != header ||
			got.UserAgent() != "sixdigit" || got.Header.Get("Accept") != "application/json" ||
			r.form != nil && got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s %s of %s, %v\n%s", got.Method, got.URL, got.Host, got.Header, body)
		}
	}
}
