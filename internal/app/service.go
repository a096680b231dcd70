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
	"net/url"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/callback"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/internal/hooks"
	"github.com/sixdigit/sixdigit/internal/httpapi"
	"github.com/sixdigit/sixdigit/internal/twilioverify"
	"github.com/sixdigit/sixdigit/internal/webhook"
	"github.com/sixdigit/sixdigit/verify"
)

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
	place    place
	store    store
	keys     keyStore
	callers  *access.Authenticator
	clients  []*twilio.Client
	sources  map[string]callback.Source // the same, by name
	verify   *verify.Service
	api      *httpapi.API
	webhooks *webhook.Deliverer
	calls    *callback.Callbacks // nil where no provider can call back
	twilio   *twilioverify.API   // nil where the config does not open it
	hooks    *hooks.Hooks        // nil where no auth server may ask for texts
	public   net.Listener
	private  net.Listener
	warnings []string // what readyz says beside "ready", from the start on
}

// ConfigError is a fault in the configuration: nothing was started.
type ConfigError struct{ Err error }

// Error says what to mend.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the faults.
func (e *ConfigError) Unwrap() error { return e.Err }

// NewService opens store, keys, connectors and listeners.
func NewService(ctx context.Context, c Config, getenv func(string) string, log *slog.Logger) (*Service, error) {
	return newService(ctx, c, getenv, log, nil)
}

// newService is NewService with the public listener where there is one already,
// so that its address can stand in the config. Its order is the order in which
// things depend on each other.
func newService(ctx context.Context, c Config, getenv func(string) string, log *slog.Logger, public net.Listener) (s *Service, err error) {
	s = &Service{config: c, log: log, metrics: newMetrics(), public: public, sources: map[string]callback.Source{}}
	opened := s // a return with an error sets s to nil
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	policy, policyErr := c.Policy(time.Now())
	sources, err := readConnectors(c, log)
	endpoints, hooksErr := c.endpoints(getenv)
	if err := errors.Join(policyErr, err, hooksErr); err != nil {
		return nil, &ConfigError{err}
	}
	warnOf(c, &policy, log)
	if s.place, err = c.place(); err != nil {
		return nil, err
	}
	ring, err := s.serverKeys(getenv)
	if err != nil {
		return nil, err
	}
	if s.store, err = s.place.openStore(ctx, s.metrics.batch, log); err != nil {
		return nil, err
	}
	if s.keys, err = s.place.openKeys(ctx); err != nil {
		return nil, err
	}
	if s.place.shared() {
		log.Info("database", "at", s.place.name)
	}
	connectors, err := s.openClients(sources)
	if err != nil {
		return nil, err
	}
	if err := s.openWebhooks(endpoints); err != nil {
		return nil, err
	}
	options := verify.Options{Store: s.store, Connectors: connectors, Keys: ring, Policy: policy, Observer: s.metrics, Log: log, Events: s.eventHooks()}
	if c.PublicURL != "" {
		options.CallbackURL = func(connectorName, sendID string) string { return callback.URL(c.PublicURL, connectorName, sendID) }
	}
	if s.verify, err = verify.New(options); err != nil {
		return nil, err
	}
	if c.PublicURL != "" {
		if s.calls, err = s.callbacks(); err != nil {
			return nil, err
		}
	}
	if err = s.openSurfaces(getenv, ring, sources); err != nil {
		return nil, err
	}
	if s.public == nil {
		if s.public, err = listen(ctx, c.Listen, false); err != nil {
			return nil, err
		}
	}
	s.private, err = listen(ctx, c.PrivateListen, false)
	return s, err
}

// openSurfaces makes what answers on the public listener, callbacks apart.
func (s *Service) openSurfaces(getenv func(string) string, ring *verify.Keyring, sources []source) (err error) {
	s.callers = access.NewAuthenticator(s.keys, s.log)
	s.api, err = httpapi.New(httpapi.Options{
		Verifier: s.verify, Messenger: s.verify, Authenticator: s.callers, Idem: ring.Idem, Version: Version(),
	})
	if err != nil {
		return err
	}
	if err = s.openHooks(getenv, ring.Idem); err != nil {
		return err
	}
	s.twilio, err = s.openTwilioVerify(sources)
	return err
}

