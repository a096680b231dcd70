package twiliosim

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestControlMessages(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	if got := s.ask("GET", "/sim/messages", ""); string(got.body) != "{\"messages\":[]}\n" {
		t.Errorf("no messages: %s", got.body)
	}
	if got := s.ask("GET", "/sim/ledger", ""); string(got.body) != "{\"creates\":[],\"dropped\":0,\"lists\":0}\n" {
		t.Errorf("no creates: %s", got.body)
	}
	a := s.text(t, "StatusCallback", "http://127.0.0.1/cb?send=1")
	b := s.post("To", "+4512345678", "From", "Example", "Body", "<b>").json(t)["sid"].(string)
	c := s.text(t)
	sids := func(query string) []string {
		var got struct {
			Messages []Message `json:"messages"`
		}
		if err := json.Unmarshal(s.ask("GET", "/sim/messages"+query, "").body, &got); err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, m := range got.Messages {
			out = append(out, m.SID)
		}
		return out
	}
	for query, want := range map[string][]string{
		"": {c, b, a}, "?to=%2B14155552671": {c, a}, "?to=+14155552671": {c, a}, "?to=%2B4512345678": {b},
		"?to=%2B1": {}, "?limit=2": {c, b}, "?to=%2B14155552671&limit=1": {c},
	} {
		if got := sids(query); !slices.Equal(got, want) {
			t.Errorf("/sim/messages%s: %v, want %v", query, got, want)
		}
	}
	if r := s.ask("GET", "/sim/messages?limit=0", ""); r.code != 400 {
		t.Errorf("limit 0: %v", r)
	}
}

func TestControlJSON(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	a := s.text(t, "StatusCallback", "http://127.0.0.1/cb?send=1")
	b := s.post("To", "+4512345678", "From", "Example", "Body", "<b>").json(t)["sid"].(string)
	first := s.ask("GET", "/sim/messages?limit=1&to=%2B4512345678", "").json(t)["messages"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{"sid": b, "to": "+4512345678", "from": "Example", "body": "<b>", "status": "queued", "num_segments": 1.0} {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	entry := s.ask("GET", "/sim/ledger", "").json(t)["creates"].([]any)[0].(map[string]any)
	at, _ := entry["time"].(string)
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		t.Error(err)
	}
	delete(entry, "time")
	want := map[string]any{
		"to": person, "status_callback": "http://127.0.0.1/cb?send=1", "sid": a, "answer_lost": false,
		"messaging_service_sid": s.o.MessagingServiceSID,
	}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Errorf("ledger entry (-want +got):\n%s", diff)
	}
	if r := s.ask("DELETE", "/sim/messages", ""); r.code != 204 || len(s.Messages("")) != 0 || len(s.Ledger()) != 2 {
		t.Errorf("%v; %d messages and %d ledger entries left, want 0 and 2", r, len(s.Messages("")), len(s.Ledger()))
	}
	if r := s.ask("DELETE", "/sim/ledger", ""); r.code != 204 || len(s.Ledger()) != 0 {
		t.Errorf("%v; %d ledger entries left", r, len(s.Ledger()))
	}
}

