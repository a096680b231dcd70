package twiliosim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// endpoint is a callback receiver without a network. It connects after one
// time, answers after another, and notes what came.
type endpoint struct {
	connect, answer time.Duration
	statuses        []int // of the answers in turn; 0 fails after connecting, -1 before; then 200
	mu              sync.Mutex
	got             []string // status@time since the start
	reqs            []*http.Request
	forms           []url.Values
	start           time.Time
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	status := http.StatusOK
	if len(e.statuses) > 0 {
		status, e.statuses = e.statuses[0], e.statuses[1:]
	}
	e.got = append(e.got, fmt.Sprintf("%s@%v", form.Get("MessageStatus"), time.Since(e.start)))
	e.reqs, e.forms = append(e.reqs, r), append(e.forms, form)
	e.mu.Unlock()
	if err := sleep(r.Context(), e.connect); err != nil {
		return nil, err
	}
	if status < 0 {
		return nil, errors.New("connection refused")
	}
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
	if err := sleep(r.Context(), e.answer); err != nil {
		return nil, err
	}
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	h := http.Header{"Location": {"http://127.0.0.1/elsewhere"}}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: h, Body: http.NoBody, Request: r}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestCallbackRetries runs the table of connection overrides on a fake clock.
// The message is queued from a number, so that `sent` is its first callback, a
// second after the create; `delivered` is kept away.
func TestCallbackRetries(t *testing.T) {
	t.Parallel()
	const long = time.Hour
	for _, tt := range []struct {
		name, fragment string
		e              *endpoint
		want           string // the tries
		failed         int64
	}{
		{"well", "", &endpoint{}, "sent@1s", 0},
		{"slow", "", &endpoint{connect: 4 * time.Second, answer: 10 * time.Second}, "sent@1s", 0},
		{"204", "", &endpoint{statuses: []int{204}}, "sent@1s", 0},
		{"5xx", "", &endpoint{statuses: []int{500}}, "sent@1s", 1},
		{"429", "", &endpoint{statuses: []int{429}}, "sent@1s", 1},
		{"redirect", "", &endpoint{statuses: []int{302}}, "sent@1s", 1},
		{"redirect, all", "#rp=all&rc=5", &endpoint{statuses: []int{302}}, "sent@1s", 1},
		{"reset while reading", "", &endpoint{statuses: []int{0}}, "sent@1s", 1},
		{"no answer", "", &endpoint{answer: long}, "sent@1s", 1},
		{"refused once", "", &endpoint{statuses: []int{-1}}, "sent@1s sent@1s", 0},
		{"refused twice", "", &endpoint{statuses: []int{-1, -1}}, "sent@1s sent@1s", 1},
		{"refused, rc=0", "#rc=0", &endpoint{statuses: []int{-1}}, "sent@1s", 1},
		{"no connection", "", &endpoint{connect: long}, "sent@1s sent@6s", 1},
		{"no connection, ct=1000", "#ct=1000", &endpoint{connect: long}, "sent@1s sent@2s", 1},
		{"no connection, the whole budget", "#rc=5", &endpoint{connect: long}, "sent@1s sent@6s sent@11s", 1},
		{"no connection, tt=6000", "#rc=5&tt=6000", &endpoint{connect: long}, "sent@1s sent@6s", 1},
		{"no answer, rt retried", "#rp=rt&rt=2000&rc=2", &endpoint{answer: long}, "sent@1s sent@3s sent@5s", 1},
		{"no answer, ct retried alone", "#rp=ct&rt=2000&rc=2", &endpoint{answer: long}, "sent@1s", 1},
		{"reset, rt retried", "#rp=rt", &endpoint{statuses: []int{0}}, "sent@1s sent@1s", 0},
		// Without rt the first silence uses up the budget of all tries.
		{"no answer, retried too late", "#rc=3&rp=5xx,ct,rt", &endpoint{answer: long}, "sent@1s", 1},
		{"no answer, retried in time", "#rc=3&rp=5xx,ct,rt&rt=4000", &endpoint{answer: long}, "sent@1s sent@5s sent@9s sent@13s", 1},
		{"5xx retried", "#rp=5xx&rc=2", &endpoint{statuses: []int{500, 503, 500}}, "sent@1s sent@1s sent@1s", 1},
		{"5xx retried, refused is not", "#rp=5xx&rc=2", &endpoint{statuses: []int{-1}}, "sent@1s", 1},
		{"4xx retried, then fine", "#rp=4xx&rc=3", &endpoint{statuses: []int{404, 200}}, "sent@1s sent@1s", 0},
		{"a slow connection leaves the read its time", "#ct=2000&rt=3000", &endpoint{connect: 1900 * time.Millisecond, answer: 2900 * time.Millisecond}, "sent@1s", 0},
		{"bad overrides are ignored", "#rc=6&ct=99&rp=often&tt=x&e=ashburn", &endpoint{statuses: []int{500}}, "sent@1s", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tt.e.start = time.Now()
				s := newSim(t, Options{Step: time.Second, CallbackClient: &http.Client{Transport: tt.e}})
				if err := s.SetFaults(Faults{Outcome: "sent"}); err != nil {
					t.Fatal(err)
				}
				s.text(t, "From", s.o.PhoneNumber, "StatusCallback", "http://127.0.0.1/cb?x=1"+tt.fragment)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := strings.Join(tt.e.got, " "); got != tt.want || s.calls.failed.Load() != tt.failed {
					t.Errorf("tries %s, %d failed; want %s, %d", got, s.calls.failed.Load(), tt.want, tt.failed)
				}
				for _, r := range tt.e.reqs {
					if a, b := r.Header.Get("I-Twilio-Idempotency-Token"), tt.e.reqs[0].Header.Get("I-Twilio-Idempotency-Token"); a != b || len(a) != 36 {
						t.Errorf("idempotency tokens %q, %q", a, b)
					}
					if r.URL.String() != "http://127.0.0.1/cb?x=1" {
						t.Errorf("posted to %s", r.URL)
					}
				}
			})
		})
	}
}