// serverKeys returns the keys for codes. With a store of its own the service
// makes the data folder, and a key where there is none yet.
func (s *Service) serverKeys(getenv func(string) string) (ring *verify.Keyring, err error) {
	data := s.config.Data
	if s.place.shared() {
		ring, err = sharedKeys(data, getenv)
	} else {
		ring, err = s.ownKeys(getenv)
	}
	if err != nil {
		return nil, err
	}
	for _, path := range []string{data, keyFile(data)} {
		if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			s.log.Warn("others than this user may reach the server key or the database; run chmod go-rwx", "path", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
	return ring, nil
}

func (s *Service) ownKeys(getenv func(string) string) (*verify.Keyring, error) {
	data := s.config.Data
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", data, cause(err))
	}
	_, statErr := os.Stat(s.place.file)
	existed := !errors.Is(statErr, fs.ErrNotExist)
	ring, made, err := serverKeys(data, getenv)
	if err != nil {
		return nil, err
	}
	if made && existed {
		s.warnings = append(s.warnings, "the server key was lost and a new one made: codes sent before are canceled when they are checked")
		s.log.Error("the server key was lost; a new one was made", "file", keyFile(data))
	}
	return ring, nil
}

// warnOf tells the operator what is allowed and costs money or knowledge.
func warnOf(c Config, policy *verify.Policy, log *slog.Logger) {
	if policy.AllCountries {
		log.Warn("countries: all are allowed; every country that is not needed is one where fraud can be billed to you")
	}
	switch {
	case c.PublicURL == "" && c.Send.PollAfter == 0:
		log.Warn("public_url is not set and send.poll_after is 0: what becomes of a text after it was accepted is never known")
	case c.PublicURL == "":
		log.Warn("public_url is not set: no callbacks are asked for; what becomes of a text is learned by asking, later", "poll_after", c.Send.PollAfter)
	case insecure(c.PublicURL):
		log.Warn("public_url is not https: callbacks, which hold phone numbers, can be read on their way")
	}
}

// insecure reports whether what comes to the URL can be read by others.
func insecure(publicURL string) bool {
	u, err := url.Parse(publicURL)
	return err == nil && u.Scheme != "https" && !loopbackURL(publicURL)
}

// callbacks takes what providers say by themselves.
func (s *Service) callbacks() (*callback.Callbacks, error) {
	return callback.New(callback.Options{
		PublicURL: s.config.PublicURL, Sources: s.sources, Recorder: s.verify, Observe: s.metrics.callback, Log: s.log,
	})
}

// Keys is the store of API keys, for who makes one in the same process.
func (s *Service) Keys() access.Store { return s.keys }

// URL is where the API answers, and PrivateURL where health and metrics do.
func (s *Service) URL() string        { return "http://" + s.public.Addr().String() }
func (s *Service) PrivateURL() string { return "http://" + s.private.Addr().String() } //nolint:revive // see URL

// outcomeGrace is how long the outcome of a send may take to be written down,
// once the send has ended.
const outcomeGrace = 6 * time.Second

// headroom is garbage that may lie about before it is worth collecting. By itself
// the collector lets as much garbage gather as there is in use: a few MiB here,
// which load makes many times a second, and a tenth of the service's time. It
// counts memory that nobody touches as in use, and that costs nothing; a higher
// GOGC would do the same, and cost the more memory the more is in use.
const headroom = 32 << 20

// Run serves until ctx ends, then finishes what is in flight: requests first,
// then sends and what is owed to them, then the store.
func (s *Service) Run(ctx context.Context) error {
	untouched := make([]byte, headroom)
	defer runtime.KeepAlive(untouched)
	defer s.log.Info("stopped") // the last of all
	defer s.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// What is owed to sends is done for as long as there are requests.
	owing, settle := context.WithCancel(context.WithoutCancel(ctx))
	defer settle()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		s.verify.Run(owing)
	}()
	// Events to the last: what the last sends came to may be among them.
	telling, hush := context.WithCancel(context.WithoutCancel(ctx))
	defer hush()
	told := s.deliver(telling)
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
	start(s.public, s.publicHandler())
	start(s.private, s.privateHandler())
	wg.Go(func() { s.purge(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		s.log.Info("stopping")
	})
	wg.Wait()

	settle()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.config.Send.Timeout+outcomeGrace)
	defer cancel()
	err := s.verify.Close(grace)
	select {
	case <-settled:
	case <-grace.Done(): // which Close has said already
	}
	hush()
	<-told
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// publicHandler serves the API and, where providers can reach it, their
// callbacks: on one mux, so that the log names the route of each.
func (s *Service) publicHandler() http.Handler {
	mux := http.NewServeMux()
	s.api.Routes(mux)
	if s.calls != nil {
		s.calls.Routes(mux)
	}
	if s.twilio != nil {
		s.twilio.Routes(mux)
	}
	if s.hooks != nil {
		s.hooks.Routes(mux)
	}
	return edge.Wrap(mux, edge.Options{Log: s.log, Observe: s.metrics.request})
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

// readyz writes to the store, so that a full disk, or a database that is out of
// reach, shows before a person waits; and says what is wrong with it. A
// connector that is out of order is a warning: another replica would fare no
// better, and codes can still be checked. So is one that refuses our texts.
func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status   string   `json:"status"`
		Store    string   `json:"store"`
		Warnings []string `json:"warnings,omitempty"`
	}{"ready", "ok", slices.Clone(s.warnings)}
	for _, name := range s.metrics.downConnectors() {
		answer.Warnings = append(answer.Warnings, "the connector "+name+" is out of order; it is tried again from time to time")
	}
	answer.Warnings = append(answer.Warnings, s.metrics.refusals()...)
	status := http.StatusOK
	if err := s.place.explain(s.store.Ready(r.Context())); err != nil {
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
	for _, client := range s.clients {
		client.Close()
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
