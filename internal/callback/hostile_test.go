package callback

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// Broken and slow bodies end in bounded time and reach neither parser nor
// domain.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	f := &fake{}
	tc := newTest(t, publicURL, f)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	timeouts := edge.Timeouts{Header: time.Second, Read: 300 * time.Millisecond, Idle: 200 * time.Millisecond}
	go func() { done <- edge.NewServer(tc, timeouts, nil).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	head := "POST " + statusPath + " HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for _, tt := range []struct {
		name, send string
		half       bool // the client closes its side after sending
		status     int
		code       string
	}{
		{"a slow body", head + "Content-Length: 17\r\n\r\nMessage", false, 408, "body_timeout"},
		{"a slow chunk", head + "Transfer-Encoding: chunked\r\n\r\n8\r\nMes", false, 408, "body_timeout"},
		{"a half-open connection", head + "Content-Length: 17\r\n\r\nMessage", true, 400, "callback_malformed"},
		{"chunked garbage", head + "Transfer-Encoding: chunked\r\n\r\nXYZ\r\n{}\r\n", false, 400, "callback_malformed"},
		{"endless chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("4000\r\n"+strings.Repeat("x", 0x4000)+"\r\n", 5), false, 413, "body_too_large"},
		{"a huge body announced", head + "Content-Length: 9999999\r\n\r\n", false, 413, "body_too_large"},
		{"a body between the caps", head + "Content-Length: 70000\r\n\r\n" + strings.Repeat("x", 70000), false, 413, "body_too_large"},
		{"no body", head + "Content-Length: 0\r\n\r\n", false, 403, "signature_invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.WriteString(c, tt.send)
				if tt.half {
					_ = c.(*net.TCPConn).CloseWrite()
				}
			}()
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			var p edge.Problem
			if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != tt.status || p.Code != tt.code {
				t.Errorf("%v, %+v; want %d %s", err, p, tt.status, tt.code)
			}
		})
	}
	if f.calls != 0 {
		t.Errorf("the domain was asked %d times", f.calls)
	}
}

// FuzzHandler looks for a request that is answered with 5xx, or that reaches
// the domain without the account's signature. sign tells whether the fuzzer may
// have one: its own signature is then replaced by Twilio's.
func FuzzHandler(f *testing.F) {
	for _, folder := range []string{"callback", "inbound"} {
		for _, g := range readGoldens(f, folder) {
			u, err := url.Parse(g.url)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(u.Path, u.RawQuery, formType, g.signature, g.body, folder == "callback")
		}
	}
	f.Add("/callbacks/twilio/\x00", "?", "text/plain", "=", "a=%zz", true)
	f.Add("/inbound/50%", "a;b", "", "", "\xff=\xfe&&", false)
	client := newClient(f)
	rec := &fake{}
	c, err := New(Options{PublicURL: "https://example.com", Recorder: rec, Sources: map[string]Source{
		"twilio": {Status: client, Replies: client}, "50%": {Replies: client}, "mute": {},
	}})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Routes(mux)
	handler := edge.Wrap(mux, edge.Options{})
	f.Fuzz(func(t *testing.T, path, query, contentType, signature, body string, sign bool) {
		u := &url.URL{Path: path, RawQuery: query}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL = u
		r.Header["Content-Type"] = []string{contentType}
		public := "https://example.com" + u.EscapedPath()
		if query != "" {
			public += "?" + query
		}
		genuine := signatures(public, body)
		if sign {
			signature = genuine[0]
		}
		r.Header["X-Twilio-Signature"] = []string{signature}
		before := rec.calls
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		asked := rec.calls != before
		if asked && !slices.Contains(genuine, signature) {
			t.Errorf("the domain was asked; the signature is %q", signature)
		}
		if asked != (w.Code == http.StatusOK || w.Code == http.StatusNoContent) {
			t.Errorf("asked is %v: %d %s", asked, w.Code, w.Body)
		}
	})
}

// signatures are Twilio's for the body, with either token, as far as it can be
// read as a form: in the readings that Twilio's libraries have of a name that
// stands twice.
func signatures(public, body string) []string {
	var all, first pairs
	seen := map[string]bool{}
	for field := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(field, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || field == "" {
			continue
		}
		all = append(all, [2]string{n, v})
		if !seen[n] {
			first = append(first, [2]string{n, v})
		}
		seen[n] = true
	}
	scheme, rest, _ := strings.Cut(public, "://")
	ported := fmt.Sprint(scheme, "://", strings.Replace(rest, "example.com", "example.com:443", 1))
	var out []string
	for _, token := range []string{ourToken(), nextToken()} {
		for _, u := range []string{public, ported} {
			out = append(out, twiliosim.Sign(token, u, all), twiliosim.Sign(token, u, first))
		}
	}
	return out
}
