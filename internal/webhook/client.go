package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

const (
	dialTimeout = 5 * time.Second
	postTimeout = 15 * time.Second // all of a try
	// What is read of an answer: enough that the connection can be used again
	// where it says something short. What it says is of no interest.
	maxAnswer  = 4 << 10
	maxHeaders = 16 << 10
	idle       = 30 * time.Second
)

// Endpoint is where an app's events go.
type Endpoint struct {
	App string
	URL string
	// Secrets sign, each of them: whsec_ and base64. While one is rotated there are
	// two.
	Secrets []secret.String
	// AllowPrivate lets the URL be one of the operator's own network.
	AllowPrivate bool
}

// Validate returns every fault, in words that quote no secret.
func (e Endpoint) Validate() []error {
	errs := CheckURL(e.URL, e.AllowPrivate)
	switch n := len(e.Secrets); {
	case n == 0:
		errs = append(errs, errors.New("secrets: there is none; "+errSecret.Error()))
	case n > MaxSecrets:
		errs = append(errs, fmt.Errorf("secrets: %d are too many; while one is rotated there are two", n))
	}
	for i, s := range e.Secrets {
		if err := CheckSecret(s); err != nil {
			errs = append(errs, fmt.Errorf("secrets[%d]: %w", i, err))
		}
	}
	return errs
}

// CheckURL returns what is wrong with an endpoint's URL.
func CheckURL(raw string, allowPrivate bool) []error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return []error{errors.New("url: write a URL such as https://app.example.com/webhooks, without user, password or fragment")}
	case u.Scheme == "http" && !(allowPrivate && loopback(u.Hostname())):
		return []error{errors.New("url: events go by https; http is for this machine (127.0.0.1) with allow_private")}
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !newGuard(allowPrivate).mayReach(a) {
		return []error{errors.New("url: the address is not one of the public internet; allow_private allows private ones")}
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// client posts to one endpoint.
type client struct {
	url       string
	keys      [][]byte
	userAgent string
	http      *http.Client
	close     func()
}

func newClient(e Endpoint, userAgent string, resolver *net.Resolver) (*client, error) {
	if errs := e.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("webhook: %s: %w", e.App, errors.Join(errs...))
	}
	c := &client{url: e.URL, userAgent: userAgent}
	for _, s := range e.Secrets {
		k, err := key(s)
		if err != nil {
			return nil, fmt.Errorf("webhook: %s: %w", e.App, err)
		}
		c.keys = append(c.keys, k)
	}
	dialer := &net.Dialer{Timeout: dialTimeout, Control: newGuard(e.AllowPrivate).control, Resolver: resolver}
	transport := &http.Transport{
		// No proxy of the environment's: it would dial in our place, unguarded.
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: dialTimeout, MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConnsPerHost: atOnce, IdleConnTimeout: idle,
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect leads where nobody has looked
	}}
	c.close = transport.CloseIdleConnections
	return c, nil
}

// answer is what became of a request.
type answer struct {
	status int
	asked  time.Duration // by Retry-After
	err    error
}

// result is the answer in a word, for metrics.
func (a answer) result() string {
	switch {
	case a.err != nil:
		if errors.Is(a.err, errAddress) {
			return "refused_address"
		}
		return "no_answer"
	case a.ok():
		return "delivered"
	default:
		return strconv.Itoa(a.status/100) + "xx"
	}
}

func (a answer) ok() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// post makes one try. What the body says counts for nothing: the status does.
func (c *client) post(ctx context.Context, e verify.Event, now time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(e.Payload))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature(c.keys, e.ID, now, e.Payload))
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	// After 101 the body is the bare connection, which knows nothing of ctx.
	stop := context.AfterFunc(ctx, func() { _ = resp.Body.Close() })
	defer stop()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	}
	_ = resp.Body.Close()
	return answer{status: resp.StatusCode, asked: askedFor(resp.StatusCode, resp.Header.Get("Retry-After"), now)}
}