// TestCallbackRequest looks at one request as a whole.
func TestCallbackRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{start: time.Now()}
		s := newSim(t, Options{Step: time.Second, CallbackClient: &http.Client{Transport: e}})
		if err := s.SetFaults(Faults{Outcome: "undelivered", ErrorCode: 30003}); err != nil {
			t.Fatal(err)
		}
		sid := s.text(t, "StatusCallback", "http://user:pass@127.0.0.1:8080/cb?a=b#rc=2")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := strings.Join(e.got, " "), "queued@1s sent@2s undelivered@3s"; got != want {
			t.Fatalf("callbacks %s, want %s", got, want)
		}
		want := formOf("MessageSid", sid, "SmsSid", sid, "MessageStatus", "undelivered", "SmsStatus", "undelivered",
			"AccountSid", s.o.AccountSID, "To", person, "From", s.o.PhoneNumber, "ApiVersion", "2010-04-01",
			"MessagingServiceSid", s.o.MessagingServiceSID, "ErrorCode", "30003", "RawDlrDoneDate", "0001010000")
		if got := e.forms[2]; got.Encode() != want.Encode() {
			t.Errorf("form\n%s, want\n%s", got.Encode(), want.Encode())
		}
		for _, name := range []string{"ErrorCode", "RawDlrDoneDate"} {
			if e.forms[1].Has(name) {
				t.Errorf("sent has a %s", name)
			}
		}
		r := e.reqs[2]
		var pairs [][2]string
		for name, v := range e.forms[2] {
			pairs = append(pairs, [2]string{name, v[0]})
		}
		for name, want := range map[string]string{
			"User-Agent": "TwilioProxy/1.1", "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
			"X-Twilio-Signature": Sign(s.o.AuthToken, "http://127.0.0.1:8080/cb?a=b", pairs),
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if user, pass, _ := r.BasicAuth(); user+":"+pass != "user:pass" {
			t.Error("the URL's user is not sent")
		}
	})
}

func TestSignDocumentedVector(t *testing.T) {
	t.Parallel()
	got := Sign("12345", "https://example.com/myapp.php?foo=1&bar=2", [][2]string{
		{"To", "+18005551212"}, {"Digits", "1234"}, {"From", "+14158675310"}, {"Caller", "+14158675310"}, {"CallSid", "CA1234567890ABCDE"},
	})
	if want := "L/OH5YylLD5NRKLltdqwSvS0BnU="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// TestCallbackOrder: a slow endpoint still gets the callbacks of one message
// in order, while those of another message pass it; reorder and duplicate do
// what they say.
func TestCallbackOrder(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"normal":    "queued@1s sent@11s delivered@21s",
		"reorder":   "delivered@3s sent@13s queued@23s",
		"duplicate": "queued@1s queued@11s sent@21s sent@31s delivered@41s delivered@51s",
		"none":      "",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{start: time.Now(), answer: 10 * time.Second}
				s := newSim(t, Options{Step: time.Second, CallbackClient: &http.Client{Transport: e}})
				if err := s.SetFaults(Faults{Callbacks: kind, Count: 1}); err != nil {
					t.Fatal(err)
				}
				first := s.text(t, "StatusCallback", "http://127.0.0.1/")
				second := s.text(t, "StatusCallback", "http://127.0.0.1/")
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				var got, other []string
				for i, f := range e.forms {
					if f.Get("MessageSid") == first {
						got = append(got, e.got[i])
					} else if f.Get("MessageSid") == second {
						other = append(other, e.got[i])
					}
				}
				if g := strings.Join(got, " "); g != want {
					t.Errorf("callbacks %s, want %s", g, want)
				}
				if g := strings.Join(other, " "); g != "queued@1s sent@11s delivered@21s" {
					t.Errorf("the other message's callbacks %s", g)
				}
			})
		})
	}
}

