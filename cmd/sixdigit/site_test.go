package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
)

// site is a data folder with its config and a simulated Twilio in this process.
// Servers come and go on it.
type site struct {
	t      *testing.T
	dir    string
	config string
	key    string
	sim    *twiliosim.Server
	front  *front // nil when nobody calls back
}

// siteConfig charges every limit, as a service does, and none stops a test.
const siteConfig = `listen: 127.0.0.1:0
private_listen: 127.0.0.1:0
connector: twilio.json
data: data
countries: [all]
apps: {shop: {client_ip: none}}
limits:
  app_number: {burst: 10000000, every: 1ms}
  app_prefix: {burst: 10000000, every: 1ms}
  app_prefix_daily: {burst: 10000000}
  app_country: {burst: 10000000, every: 1ms}
  app_country_daily: {burst: 10000000}
  prefix: {burst: 10000000, every: 1ms}
  all: {burst: 10000000, every: 1ms}
  all_daily: {burst: 10000000}
`

// newSite makes a site; more is YAML that is added to its config, and wrap stands
// between the program and the simulator. Texts stay where they are, and nobody
// calls back.
func newSite(t *testing.T, more string, wrap func(http.Handler) http.Handler) *site {
	t.Helper()
	return newSiteWith(t, siteOptions{more: more, wrap: wrap, sim: twiliosim.Options{Step: time.Hour}})
}

type siteOptions struct {
	more      string
	wrap      func(http.Handler) http.Handler
	sim       twiliosim.Options
	callbacks bool // the program has a public URL, under which the simulator calls it back
}

func newSiteWith(t *testing.T, o siteOptions) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), sim: twiliosim.New(o.sim)}
	var h http.Handler = s.sim
	if o.wrap != nil {
		h = o.wrap(h)
	}
	sim := httptest.NewServer(h)
	if o.callbacks {
		s.front = newFront(t)
		o.more += "public_url: " + s.front.url + "\n"
	}
	t.Cleanup(func() {
		_ = s.sim.Close() // first: it ends what hangs
		sim.Close()
	})
	s.config = filepath.Join(s.dir, "sixdigit.yaml")
	s.write("twilio.json", fmt.Sprintf(`{"accountSID": "AC%s", "authToken": "%s", "fromMessagingServiceSID": "MG%s", "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`,
		strings.Repeat("0", 32), strings.Repeat("1", 32), strings.Repeat("0", 32), sim.URL))
	s.write("sixdigit.yaml", siteConfig+o.more)
	s.makeKey()
	return s
}

// front is where a program that comes and goes is reached from outside, as
// behind a load balancer: its address stays. While the program is down it hangs
// up on whoever calls.
type front struct {
	url  string
	back atomic.Pointer[url.URL]
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	proxy := &httputil.ReverseProxy{
		Transport:    transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(f.back.Load()) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.back.Load() == nil {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	f.url = listener.URL
	t.Cleanup(func() {
		listener.Close()
		transport.CloseIdleConnections()
	})
	return f
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// command prepares a run of the program with none of this process's settings.
func (s *site) command(args ...string) *exec.Cmd {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SIXDIGIT_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return cmd
}

func (s *site) makeKey() {
	s.t.Helper()
	out, err := s.command("keys", "create", "--config", s.config, "--name", "shop", "--json").Output()
	if err != nil {
		s.t.Fatalf("keys create: %v", err)
	}
	var made struct{ Key string }
	if err := json.Unmarshal(out, &made); err != nil || made.Key == "" {
		s.t.Fatalf("keys create printed %d bytes: %v", len(out), err)
	}
	s.key = made.Key
}

// texts are the codes that arrived at a number, the newest first.
func (s *site) texts(number string) []string {
	var codes []string
	for _, m := range s.sim.Messages(number) {
		codes = append(codes, codeIn.FindString(m.Body))
	}
	return codes
}

var codeIn = regexp.MustCompile(`[0-9]{6}`)