func TestControlFaults(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	get := func() string { return strings.TrimSpace(string(s.ask("GET", "/sim/faults", "").body)) }
	if get() != "{}" {
		t.Errorf("no faults: %s", get())
	}
	all := `{"latency_ms":1,"status":503,"code":20503,"count":2,"retry_after":3,"callbacks":"duplicate","outcome":"failed","error_code":30007,"rate":0.5,"seed":9,"reads":true,"list_lag_ms":4}`
	if r := s.ask("PUT", "/sim/faults", all); r.code != 200 || get() != all {
		t.Errorf("%v; then %s", r, get())
	}
	want := Faults{LatencyMS: 1, Status: 503, Code: 20503, Count: 2, RetryAfter: 3, Callbacks: "duplicate", Outcome: "failed", ErrorCode: 30007, Rate: 0.5, Seed: 9, Reads: true, ListLagMS: 4}
	if diff := cmp.Diff(want, s.faults.get()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	for body, want := range map[string]string{
		`{"latency":1}`: "unknown field", `{"latency_ms":"1"}`: "latency_ms", `{`: "EOF", ``: "EOF", `{} {}`: "behind",
		`{"status":200}`: "status", `{"rate":0}`: "rate is 0", `{"accept_then":"hang","status":500}`: "give one", `[]`: "array",
	} {
		r := s.ask("PUT", "/sim/faults", body)
		if msg, _ := r.json(t)["error"].(string); r.code != 400 || !strings.Contains(msg, want) {
			t.Errorf("%s: %v, want %q", body, r, want)
		}
	}
	if get() != all {
		t.Errorf("bad faults replaced the good: %s", get())
	}
	if r := s.ask("DELETE", "/sim/faults", ""); r.code != 204 || get() != "{}" {
		t.Errorf("%v; then %s", r, get())
	}
}

func TestControlKeys(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for body, status := range map[string]int{`{"friendly_name":"a"}`: 401, `{"friendly_name":"b","main":true}`: 200} {
		r := s.ask("POST", "/sim/keys", body)
		k := r.json(t)
		sid, _ := k["sid"].(string)
		secret, _ := k["secret"].(string)
		if r.code != 201 || !isSID(sid, "SK") || len(secret) != 32 {
			t.Fatal(r)
		}
		r = s.ask("GET", v2010+s.o.AccountSID+".json", "", func(r *http.Request) { r.SetBasicAuth(sid, secret) })
		if r.code != status {
			t.Errorf("%s: the account answers %d, want %d", body, r.code, status)
		}
	}
	if strings.Contains(string(s.ask("GET", v2010+s.o.AccountSID+"/Keys.json", "").body), "secret") {
		t.Error("a list of keys shows secrets")
	}
}

// foreignCase is a request with headers, Host among them.
type foreignCase struct {
	method, path string
	headers      []string
	ok           bool
}

func runForeign(t *testing.T, s *Server, cases []foreignCase) {
	t.Helper()
	for _, tt := range cases {
		r := s.ask(tt.method, tt.path, "{}", func(r *http.Request) {
			for i := 0; i < len(tt.headers); i += 2 {
				if tt.headers[i] == "Host" {
					r.Host = tt.headers[i+1]
				} else {
					r.Header.Set(tt.headers[i], tt.headers[i+1])
				}
			}
		})
		if (r.code != http.StatusForbidden) != tt.ok {
			t.Errorf("%s %s %v: %d, want it allowed: %v", tt.method, tt.path, tt.headers, r.code, tt.ok)
		}
		if !tt.ok && strings.Contains(string(r.body), "123456") {
			t.Errorf("%s %v: the answer shows a text", tt.path, tt.headers)
		}
		if r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %v: CORS is on", tt.path, tt.headers)
		}
	}
}

