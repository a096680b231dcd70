package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := "to=%2B14155550134"
	type headers map[string]string
	for _, c := range []struct {
		name, method, path, host string
		headers                  headers
		body                     string
		want                     int
	}{
		{"the page", "GET", "/", "127.0.0.1:8010", nil, "", 200},
		{"as localhost", "GET", "/", "localhost:8010", nil, "", 200},
		{"as a name under localhost", "GET", "/", "demo.localhost:8010", nil, "", 200},
		{"IPv6", "GET", "/", "[::1]:8010", nil, "", 200},
		{"DNS rebinding", "GET", "/", "evil.example:8010", nil, "", 403},
		{"DNS rebinding, like a local name", "GET", "/", "localhost.evil.example", nil, "", 403},
		{"DNS rebinding, like an address", "GET", "/", "127.0.0.1.evil.example", nil, "", 403},
		{"another address", "GET", "/", "192.0.2.1", nil, "", 403},
		{"no host", "GET", "/", "", nil, "", 403},
		{"DNS rebinding at the simulator", "GET", "/sim/messages", "evil.example", nil, "", 403},
		{"DNS rebinding at Twilio's API", "GET", "/2010-04-01/Accounts/x/Messages.json", "evil.example", nil, "", 403},
		{"DNS rebinding at a form", "POST", "/start", "evil.example", nil, form, 403},

		{"a form", "POST", "/start", "127.0.0.1:8010", headers{"Origin": "http://127.0.0.1:8010", "Sec-Fetch-Site": "same-origin"}, form, 303},
		{"a form of curl", "POST", "/start", "127.0.0.1:8010", nil, form, 303},
		{"cross-site form", "POST", "/start", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "cross-site"}, form, 403},
		{"a form of another port", "POST", "/start", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9999"}, form, 403},
		{"an old browser's cross-site form", "POST", "/check", "127.0.0.1:8010", headers{"Origin": "http://evil.example"}, form, 403},
		{"a form out of a sandbox", "POST", "/check", "127.0.0.1:8010", headers{"Origin": "null"}, form, 403},
		{"a form at the simulator", "POST", "/sim/keys", "127.0.0.1:8010", headers{"Origin": "http://evil.example"}, "{}", 403},
		{"a link from elsewhere", "GET", "/", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, "", 200},
		{"a frame elsewhere", "GET", "/", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "", 403},
		{"a cross-site read", "GET", "/", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "", 403},
		{"a cross-site stream", "GET", "/events", "127.0.0.1:8010", headers{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, "", 403},

		{"a stream without a session", "GET", "/events", "127.0.0.1", nil, "", 404},
		{"wrong method at the page", "POST", "/", "127.0.0.1", nil, form, 405},
		{"wrong method at a form", "GET", "/start", "127.0.0.1", nil, "", 405},
		{"wrong method at a form", "PUT", "/check", "127.0.0.1", nil, form, 405},
		{"wrong method at the stream", "POST", "/events", "127.0.0.1", nil, "", 405},
		{"unknown path", "GET", "/etc/passwd", "127.0.0.1", nil, "", 404},
		{"a path with dots", "GET", "/x/../demo.js", "127.0.0.1", nil, "", 404},
		{"a huge form", "POST", "/start", "127.0.0.1", nil, "to=" + strings.Repeat("1", maxForm), 413},
		{"a huge form of unknown length", "POST", "/start", "127.0.0.1", headers{"X-Chunked": "yes"}, "to=" + strings.Repeat("1", maxForm), 413},
		{"a broken form", "POST", "/start", "127.0.0.1", nil, "to=%zz", 400},
		{"a form of another kind", "POST", "/start", "127.0.0.1", headers{"Content-Type": "application/json"}, `{"to":"+14155550134"}`, 303},
		{"a number too long", "POST", "/start", "127.0.0.1", nil, "to=" + strings.Repeat("1", 3000), 303},
		{"a cookie that is nobody's", "POST", "/check", "127.0.0.1", headers{"Cookie": "sixdigit_demo_=x"}, "code=123456", 303},
	} {
		var body io.Reader = strings.NewReader(c.body)
		if c.headers["X-Chunked"] != "" {
			body = io.MultiReader(body) // of a type whose length nobody knows
		}
		r := httptest.NewRequest(c.method, c.path, body)
		r.Host = c.host
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		rec := httptest.NewRecorder()
		w.demo.Handler().ServeHTTP(rec, r)
		if rec.Code != c.want {
			t.Errorf("%s: %s %s of %q: %d, want %d: %s", c.name, c.method, c.path, c.host, rec.Code, c.want, rec.Body)
		}
		if rec.Code >= 400 && len(rec.Result().Cookies()) > 0 {
			t.Errorf("%s: a refusal came with a session", c.name)
		}
	}
}

// Nothing of another origin, and nothing inline, is let in.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/demo.css": "text/css; charset=utf-8", "/demo.js": "text/javascript; charset=utf-8",
	} {
		resp, err := w.browser().Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q has no %q", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy %q is open", path, policy)
		}
		for name, want := range map[string]string{
			"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, c := range resp.Cookies() {
			u, _ := url.Parse(w.url)
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Name != "sixdigit_demo_"+u.Port() || c.Value == "" {
				t.Errorf("the cookie is %v", c)
			}
		}
	}
}

// A text is whatever its sender wrote.
func TestHostileText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := sentText("accepted", `"><script>alert(1)</script>`)
	bad.Body = `</p><script>alert(2)</script><img src=x onerror=alert(3)> 654321`
	w.sim.set(bad)
	page := w.post(w.browser(), "/start", "to", "+1 415 555 0134")
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img") {
		t.Errorf("markup came out of a text:\n%s", page)
	}
	w.has(page, "&lt;script&gt;alert(2)", `data-code="654321"`)
}
