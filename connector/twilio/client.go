package twilio

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
)

// What Options leaves open.
const (
	DefaultMaxConcurrent = 50
	DefaultTimeout       = 10 * time.Second
)

// Options are the parts of a Client that no config file sets.
type Options struct {
	// Transport carries the requests; nil is the Client's own HTTP, which goes
	// through the proxy that the environment names. A Transport must not repeat
	// a POST that may have reached the server, as http.Transport does not.
	Transport http.RoundTripper
	// MaxConcurrent is how many requests are under way at once; 0 is
	// DefaultMaxConcurrent. Twilio answers 429 beyond an account's own limit.
	MaxConcurrent int
	// Timeout ends a call whose context has no earlier deadline, the wait for
	// one of the MaxConcurrent places included; 0 is DefaultTimeout.
	Timeout time.Duration
}

// Client speaks to one Twilio account. Many goroutines may use it at once.
// Make one with New; printing it shows no secret.
type Client struct {
	account string
	base    url.URL       // scheme and host
	auth    secret.String // the Authorization header
	tokens  []secret.String

	readings sync.Pool // of *reading: what callbacks are read with

	// What is the same in every send: the URL and two pieces of the form.
	messages url.URL
	sender   string // the form from behind To's value up to Body's
	risk     string // what follows it
	smart    bool
	validity time.Duration

	wire      *wire             // the Client's own HTTP, or nil
	transport http.RoundTripper // what is used where wire is nil
	pool      *http.Transport   // transport, when it is ours to close
	places    chan struct{}     // one in it for each request under way
	timeout   time.Duration
	now       func() time.Time
}

var (
	_ connector.Sender         = (*Client)(nil)
	_ connector.StatusParser   = (*Client)(nil)
	_ connector.Finder         = (*Client)(nil)
	_ connector.FeedbackSender = (*Client)(nil)
)

// New makes a Client. It does no I/O: wrong credentials show in the first
// send. Its errors are a *connector.ConfigError or about opts.
func New(cfg Config, opts Options) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("twilio: %w", err)
	}
	if opts.MaxConcurrent < 0 {
		return nil, errors.New("twilio: MaxConcurrent is negative")
	}
	if opts.Timeout < 0 {
		return nil, errors.New("twilio: Timeout is negative")
	}
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("twilio: the base URL %w", err)
	}
	c := &Client{
		account:   cfg.AccountSID,
		base:      *base,
		auth:      authorization(cfg),
		tokens:    []secret.String{cfg.AuthToken},
		sender:    senderFields(cfg),
		risk:      riskField(cfg),
		smart:     cfg.SmartEncoded,
		validity:  cfg.Validity,
		transport: opts.Transport,
		timeout:   opts.Timeout,
		now:       time.Now,
	}
	c.messages = c.resource("Messages.json", "")
	// An empty key would accept what anybody signs with an empty key.
	if !cfg.AuthTokenSecondary.IsEmpty() {
		c.tokens = append(c.tokens, cfg.AuthTokenSecondary)
	}
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	n := opts.MaxConcurrent
	if n == 0 {
		n = DefaultMaxConcurrent
	}
	c.places = make(chan struct{}, n)
	switch {
	case c.transport != nil:
	case wireSpeaks(base):
		c.wire = newWire(base, n)
	default:
		c.usePool(n)
	}
	return c, nil
}

// usePool is for what a wire cannot do.
func (c *Client) usePool(connections int) {
	c.wire, c.pool = nil, newPool(connections)
	c.transport = c.pool
}

// Close closes the Client's own idle connections. Calls under way go on, and
// later ones are possible: their connections end with them. A transport from
// Options is left to whoever made it.
func (c *Client) Close() {
	if c.wire != nil {
		c.wire.close()
	}
	if c.pool != nil {
		c.pool.CloseIdleConnections()
	}
}

// newPool keeps one connection for each request that may be under way, so that
// none is opened and closed again under load (http's default keeps two).
func newPool(connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: probeInterval}
	// One connection a request: a stalled connection then holds up one text,
	// where HTTP/2 would hold up all of them.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswer,
		DisableCompression:     true, // an answer is one packet as it is
		Protocols:              protocols,
	}
}

// authorization is HTTP Basic with the API key where there is one. The account
// stays in the path either way.
func authorization(cfg Config) secret.String {
	user, password := cfg.AccountSID, cfg.AuthToken
	if cfg.APIKeySID != "" {
		user, password = cfg.APIKeySID, cfg.APIKeySecret
	}
	return secret.New("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password.Reveal())))
}

// resource is the URL of something in our account. name holds no character
// that a path escapes; query is encoded already.
func (c *Client) resource(name, query string) url.URL {
	u := c.base
	u.Path = accountPath(c.account) + name
	u.RawQuery = query
	return u
}

func accountPath(account string) string { return "/2010-04-01/Accounts/" + account + "/" }

// take waits for one of the places, or for the end of ctx.
func (c *Client) take(ctx context.Context) error {
	select {
	case c.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) leave() { <-c.places }