// TestForeignPages: no page but the simulator's own gets at the texts, neither
// by asking across sites nor by pointing its own name here.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{AllowedHosts: []string{"sim.example", "twilio-sim:8080"}})
	s.text(t)
	runForeign(t, s, []foreignCase{
		{"GET", "/sim/messages", nil, true},
		{"GET", "/sim/messages", []string{"Host", "localhost:8080"}, true},
		{"GET", "/sim/messages", []string{"Host", "LOCALHOST"}, true},
		{"GET", "/sim/messages", []string{"Host", "127.0.0.1:8080"}, true},
		{"GET", "/sim/messages", []string{"Host", "127.9.9.9"}, true},
		{"GET", "/sim/messages", []string{"Host", "[::1]:8080"}, true},
		{"GET", "/sim/messages", []string{"Host", "phone.localhost:1"}, true},
		{"GET", "/sim/messages", []string{"Host", "sim.example:8080"}, true},
		{"GET", "/sim/messages", []string{"Host", "twilio-sim:8080"}, true},
		{"GET", "/sim/messages", []string{"Host", "twilio-sim:8081"}, false},
		{"GET", "/sim/messages", []string{"Host", "evil.example"}, false},
		{"GET", "/sim/messages", []string{"Host", "evil.example:8080"}, false},
		{"GET", "/sim/messages", []string{"Host", "localhost.evil.example"}, false},
		{"GET", "/sim/messages", []string{"Host", "127.0.0.1.evil.example"}, false},
		{"GET", "/sim/messages", []string{"Host", "192.168.1.2:8080"}, false},
		{"GET", "/sim/messages", []string{"Host", ""}, false},
		{"GET", "/sim/", []string{"Host", "evil.example"}, false},
		{"GET", "/sim/events", []string{"Host", "evil.example"}, false},

		{"DELETE", "/sim/faults", []string{"Origin", "http://localhost"}, true},
		{"DELETE", "/sim/faults", []string{"Origin", "http://evil.example"}, false},
		{"DELETE", "/sim/faults", []string{"Origin", "null"}, false},
		{"DELETE", "/sim/faults", []string{"Origin", "http://localhost:3000"}, false},
		{"PUT", "/sim/faults", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"PUT", "/sim/faults", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"GET", "/sim/messages", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"GET", "/sim/messages", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false},
		{"GET", "/sim/messages", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"GET", "/sim/messages", []string{"Sec-Fetch-Site", "none"}, true},
		{"GET", "/sim/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		{"GET", "/sim/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, false},
		{"GET", "/sim/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, false},
	})
}

// TestForeignPagesOnTheAPI: a name that a web page could have is refused,
// whatever else the request says of itself.
func TestForeignPagesOnTheAPI(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	s.text(t)
	runForeign(t, s, []foreignCase{
		{"GET", s.messagesPath(), []string{"Host", "api.twilio.com"}, true},
		{"GET", s.messagesPath(), []string{"Host", "anything.example", "User-Agent", "twilio-go/1.31.0"}, false},
		{"GET", s.messagesPath(), []string{"Host", "evil.example:8010", "User-Agent", "x", "Accept-Language", "*"}, false},
		{"GET", s.messagesPath(), []string{"Host", "eviltwilio.com"}, false},
		{"GET", s.messagesPath(), []string{"Host", "api.twilio.com.evil.example"}, false},
		{"GET", s.messagesPath(), []string{"Host", "192.168.1.5:8010"}, true},
		{"GET", s.messagesPath(), []string{"Host", "[fd00::1]:8010"}, true},
		{"GET", s.messagesPath(), []string{"Host", "evil.example", "User-Agent", "Mozilla/5.0 (X11)"}, false},
		{"GET", s.messagesPath(), []string{"Host", "twilio:8080", "User-Agent", "node", "Accept-Language", "*", "Sec-Fetch-Mode", "cors"}, true},
		{"GET", s.messagesPath(), []string{"Host", "evil.example", "Accept-Language", "en"}, false},
		{"GET", s.messagesPath(), []string{"Host", "evil.example", "Referer", "http://evil.example/"}, false},
		{"GET", s.messagesPath(), []string{"Host", "localhost", "User-Agent", "Mozilla/5.0 (X11)"}, true},
		{"POST", s.messagesPath(), []string{"Origin", "http://evil.example"}, false},
	})
}

func TestControlRouting(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/", 302}, {"GET", "/sim", 302}, {"GET", "/sim/", 200}, {"HEAD", "/sim/", 200}, {"POST", "/sim/", 405},
		{"GET", "/sim/nothing", 404}, {"POST", "/sim/messages", 405}, {"GET", "/sim/keys", 405}, {"HEAD", "/sim/messages", 200},
	} {
		if r := s.ask(tt.method, tt.path, ""); r.code != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, r.code, tt.code)
		} else if tt.code == 302 && r.header.Get("Location") != "/sim/" {
			t.Errorf("%s: to %s", tt.path, r.header.Get("Location"))
		}
	}
}

