package app_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	simAccount = "AC00000000000000000000000000000000"
	simToken   = "11111111111111111111111111111111"
	simService = "MG00000000000000000000000000000000"
	simNumber  = "+12025550100" // the service's
	wrongToken = "55555555555555555555555555555555"
)

// world is a service with a simulated Twilio of its own, over loopback. Twilio
// reaches the service by its front, as it would in the world: nothing that the
// service sees of a callback names the public URL.
type world struct {
	t     *testing.T
	sim   *twiliosim.Server
	front *front
	svc   *app.Service
	key   string
	logs  *lockedBuffer
	dir   string
	http  *http.Client
	stop  func()
	env   map[string]string // the service's
	at    string            // where the API is called; "" is the service itself

	mu      sync.Mutex
	answers []string // every answer's status line, headers and body
	wrap    func(w http.ResponseWriter, r *http.Request, sim http.Handler)
	asked   []string // every request to the simulated Twilio, method and path
}

// newWorld starts a service. change, which may be nil, edits the config.
func newWorld(t *testing.T, change func(*app.Config)) *world {
	t.Helper()
	return newWorldOf(t, func(_ *world, c *app.Config) {
		if change != nil {
			change(c)
		}
	})
}

// newWorldOf is newWorld for a config that names the world's files.
func newWorldOf(t *testing.T, change func(*world, *app.Config)) *world {
	t.Helper()
	w := &world{t: t, logs: &lockedBuffer{}, dir: t.TempDir(), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	w.front = newFront(t)
	w.sim = twiliosim.New(twiliosim.Options{Step: time.Millisecond, InboundRequestURL: w.front.URL + "/inbound/twilio"})
	simServer := httptest.NewServer(http.HandlerFunc(w.serveSim))
	t.Cleanup(func() {
		_ = w.sim.Close() // first: it ends what hangs
		simServer.Close()
		w.http.CloseIdleConnections()
	})
	w.write("twilio.json", simToken, simServer.URL)
	w.write("broken.json", wrongToken, simServer.URL)
	c := app.DefaultConfig()
	c.Listen, c.PrivateListen, c.PublicURL = "127.0.0.1:0", "127.0.0.1:0", w.front.URL
	c.Connector, c.Data, c.Countries = w.file("twilio.json"), filepath.Join(w.dir, "data"), []string{"US"}
	change(w, &c)
	w.run(c)
	_, key, err := app.CreateKey(t.Context(), c, app.KeySpec{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	w.key = key.Reveal()
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// write makes a connector JSON of the simulated account, with a token.
func (w *world) write(name, token, baseURL string) {
	w.t.Helper()
	text := fmt.Sprintf(`{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your secret code is {{code}}."}]}`, simAccount, token, simService, baseURL)
	w.writeFile(name, text)
}

func (w *world) writeFile(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// serveSim notes what Twilio is asked, and lets a test stand in between.
func (w *world) serveSim(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	wrap := w.wrap
	w.mu.Unlock()
	if wrap != nil {
		wrap(rw, r, w.sim)
		return
	}
	w.sim.ServeHTTP(rw, r)
}

// between has a function stand before the simulated Twilio from now on.
func (w *world) between(wrap func(rw http.ResponseWriter, r *http.Request, sim http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrap = wrap
}

// isCreate reports whether Twilio is asked for a text.
func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Messages.json")
}

// count is how many requests to the simulated Twilio end like this.
func (w *world) count(method, suffix string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.asked {
		if strings.HasPrefix(a, method+" ") && strings.HasSuffix(a, suffix) {
			n++
		}
	}
	return n
}

func (w *world) creates() int { return w.count("POST", "/Messages.json") }

// run starts the service; stop ends it and waits.
func (w *world) run(c app.Config) {
	w.t.Helper()
	w.svc, w.stop = w.launch(c)
	w.front.lead(w.svc.URL())
}

// launch starts a service beside the world's own.
func (w *world) launch(c app.Config) (svc *app.Service, stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	svc, err := app.NewService(ctx, c, func(name string) string { return w.env[name] }, log)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("the service ended with %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return svc, stop
}

// call makes a request with the key and returns status and decoded body.
func (w *world) call(method, path string, body any, headers ...string) (int, map[string]any) {
	w.t.Helper()
	status, text := w.raw(method, cmp.Or(w.at, w.svc.URL())+path, body, headers...)
	var v map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &v); err != nil {
			w.t.Errorf("%s %s: %d, not JSON: %v", method, path, status, err)
		}
	}
	return status, v
}

func (w *world) raw(method, url string, body any, headers ...string) (int, []byte) {
	w.t.Helper()
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		payload, _ = json.Marshal(b)
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(payload))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Errorf("%s: %v", method, err)
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	w.answers = append(w.answers, fmt.Sprintf("%s %v %s", resp.Status, resp.Header, text))
	w.mu.Unlock()
	return resp.StatusCode, text
}

// start begins a verification and returns its id.
func (w *world) start(to string, more ...string) string {
	w.t.Helper()
	body := map[string]any{"to": to, "usage_type": "SignIn", "client_ip": "203.0.113.7"}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	status, v := w.call("POST", "/v1/verifications", body)
	if status != http.StatusCreated {
		w.t.Fatalf("start: %d %v", status, v["code"])
	}
	return v["id"].(string)
}

// code reads the newest code off the phone.
func (w *world) code(to string) string {
	w.t.Helper()
	texts := w.sim.Messages(to)
	if len(texts) == 0 {
		w.t.Fatal("no text arrived")
	}
	code := strings.TrimSuffix(strings.TrimPrefix(texts[0].Body, "Your secret code is "), ".")
	return code
}

// wrong is a code of the same length that is not the right one.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func jsonLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