// TestCallbackBounds: no more callbacks are under way than there are workers,
// no more wait than may, the rest is dropped and counted; and a message that
// is gone calls nobody.
func TestCallbackBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{start: time.Now(), answer: 14 * time.Second}
		s := newSim(t, Options{Step: time.Second, CallbackClient: &http.Client{Transport: e}, CallbackWorkers: 3, MaxCallbacks: 10})
		for range 20 {
			s.text(t, "StatusCallback", "http://127.0.0.1/")
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if n := len(e.got); n != 3 {
			t.Errorf("%d callbacks under way, want 3", n)
		}
		state := s.ask("GET", "/sim/state", "").json(t)
		dropped, _ := state["callbacks_dropped"].(float64)
		waiting, _ := state["callbacks_waiting"].(float64)
		// How many a worker took before the room was full is up to the scheduler.
		if dropped < 7 || dropped > 10 || dropped+waiting != 17 {
			t.Errorf("%v dropped and %v waiting of 20, with 3 workers and room for 10", dropped, waiting)
		}
		if r := s.ask("DELETE", "/sim/messages", ""); r.code != http.StatusNoContent {
			t.Error(r)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(e.got); n != 3 {
			t.Errorf("%d callbacks were made; the messages are gone", n)
		}
	})
}

// TestLoopbackOnly: without a client of the caller's, no callback leaves the
// machine, and a redirect is not followed.
func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for _, u := range []string{"http://192.0.2.1/", "http://[2001:db8::1]/", "https://192.0.2.1:8443/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.calls.attempt(req, "", parseTarget(u)); f != failConnect || !errors.Is(err, errNotLoopback) {
			t.Errorf("%s: %s, %v", u, f, err)
		}
	}
	hits := make(chan string, 10)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits <- r.URL.Path
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer h.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/cb", nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := s.calls.attempt(req, "", parseTarget(h.URL)); f != failOther || len(hits) != 1 || <-hits != "/cb" {
		t.Errorf("a redirect is %s, and %d more were made", f, len(hits))
	}
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, tls.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := s.calls.attempt(req, "", parseTarget(tls.URL)); f != failConnect || err == nil {
		t.Errorf("a self-signed certificate: %s, %v", f, err)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	if parseTarget("") != nil {
		t.Error("a target for no URL")
	}
	got := parseTarget("https://h/cb?x=1#rc=3&rp=5xx,ct&ct=200&rt=300&tt=400&e=ashburn")
	if got.url != "https://h/cb?x=1" || got.retries != 3 || got.connect != 200*time.Millisecond ||
		got.read != 300*time.Millisecond || got.total != 400*time.Millisecond || got.policy != fail5xx|failConnect || got.bad != "" {
		t.Errorf("target %+v", got)
	}
	def := parseTarget("https://h/cb")
	for _, bad := range []string{"rc=-1", "rc=6", "rc=x", "ct=99", "ct=10001", "rt=15001", "tt=15001", "rp=", "rp=5xx,often"} {
		got := parseTarget("https://h/cb#" + bad)
		if got.bad == "" || got.retries != def.retries || got.connect != def.connect || got.read != def.read || got.total != def.total || got.policy != failConnect {
			t.Errorf("%s is not ignored: %+v", bad, got)
		}
	}
	for raw, want := range map[string]string{
		"https://h": "https://h", "https://u@h:1/a@b?c@d": "https://h:1/a@b?c@d", "https://h?x=a@b": "https://h?x=a@b", "nonsense": "nonsense",
	} {
		if got := signedURL(raw); got != want {
			t.Errorf("%s is signed as %s, want %s", raw, got, want)
		}
	}
}

// TestCloseEndsCallbacks: Close does not wait for a silent endpoint.
func TestCloseEndsCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{start: time.Now(), answer: time.Hour}
		s := New(Options{Step: time.Second, CallbackClient: &http.Client{Transport: e}})
		for range 5 {
			s.text(t, "StatusCallback", "http://127.0.0.1/")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := time.Now()
		if err := s.Close(); err != nil || time.Since(before) != 0 {
			t.Errorf("Close took %v: %v", time.Since(before), err)
		}
		if r := s.post(); r.code != http.StatusServiceUnavailable || r.errorCode(t) != 20503 {
			t.Errorf("after Close: %v", r)
		}
		if r := s.ask("GET", "/sim/messages", ""); r.code != http.StatusServiceUnavailable {
			t.Errorf("after Close: %v", r)
		}
		if err := s.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// TestCallbackURLOfTheService: the message's own URL goes first.
func TestCallbackURLOfTheService(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	if r := s.ask("POST", v1+"Services/"+s.o.MessagingServiceSID, "StatusCallback=http%3A%2F%2F127.0.0.1%2Fservice"); r.code != 200 {
		t.Fatal(r)
	}
	s.text(t)
	s.text(t, "StatusCallback", "http://127.0.0.1/own")
	s.post("To", person, "From", s.o.PhoneNumber, "Body", "x")
	var got []string
	for _, c := range s.Ledger() {
		got = append(got, c.StatusCallback)
	}
	if want := []string{"http://127.0.0.1/service", "http://127.0.0.1/own", ""}; !slices.Equal(got, want) {
		t.Errorf("callbacks %q, want %q", got, want)
	}
}
