package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/internal/httpapi"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// connectorName is what the one connector is called in answers and metrics.
const connectorName = "twilio"

// purgeEvery is how often what is past its retention is looked for at most, and
// purgeRows how much of it is removed in one bite. To look reads the tables
// through: after a look it rests so long that all of them cost 2 % of a core,
// and after a bite so long that a purge costs a fifth.
const (
	purgeEvery    = time.Minute
	purgeRows     = 500
	purgeRest     = 50
	purgeBiteRest = 4
)

// Service is a running verification service: New opens what it needs, Run
// serves until its context ends and closes it all in reverse.
type Service struct {
	config   Config
	log      *slog.Logger
	metrics  *metrics
	store    *sqlite.Store
	keys     *sqlite.Keys
	client   *twilio.Client
	verify   *verify.Service
	api      *httpapi.API
	public   net.Listener
	private  net.Listener
	warnings []string // what readyz says beside "ready"
}

// ConfigError is a fault in the configuration: nothing was started.
type ConfigError struct{ Err error }

// Error says what to mend.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the faults.
func (e *ConfigError) Unwrap() error { return e.Err }

// NewService opens store, keys, connector and listeners. It is one long
// function because its order is the order in which things depend on each other.
//
//nolint:funlen // see above
func NewService(ctx context.Context, c Config, getenv func(string) string, log *slog.Logger) (s *Service, err error) {
	s = &Service{config: c, log: log, metrics: newMetrics()}
	policy, err := c.Policy(time.Now())
	if err != nil {
		return nil, &ConfigError{err}
	}
	cfg, report := ReadConnector(c.Connector, nil)
	if !report.OK {
		return nil, &ConfigError{fmt.Errorf("connector %s: %w", c.Connector, &connector.ConfigError{Faults: report.Faults})}
	}
	for _, w := range report.Warnings {
		log.Warn("connector file", "path", w.Path, "warning", w.Message)
	}
	if policy.AllCountries {
		log.Warn("countries: all are allowed; every country that is not needed is one where fraud can be billed to you")
	}
	catalog, err := sms.NewCatalog(cfg.Templates)
	if err != nil {
		return nil, &ConfigError{err}
	}

	opened := s // a return with an error sets s to nil
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", c.Data, cause(err))
	}
	database := filepath.Join(c.Data, "sixdigit.db")
	_, statErr := os.Stat(database)
	existed := !errors.Is(statErr, fs.ErrNotExist)
	ring, made, err := serverKeys(c.Data, getenv)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{c.Data, keyFile(c.Data)} {
		if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			log.Warn("others than this user may reach the server key or the database; run chmod go-rwx", "path", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
	if made && existed {
		s.warnings = append(s.warnings, "the server key was lost and a new one made: codes sent before are canceled when they are checked")
		log.Error("the server key was lost; a new one was made", "file", keyFile(c.Data))
	}
	if s.store, err = sqlite.Open(ctx, sqlite.Options{Path: database, Observe: s.metrics.batch}); err != nil {
		return nil, err
	}
	if s.keys, err = sqlite.OpenKeys(ctx, database); err != nil {
		return nil, err
	}
	// A send's own deadline rules; the client's ceiling must not be below it.
	if s.client, err = twilio.New(cfg, twilio.Options{MaxConcurrent: c.MaxConcurrent, Timeout: 2 * c.Send.Timeout}); err != nil {
		return nil, err
	}
	s.verify, err = verify.New(verify.Options{
		Store: s.store, Connector: verify.Connector{Name: connectorName, Sender: s.client},
		Templates: catalog, Keys: ring, Policy: policy, Observer: s.metrics, Log: log,
	})
	if err != nil {
		return nil, err
	}
	s.api, err = httpapi.New(httpapi.Options{
		Verifier: s.verify, Authenticator: access.NewAuthenticator(s.keys, log), Idem: ring.Idem, Version: Version(),
	})
	if err != nil {
		return nil, err
	}
	if s.public, err = listen(ctx, c.Listen, false); err != nil {
		return nil, err
	}
	s.private, err = listen(ctx, c.PrivateListen, false)
	return s, err
}

// Keys is the store of API keys, for who makes one in the same process.
func (s *Service) Keys() access.Store { return s.keys }

// URL is where the API answers, and PrivateURL where health and metrics do.
func (s *Service) URL() string        { return "http://" + s.public.Addr().String() }
func (s *Service) PrivateURL() string { return "http://" + s.private.Addr().String() } //nolint:revive // see URL

// Run serves until ctx ends, then finishes what is in flight: requests first,
// then sends, then the store.
func (s *Service) Run(ctx context.Context) error {
	defer s.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 2)
	start := func(ln net.Listener, h http.Handler) {
		server := edge.NewServer(h, edge.DefaultTimeouts(), s.log)
		wg.Go(func() {
			if err := server.Serve(ctx, ln); err != nil {
				failed <- err
			}
			stop() // a service with one listener is none
		})
	}
	start(s.public, s.api.Handler(edge.Options{Log: s.log, Observe: s.metrics.request}))
	start(s.private, s.privateHandler())
	wg.Go(func() { s.purge(ctx) })
	wg.Wait()

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.config.Send.Timeout)
	defer cancel()
	err := s.verify.Close(grace)
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

func (s *Service) privateHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return edge.Wrap(mux, edge.Options{Log: slog.New(slog.DiscardHandler)})
}

// readyz writes to the disk, so that a full one shows before a person waits.
func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status   string   `json:"status"`
		Store    string   `json:"store"`
		Warnings []string `json:"warnings,omitempty"`
	}{"ready", "ok", s.warnings}
	status := http.StatusOK
	if err := s.store.Ready(r.Context()); err != nil {
		answer.Status, answer.Store, status = "not ready", err.Error(), http.StatusServiceUnavailable
	}
	edge.WriteJSON(w, status, "application/json", answer)
}

// purge removes what is past its retention, in bites, until ctx ends.
func (s *Service) purge(ctx context.Context) {
	for {
		began := time.Now()
		n, err := s.verify.Purge(ctx, began.AddDate(0, 0, -s.config.RetentionDays), purgeRows)
		took := time.Since(began)
		if err != nil && ctx.Err() == nil {
			s.log.Error("purge", "error", err.Error())
		}
		rest := purgeBiteRest * took
		if n == 0 || err != nil {
			rest = max(purgeEvery, purgeRest*took)
		}
		pause := time.NewTimer(rest)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// close closes what was opened, the last first.
func (s *Service) close() {
	for _, ln := range []net.Listener{s.private, s.public} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	if s.client != nil {
		s.client.Close()
	}
	if s.keys != nil {
		_ = s.keys.Close()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("close the store", "error", err.Error())
		}
	}
}
