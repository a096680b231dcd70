package demo

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apiKey = "sd_0123456789abc_the-key-that-nobody-sees"

// world is a demo with a service and a simulator that do what the test says.
type world struct {
	t    *testing.T
	demo *Demo
	url  string
	sim  *fakePhone

	mu    sync.Mutex
	reply func(w http.ResponseWriter, r *http.Request, body string) // the service
	calls []string                                                  // method and path, as they came
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sim: &fakePhone{events: make(chan string, 16)}}
	w.reply = w.pending
	api := httptest.NewServer(http.HandlerFunc(w.serve))
	d, err := New(Options{API: api.URL, Key: secret.New(apiKey), Simulator: w.sim})
	if err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(d.Handler())
	w.demo, w.url = d, page.URL
	t.Cleanup(func() {
		d.Close()
		page.Close()
		api.Close()
	})
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if got := r.Header.Get("Authorization"); err != nil || got != "Bearer "+apiKey {
		w.t.Errorf("the app called with Authorization %q: %v", got, err)
	}
	w.mu.Lock()
	w.calls = append(w.calls, r.Method+" "+r.URL.Path)
	reply := w.reply
	w.mu.Unlock()
	reply(rw, r, string(body))
}

// answerWith has the service answer everything alike.
func (w *world) answerWith(status int, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reply = func(rw http.ResponseWriter, _ *http.Request, _ string) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}
}

func (w *world) made() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

const (
	firstID = "a4m2ii3de4ashcou3lfc38kc1k"
	toLine  = "+14155550134"
	textSID = "SM00000000000000000000000000000001"
)

// pending is a service where 123456 is right.
func (w *world) pending(rw http.ResponseWriter, r *http.Request, body string) {
	v := map[string]any{
		"id": firstID, "to": toLine, "status": "pending", "attempts_left": 4, "resend_after": time.Now().Add(30 * time.Second),
		"sends": []any{map[string]any{"provider_id": textSID}},
	}
	status, answer := http.StatusCreated, any(v)
	switch {
	case strings.HasSuffix(r.URL.Path, "/check"):
		valid := strings.Contains(body, `"123456"`)
		if valid {
			v["status"] = "approved"
		}
		status, answer = 200, map[string]any{"valid": valid, "status": v["status"], "attempts_left": 4, "verification": v}
	case r.Method == http.MethodDelete, strings.HasSuffix(r.URL.Path, "/resend"):
		status = 200
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	if err := json.NewEncoder(rw).Encode(answer); err != nil {
		w.t.Error(err)
	}
}

// browser is a client that keeps cookies and runs no scripts.
func (w *world) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{}, Jar: jar}
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// get returns the page.
func (w *world) get(c *http.Client) string { w.t.Helper(); return w.read(c.Get(w.url + "/")) }

// post sends a form and returns the page that follows.
func (w *world) post(c *http.Client, path string, fields ...string) string {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return w.read(c.PostForm(w.url+path, form))
}

func (w *world) read(resp *http.Response, err error) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Request.URL.Path != "/" {
		w.t.Fatalf("%s %s: %s %v", resp.Request.Method, resp.Request.URL, resp.Status, err)
	}
	if strings.Contains(string(text), apiKey) {
		w.t.Error("the page shows the API key")
	}
	return string(text)
}

func (w *world) has(page string, wants ...string) {
	w.t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) && !strings.Contains(html.UnescapeString(page), want) {
			w.t.Errorf("the page does not have %q:\n%s", want, page)
		}
	}
}

// fakePhone is a simulator with the texts it is given.
type fakePhone struct {
	events chan string // what /sim/events sends

	mu    sync.Mutex
	texts string // what /sim/messages answers
}

func (p *fakePhone) set(texts ...text) {
	data, err := json.Marshal(map[string]any{"messages": texts})
	if err != nil {
		panic(err) // a text always encodes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = string(data)
}

func (p *fakePhone) tell(t text) {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	p.events <- fmt.Sprintf("event: message\ndata: %s\n\n", data)
}

func (p *fakePhone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/sim/messages":
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = io.WriteString(w, p.texts)
		if p.texts == "" {
			_, _ = io.WriteString(w, `{"messages":[]}`)
		}
	case "/sim/events":
		for {
			select {
			case e := <-p.events:
				_, _ = io.WriteString(w, e)
			case <-r.Context().Done():
				return
			}
		}
	default:
		http.NotFound(w, r)
	}
}

func sentText(statuses ...string) text {
	t := text{SID: textSID, To: toLine, Body: "Your sign-in code is 123456.", Created: time.Now()}
	for _, s := range statuses {
		t.Statuses = append(t.Statuses, status{Status: s, Time: t.Created})
	}
	return t
}