// TestPage: strict headers, three files that name nothing outside, and no way
// from a text to markup.
func TestPage(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for path, kind := range map[string]string{"/sim/": "text/html", "/sim/page.css": "text/css", "/sim/page.js": "text/javascript"} {
		r := s.ask("GET", path, "")
		h := r.header
		if r.code != 200 || !strings.HasPrefix(h.Get("Content-Type"), kind) || len(r.body) < 500 {
			t.Errorf("%s: %d, %s, %d bytes", path, r.code, h.Get("Content-Type"), len(r.body))
		}
		csp := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %s", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("} {
		if strings.Contains(pageJS, bad) {
			t.Errorf("page.js uses %s", bad)
		}
	}
	html := pageHTML
	for _, bad := range []string{"style=", "onclick=", "<style", "src=\"http", "href=\"http"} {
		if strings.Contains(html, bad) {
			t.Errorf("page.html has %s, which the policy forbids", bad)
		}
	}
	for _, need := range []string{`lang="en"`, "<title>", `aria-live="polite"`, `<label for="number">`, `name="viewport"`, "<h1>", "<main>"} {
		if !strings.Contains(html, need) {
			t.Errorf("page.html lacks %s", need)
		}
	}
}

// TestEvents reads the stream: first a reset, then each change of a message.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := New(Options{Step: time.Millisecond})
	h := httptest.NewServer(s)
	defer h.Close()
	defer func() { _ = s.Close() }()
	p, err := http.Get(h.URL + "/sim/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Body.Close() }()
	if ct := p.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %s", ct)
	}
	lines := bufio.NewScanner(p.Body)
	next := func() (kind string, m Message) {
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				kind = line[7:]
			case strings.HasPrefix(line, "data: "):
				if err := json.Unmarshal([]byte(line[6:]), &m); err != nil {
					t.Fatal(err)
				}
			case line == "" && kind != "":
				return kind, m
			}
		}
		return "", m
	}
	if kind, _ := next(); kind != "reset" {
		t.Fatalf("the stream begins with %q", kind)
	}
	sid := s.text(t)
	for _, want := range []string{"accepted", "queued", "sent", "delivered"} {
		kind, m := next()
		if kind != "message" || m.SID != sid || m.Status != want || m.Body != "Your code is 123456." {
			t.Fatalf("%s: %+v, want %s", kind, m, want)
		}
	}
	s.ask("DELETE", "/sim/messages", "")
	if kind, _ := next(); kind != "reset" {
		t.Errorf("after emptying: %q", kind)
	}
	_ = s.Close() // ends the stream
	if kind, _ := next(); kind != "" {
		t.Errorf("after Close: %q", kind)
	}
}

// TestSlowListener: one that doesn't read holds nobody up, and learns that it
// has lost something.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	l := s.hub.join()
	defer s.hub.leave(l)
	for range listenerBuffer + 10 {
		s.text(t)
	}
	if len(l.events) != listenerBuffer || !l.lost.Load() {
		t.Errorf("%d events wait, lost %v", len(l.events), l.lost.Load())
	}
	for range maxListeners {
		defer s.hub.leave(s.hub.join())
	}
	if r := s.ask("GET", "/sim/events", ""); r.code != http.StatusServiceUnavailable {
		t.Errorf("one stream too many: %v", r)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	s.text(t)
	s.ask("POST", v1+"Services", "FriendlyName=x")
	s.ask("POST", v2010+s.o.AccountSID+"/Keys.json", "")
	s.ask("POST", v2010+s.o.AccountSID+"/IncomingPhoneNumbers.json", "PhoneNumber=%2B14155550000")
	if err := s.SetFaults(Faults{Status: 500}); err != nil {
		t.Fatal(err)
	}
	s.Reset()
	if len(s.Messages("")) != 0 || len(s.Ledger()) != 0 || len(s.reg.keys) != 0 || len(s.reg.services) != 1 || len(s.reg.numbers) != 1 {
		t.Errorf("after Reset: %d messages, %d creates, %d keys, %d services, %d numbers",
			len(s.Messages("")), len(s.Ledger()), len(s.reg.keys), len(s.reg.services), len(s.reg.numbers))
	}
	s.text(t)
}
