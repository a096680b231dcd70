package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/webhook"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// WebhookConfig says where an app is told of what happens, and of what.
type WebhookConfig struct {
	URL    string   `yaml:"url"`
	Events []string `yaml:"events,omitempty"` // none are all
	// Secrets sign, the newest first. The environment's stand in their place.
	Secrets      []secret.String `yaml:"secrets,omitempty"`
	AllowPrivate bool            `yaml:"allow_private,omitempty"`
}

// WebhookEnv names the environment variable that holds an app's secrets, with
// spaces between.
func WebhookEnv(app string) string {
	return "SIXDIGIT_WEBHOOK_" + strings.ToUpper(strings.ReplaceAll(app, "-", "_"))
}

// events are those that the app wants.
func (w *WebhookConfig) events() (all []verify.EventType, errs []error) {
	if w == nil {
		return nil, nil
	}
	if len(w.Events) == 0 {
		return verify.EventTypes(), nil
	}
	for i, name := range w.Events {
		t := verify.EventType(name)
		switch {
		case !slices.Contains(verify.EventTypes(), t):
			errs = append(errs, fmt.Errorf("webhook.events[%d]: there is no event of this name; the events are %s", i, joinEvents()))
		case slices.Contains(all, t):
			errs = append(errs, fmt.Errorf("webhook.events[%d]: %s stands twice", i, t))
		default:
			all = append(all, t)
		}
	}
	return all, errs
}

func joinEvents() string {
	var names []string
	for _, t := range verify.EventTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// shown is what may be printed: a URL's query may hold a token. Secrets print
// redacted by themselves.
func (w *WebhookConfig) shown() *WebhookConfig {
	if w == nil {
		return nil
	}
	c := *w
	switch u, err := url.Parse(w.URL); {
	case err != nil || u.User != nil:
		c.URL = secret.Redacted
	case u.RawQuery != "" || strings.Trim(u.Path, "/") != "": // many hold a token there
		c.URL = u.Scheme + "://" + u.Host + "/" + secret.Redacted
	}
	return &c
}

// validate returns what is wrong with what stands in the file. That secrets are
// missing is for whoever knows the environment.
func (w *WebhookConfig) validate() []error {
	if w == nil {
		return nil
	}
	var errs []error
	for _, err := range webhook.CheckURL(w.URL, w.AllowPrivate) {
		errs = append(errs, fmt.Errorf("webhook.%w", err))
	}
	for i, s := range w.Secrets {
		if err := webhook.CheckSecret(s); err != nil {
			errs = append(errs, fmt.Errorf("webhook.secrets[%d]: %w", i, err))
		}
	}
	if n := len(w.Secrets); n > webhook.MaxSecrets {
		errs = append(errs, fmt.Errorf("webhook.secrets: %d are too many; while one is rotated there are two", n))
	}
	return errs
}

// endpoints are where events go. Its error has every fault.
func (c Config) endpoints(getenv func(string) string) ([]webhook.Endpoint, error) {
	var all []webhook.Endpoint
	var errs []error
	named := map[string]string{}
	for _, app := range slices.Sorted(maps.Keys(c.Apps)) {
		w := c.Apps[app].Webhook
		if w == nil {
			continue
		}
		name := WebhookEnv(app)
		e := webhook.Endpoint{App: app, URL: w.URL, Secrets: w.Secrets, AllowPrivate: w.AllowPrivate}
		if set := strings.Fields(getenv(name)); len(set) > 0 {
			if other := named[name]; other != "" {
				errs = append(errs, fmt.Errorf("apps.%s.webhook: %s is also what the app %s is given; write the secrets of one of them in the config", app, name, other))
			}
			named[name] = app
			e.Secrets = nil
			for _, s := range set {
				e.Secrets = append(e.Secrets, secret.New(s))
			}
		}
		if len(e.Secrets) == 0 {
			errs = append(errs, fmt.Errorf("apps.%s.webhook: there is no secret to sign with; set %s, or secrets, to one from: echo whsec_$(openssl rand -base64 32)", app, name))
			continue
		}
		if faults := errors.Join(e.Validate()...); faults != nil && len(w.validate()) == 0 { // or it was said already
			errs = append(errs, fmt.Errorf("apps.%s.webhook (%s): %w", app, name, faults))
			continue
		}
		all = append(all, e)
	}
	return all, errors.Join(errs...)
}

// openWebhooks makes what delivers events. Without any endpoint it only gives up
// what an endpoint of the past has left.
func (s *Service) openWebhooks(endpoints []webhook.Endpoint) (err error) {
	s.webhooks, err = webhook.New(webhook.Options{
		Outbox: s.store, Endpoints: endpoints, Observer: s.metrics, Log: s.log, UserAgent: "sixdigit/" + Version(),
	})
	return err
}

// eventHooks tell of events as they are written down.
func (s *Service) eventHooks() verify.EventHooks {
	return verify.EventHooks{Added: s.webhooks.Wake, Dropped: s.metrics.eventDropped}
}

// deliver delivers events until ctx ends; done is closed when it has ended.
func (s *Service) deliver(ctx context.Context) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.webhooks.Run(ctx)
	}()
	return ended
}

// EventTried implements webhook.Observer.
func (m *metrics) EventTried(app, result string) { m.tried.WithLabelValues(app, result).Inc() }

// EventGivenUp implements webhook.Observer.
func (m *metrics) EventGivenUp(app string) { m.givenUp.WithLabelValues(app).Inc() }

// EventOldest implements webhook.Observer.
func (m *metrics) EventOldest(age time.Duration) { m.oldest.Set(age.Seconds()) }

func (m *metrics) eventDropped(app string) { m.dropped.WithLabelValues(app).Inc() }
