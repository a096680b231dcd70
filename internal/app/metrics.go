package app

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// metrics counts what happens. No label holds a number, an id or an address,
// and each has few values.
type metrics struct {
	registry *prometheus.Registry

	started, sends, checks, approved, limits, requests *prometheus.CounterVec
	statuses, retries, looks, callbacks, hooks         *prometheus.CounterVec
	tried, givenUp, dropped                            *prometheus.CounterVec
	oldest                                             prometheus.Gauge
	open                                               *prometheus.GaugeVec
	sendSeconds, requestSeconds                        *prometheus.HistogramVec
	batchSize, batchSeconds                            prometheus.Histogram

	mu   sync.Mutex
	down []string // the connectors that are open, sorted
	// refused is why connectors refused the latest texts for a fault of ours.
	refused map[string]connector.Kind
}

var _ verify.Observer = (*metrics)(nil)

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sixdigit", Name: name, Help: help}, labels)
	}
	// From a tenth of a millisecond to the ten seconds of a slow provider.
	seconds := prometheus.ExponentialBucketsRange(0.0001, 12, 16)
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "sixdigit", Name: name, Help: help, Buckets: seconds}, labels)
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		refused:   map[string]connector.Kind{},
		started:   counter("verifications_started_total", "Verifications that were started.", "usage_type", "country"),
		approved:  counter("verifications_approved_total", "Verifications whose code was given: over the started ones, the conversion.", "usage_type", "country"),
		sends:     counter("sends_total", "Texts, by what became of the request; kind is empty when the provider took it.", "connector", "country", "status", "kind"),
		checks:    counter("checks_total", "Codes that were checked.", "usage_type", "country", "result"),
		limits:    counter("limit_hits_total", "Requests that a limit refused.", "limit"),
		requests:  counter("http_requests_total", "Requests, by route.", "method", "route", "status"),
		statuses:  counter("send_status_total", "Statuses that texts came to, by callback or otherwise; kind says why one was not delivered.", "connector", "country", "status", "kind"),
		retries:   counter("send_retries_total", "Texts that were not taken at once and are tried again, here or at another connector.", "connector", "kind"),
		looks:     counter("send_looks_total", "Looks at the provider for a text whose answer was lost.", "connector", "result"),
		callbacks: counter("callbacks_total", "Requests from providers, by what became of them; connector is empty where it does not exist.", "connector", "kind", "result"),
		hooks:     counter("hooks_total", "Orders of auth servers, by what became of them.", "hook", "result"),
		tried:     counter("webhook_tries_total", "Events that were posted to an app's webhook, by what became of the request.", "app", "result"),
		givenUp:   counter("webhook_given_up_total", "Events that were not delivered and will not be.", "app"),
		dropped:   counter("webhook_dropped_total", "Events limit.reached that were not kept, because too many came at once.", "app"),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "sixdigit", Name: "webhook_oldest_seconds", Help: "The age of the oldest event that was not delivered, else 0.",
		}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "sixdigit", Name: "connector_open", Help: "1 while the connector is out of order and is left alone, else 0.",
		}, []string{"connector"}),
		sendSeconds:    histogram("send_seconds", "How long a request to the provider took.", "connector"),
		requestSeconds: histogram("http_request_seconds", "How long a request took, by route.", "method", "route"),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sixdigit", Name: "store_batch_operations", Help: "Operations in one transaction of the store.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		batchSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sixdigit", Name: "store_batch_seconds", Help: "How long one transaction of the store took.", Buckets: seconds,
		}),
	}
	m.registry.MustRegister(m.started, m.approved, m.sends, m.checks, m.limits, m.requests, m.sendSeconds, m.requestSeconds,
		m.statuses, m.retries, m.looks, m.callbacks, m.hooks, m.tried, m.givenUp, m.dropped, m.oldest, m.open, m.batchSize, m.batchSeconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Started implements verify.Observer.
func (m *metrics) Started(_ string, usage sms.UsageType, country string) {
	m.started.WithLabelValues(string(usage), country).Inc()
}

// SendDone implements verify.Observer.
func (m *metrics) SendDone(name, country string, status connector.Status, kind connector.Kind, took time.Duration) {
	m.sends.WithLabelValues(name, country, string(status), string(kind)).Inc()
	m.sendSeconds.WithLabelValues(name).Observe(took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case connectorAtFault(kind):
		m.refused[name] = kind
	case kind == "":
		delete(m.refused, name)
	}
}

// connectorAtFault reports whether a text was refused for what the operator has to
// mend; other kinds say nothing about that.
func connectorAtFault(kind connector.Kind) bool {
	return kind == connector.KindAuth || kind == connector.KindAccount || kind == connector.KindSender
}

// refusals says which connectors refuse texts for a fault of ours, by name.
func (m *metrics) refusals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m.refused)) {
		what := map[connector.Kind]string{
			connector.KindAuth: "credentials", connector.KindAccount: "account", connector.KindSender: "sender or configuration",
		}[m.refused[name]]
		all = append(all, fmt.Sprintf("the connector %s refuses texts: %s: the provider does not accept our %s; the log (send done) has its code", name, m.refused[name], what))
	}
	return all
}

// Checked implements verify.Observer.
func (m *metrics) Checked(_ string, usage sms.UsageType, country string, valid bool, status verify.Status) {
	result := "wrong"
	switch {
	case valid:
		result = "right"
		m.approved.WithLabelValues(string(usage), country).Inc()
	case status != verify.StatusPending && status != verify.StatusExhausted:
		result = "ended"
	}
	m.checks.WithLabelValues(string(usage), country, result).Inc()
}

// LimitHit implements verify.Observer.
func (m *metrics) LimitHit(name string) { m.limits.WithLabelValues(name).Inc() }

// SendStatus implements verify.Observer.
func (m *metrics) SendStatus(name, country string, status connector.Status, kind connector.Kind) {
	m.statuses.WithLabelValues(name, country, string(status), string(kind)).Inc()
}

// Retried implements verify.Observer.
func (m *metrics) Retried(name string, kind connector.Kind) {
	m.retries.WithLabelValues(name, string(kind)).Inc()
}

// Looked implements verify.Observer.
func (m *metrics) Looked(name string, result verify.LookResult) {
	m.looks.WithLabelValues(name, string(result)).Inc()
}

// ConnectorOpen implements verify.Observer.
func (m *metrics) ConnectorOpen(name string, open bool) {
	value := 0.0
	if open {
		value = 1
	}
	m.open.WithLabelValues(name).Set(value)
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := slices.BinarySearch(m.down, name)
	switch {
	case open && !known:
		m.down = slices.Insert(m.down, at, name)
	case !open && known:
		m.down = slices.Delete(m.down, at, at+1)
	}
}

// downConnectors are the names of the connectors that are out of order.
func (m *metrics) downConnectors() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.down)
}

func (m *metrics) callback(name, kind, result string) {
	m.callbacks.WithLabelValues(name, kind, result).Inc()
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(method, route).Observe(took.Seconds())
}

func (m *metrics) batch(size int, took time.Duration) {
	m.batchSize.Observe(float64(size))
	m.batchSeconds.Observe(took.Seconds())
}
