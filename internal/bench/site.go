package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/sqlite"
)

// site is a store, and the replicas of the service on it.
type site struct {
	world    *world
	engine   engine
	dir      string
	settings settings
	database string // its name; empty for SQLite
	key      string // of the API
	replicas []*process
	calls    atomic.Uint64
}

// keptDays is the retention of a site, longer than any row of it is old.
const keptDays = 40

// benchConfig has every limit, so that each is charged, and none that stops the
// load. A code lives for an hour: a check of one that has expired counts nothing.
const benchConfig = `listen: 127.0.0.1:0
private_listen: 127.0.0.1:0
connector: twilio.json
countries: [all]
apps: {bench: {client_ip: none}}
hooks: {kratos: {secrets: [` + hookWord + `]}}
code: {life: 1h}
limits:
  app_number: {burst: 10000000, every: 1ms}
  app_number_daily: {burst: 10000000}
  app_ip: {burst: 10000000, every: 1ms}
  app_ip_daily: {burst: 10000000}
  app_prefix: {burst: 10000000, every: 1ms}
  app_prefix_daily: {burst: 10000000}
  app_country: {burst: 10000000, every: 1ms}
  app_country_daily: {burst: 10000000}
  number: {burst: 10000000, every: 1ms}
  number_daily: {burst: 10000000}
  ip: {burst: 10000000, every: 1ms}
  prefix: {burst: 10000000, every: 1ms}
  all: {burst: 10000000, every: 1ms}
  all_daily: {burst: 10000000}
`

// settings are what a site has of its own.
type settings struct {
	called  bool // its texts ask for callbacks
	flights int  // sends at once that it is made for, however long each takes; 0: as many as come
}

func (o settings) yaml() string {
	lines := "max_concurrent: 256\n"
	if o.flights > 0 {
		lines = fmt.Sprintf("max_concurrent: %d\nsend: {timeout: %s}\n", o.flights, slowPatience)
	}
	if o.called {
		lines += "public_url: " + publicURL + "\n"
	}
	return lines
}

// openSite makes a store; nothing is in it yet and nobody serves it. Whoever
// opened it closes it.
func (w *world) openSite(ctx context.Context, e engine, o settings) (s *site, err error) {
	w.made++
	s = &site{world: w, engine: e, settings: o}
	w.sites = append(w.sites, s)
	if s.dir, err = w.folder(fmt.Sprintf("site%d", w.made)); err != nil {
		return nil, err
	}
	if e == postgresEngine {
		if s.database, err = w.server.database(ctx); err != nil {
			return nil, err
		}
	}
	connector := fmt.Sprintf(`{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`, simAccount, simToken, simService, w.sim.url)
	if err := os.WriteFile(filepath.Join(s.dir, "twilio.json"), []byte(connector), 0o600); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	if err := os.MkdirAll(filepath.Join(s.dir, "sixdigit-data", "key"), 0o700); err != nil {
		return nil, err
	}
	line := serverKeyID + ":" + base64.StdEncoding.EncodeToString(key) + "\n"
	if err := os.WriteFile(filepath.Join(s.dir, "sixdigit-data", "key", "server.key"), []byte(line), 0o600); err != nil {
		return nil, err
	}
	return s, s.configure(keptDays)
}

// configure writes the config that the next replica starts with.
func (s *site) configure(retentionDays int) error {
	config := benchConfig + s.settings.yaml() + fmt.Sprintf("retention_days: %d\n", retentionDays)
	if s.database != "" {
		config += fmt.Sprintf("store: %q\n", s.world.server.url(s.database))
	}
	return os.WriteFile(filepath.Join(s.dir, "sixdigit.yaml"), []byte(config), 0o600)
}

// fill writes rows into the store while it is empty.
func (s *site) fill(ctx context.Context, from transfer.Source) (err error) {
	if s.engine == sqliteEngine {
		_, err = sqlite.Import(ctx, filepath.Join(s.dir, "sixdigit-data", "sixdigit.db"), from)
		return err
	}
	if _, err = postgres.Import(ctx, secret.New(s.world.server.url(s.database)), from); err != nil {
		return err
	}
	return s.world.server.settle(ctx, s.database)
}

// start starts n replicas. The first start makes the key of the API.
func (s *site) start(ctx context.Context, n int) error {
	if s.key == "" {
		c, err := app.ReadConfig(filepath.Join(s.dir, "sixdigit.yaml"))
		if err != nil {
			return err
		}
		_, key, err := app.CreateKey(ctx, c, app.KeySpec{Name: benchApp})
		if err != nil {
			return err
		}
		s.key = key.Reveal()
	}
	for len(s.replicas) < n {
		var more []string
		if s.world.profile != "" {
			dir := filepath.Join(s.world.profile, s.profileName(len(s.replicas)+1))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			more = []string{"-profile", dir}
		}
		p, err := startProcess(ctx, "service", s.dir, more...)
		if err != nil {
			return err
		}
		s.replicas = append(s.replicas, p)
	}
	return nil
}

// profileName is the folder of a replica's profiles, as sqlite-1.
func (s *site) profileName(replica int) string {
	name := strings.ToLower(string(s.engine))
	if s.settings.called {
		name += "-called"
	}
	return fmt.Sprintf("%s-%d", name, replica)
}

// halt ends the replicas, and remembers how large they were.
func (s *site) halt() {
	for _, p := range s.replicas {
		s.world.peaks[s.engine] = max(s.world.peaks[s.engine], p.peakMemory())
		p.stop()
	}
	s.replicas = nil
}

// close ends the replicas and removes the store, also when ctx is over.
func (s *site) close(ctx context.Context) {
	s.halt()
	s.world.sites = slices.DeleteFunc(s.world.sites, func(o *site) bool { return o == s })
	_ = os.RemoveAll(s.dir)
	if s.database != "" {
		// The server's end removes what this cannot.
		_ = s.world.server.exec(context.WithoutCancel(ctx), "postgres", "DROP DATABASE IF EXISTS "+s.database)
	}
}

// url is the replica whose turn it is, of the first n.
func (s *site) url(n int) string {
	return s.replicas[s.calls.Add(1)%uint64(n)].url // #nosec G115 -- replicas
}

// side is what the first n replicas have in common, whatever is called.
func (s *site) side(n int) *side {
	one := &side{name: string(s.engine), who: cast{measured: s.replicas[:n], simulator: s.world.sim}}
	if s.engine == postgresEngine {
		one.who.database = s.world.server
	}
	return one
}
