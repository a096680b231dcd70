package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// site is a data folder, or a database, with its config and a simulated Twilio in
// this process. Servers come and go on it.
type site struct {
	t      *testing.T
	dir    string
	config string
	key    string
	sim    *twiliosim.Server
	front  *nettest.Balancer // where it is reached from outside; nil when nobody calls back
	env    []string          // more for every run of the program
	// database is the URL of the store, where it is PostgreSQL's.
	database string
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
	// database is the URL of one in PostgreSQL; "" is the data folder's own.
	database string
	burst    int // how many starts of one block of numbers are let through; 0 is any
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
		s.front = nettest.NewBalancer(t)
		o.more += "public_url: " + s.front.URL + "\n"
	}
	if o.database != "" {
		// Other tests may keep the machine busy for longer than a service waits.
		s.database = o.database + "&connect_timeout=30"
		s.env = []string{app.StoreEnv + "=" + s.database, app.KeyEnv + "=k1:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))}
	}
	t.Cleanup(func() {
		_ = s.sim.Close() // first: it ends what hangs
		sim.Close()
	})
	s.config = filepath.Join(s.dir, "sixdigit.yaml")
	s.write("twilio.json", fmt.Sprintf(`{"accountSID": "AC%s", "authToken": "%s", "fromMessagingServiceSID": "MG%s", "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`,
		strings.Repeat("0", 32), strings.Repeat("1", 32), strings.Repeat("0", 32), sim.URL))
	config := siteConfig + o.more
	if o.burst > 0 {
		config = strings.Replace(config, "app_prefix: {burst: 10000000, every: 1ms}", fmt.Sprintf("app_prefix: {burst: %d, every: 24h}", o.burst), 1)
	}
	s.write("sixdigit.yaml", config)
	s.makeKey()
	return s
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
	cmd.Env = append(cmd.Env, s.env...)
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
