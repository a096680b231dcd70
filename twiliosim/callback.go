package twiliosim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// call is one status callback, or one inbound text, that waits to be posted.
type call struct {
	m      *message
	status string
	code   int
	from   string
	at     time.Time
	token  string // I-Twilio-Idempotency-Token, the same on every try
	// inbound are the parameters of an inbound text; nil for a callback.
	inbound [][2]string
}

// dispatcher posts callbacks off the request path. The callbacks of one
// message are posted one after the other, so that the simulator itself never
// changes their order; those of different messages go side by side, up to
// Options.CallbackWorkers. Workers live only while there is work.
type dispatcher struct {
	s      *Server
	client *http.Client

	mu      sync.Mutex
	ready   []*message // messages with callbacks and no worker, oldest first
	waiting int
	workers int
	closed  bool
	wg      sync.WaitGroup

	posted, failed, dropped atomic.Int64
}

func newDispatcher(s *Server) *dispatcher {
	var c http.Client
	if s.o.CallbackClient != nil {
		c = *s.o.CallbackClient
	} else {
		c.Transport = loopbackTransport(s.o.CallbackWorkers)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &dispatcher{s: s, client: &c}
}

var errNotLoopback = errors.New("twiliosim: only loopback addresses are called back; set CallbackClient")

// loopbackTransport dials no address but loopback ones, after the name has
// been looked up, and uses no proxy.
func loopbackTransport(idle int) *http.Transport {
	d := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return errNotLoopback
		}
		return nil
	}}
	return &http.Transport{
		DialContext: d.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConns: idle, MaxIdleConnsPerHost: idle, IdleConnTimeout: 30 * time.Second,
	}
}

// close ends the workers and waits for them.
func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.ready, d.waiting = nil, 0
	d.mu.Unlock()
	d.wg.Wait()
	if d.s.o.CallbackClient == nil {
		d.client.CloseIdleConnections()
	}
}

// enqueue notes the status that m has just entered. The caller holds box.mu.
func (d *dispatcher) enqueue(m *message, now time.Time, final bool) {
	if m.target == nil || m.fate.callbacks == "none" {
		return
	}
	c := call{m: m, status: m.status, code: m.errorCode, from: m.from, at: now, token: d.s.ids.uuid()}
	switch m.fate.callbacks {
	case "duplicate":
		d.push(m, c, c)
	case "reorder":
		m.held = append([]call{c}, m.held...)
		if final {
			d.push(m, m.held...)
			m.held = nil
		}
	default:
		d.push(m, c)
	}
}

func (d *dispatcher) push(m *message, calls ...call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if d.waiting+len(calls) > d.s.o.MaxCallbacks {
		// One line in a thousand tells enough of an overload.
		if n := d.dropped.Add(int64(len(calls))); n%1000 <= int64(len(calls)) {
			d.s.o.Logger.Warn("callbacks dropped: too many are waiting", "dropped", n)
		}
		return
	}
	d.waiting += len(calls)
	m.pending = append(m.pending, calls...)
	if m.busy {
		return
	}
	m.busy = true
	d.ready = append(d.ready, m)
	if d.workers < d.s.o.CallbackWorkers {
		d.workers++
		d.wg.Go(d.work)
	}
}

// work posts callbacks until there are none.
func (d *dispatcher) work() {
	for {
		c, ok := d.take()
		if !ok {
			return
		}
		if !c.m.gone.Load() {
			d.deliver(c)
		}
		d.mu.Lock()
		if len(c.m.pending) > 0 && !d.closed {
			d.ready = append(d.ready, c.m)
		} else {
			c.m.busy, c.m.pending = false, nil
		}
		d.mu.Unlock()
	}
}

func (d *dispatcher) take() (call, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.ready) == 0 {
		d.workers--
		return call{}, false
	}
	m := d.ready[0]
	d.ready[0] = nil
	d.ready = d.ready[1:]
	c := m.pending[0]
	m.pending = m.pending[1:]
	d.waiting--
	return c, true
}

// params is the body of the callback.
func (c call) params() [][2]string {
	if c.inbound != nil {
		return c.inbound
	}
	m := c.m
	p := [][2]string{
		{"SmsSid", m.sid}, {"SmsStatus", c.status}, {"MessageStatus", c.status}, {"To", m.to},
		{"MessageSid", m.sid}, {"AccountSid", m.account}, {"From", c.from}, {"ApiVersion", apiVersion},
	}
	if m.service != "" {
		p = append(p, [2]string{"MessagingServiceSid", m.service})
	}
	if c.status == statusFailed || c.status == statusUndelivered {
		p = append(p, [2]string{"ErrorCode", strconv.Itoa(c.code)})
	}
	if c.status == statusDelivered || c.status == statusUndelivered {
		p = append(p, [2]string{"RawDlrDoneDate", c.at.UTC().Format("0601021504")})
	}
	return p
}

// encodeForm renders the pairs as application/x-www-form-urlencoded.
func encodeForm(params [][2]string) string {
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p[0]) + "=" + url.QueryEscape(p[1]))
	}
	return b.String()
}

// withQuery appends encoded parameters to a URL without a fragment.
func withQuery(u, encoded string) string {
	if strings.Contains(u, "?") {
		return u + "&" + encoded
	}
	return u + "?" + encoded
}

// deliver posts one callback, with the retries its target allows.
func (d *dispatcher) deliver(c call) {
	t := c.m.target
	params := c.params()
	method, at, body := http.MethodPost, t.url, encodeForm(params)
	if t.get {
		method, at, body, params = http.MethodGet, withQuery(t.url, body), "", nil
	}
	token := d.s.reg.main.token
	ctx, cancel := context.WithTimeout(d.s.ctx, t.total)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil { // the URL was checked when the message was taken
		d.failed.Add(1)
		return
	}
	h := req.Header
	if !t.get {
		h.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	h.Set("User-Agent", "TwilioProxy/1.1")
	h.Set("Accept", "*/*")
	h.Set("X-Home-Region", "us1")
	h.Set("X-Twilio-Signature", Sign(token, at, params))
	h.Set("I-Twilio-Idempotency-Token", c.token)

	start := time.Now()
	for try := 0; ; try++ {
		f, err := d.attempt(req, body, t)
		if f == 0 {
			d.posted.Add(1)
			return
		}
		over := ctx.Err() != nil || time.Since(start) >= t.total || c.m.gone.Load()
		if over || try >= t.retries || t.policy&f == 0 {
			d.failed.Add(1)
			d.s.o.Logger.Warn("callback failed", "message", c.m.sid, "status", c.status, "host", req.URL.Host,
				"failure", f.String(), "tries", try+1, "ignored_override", t.bad, "error", shorten(err))
			return
		}
	}
}

// shorten takes the URL out of a client error: it may hold a password.
func shorten(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

var (
	errConnectTimeout = errors.New("connect timed out")
	errReadTimeout    = errors.New("read timed out")
)

// attempt posts once. It tells the phases apart by the moment a connection is
// there, TLS included: until then the connect timeout runs, from then on the
// read timeout.
func (d *dispatcher) attempt(req *http.Request, body string, t *target) (failure, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	var connected atomic.Bool
	timer := time.AfterFunc(t.connect, func() {
		if connected.Load() {
			cancel(errReadTimeout)
		} else {
			cancel(errConnectTimeout)
		}
	})
	defer timer.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connected.CompareAndSwap(false, true) {
			timer.Reset(t.read)
		}
	}})
	r := req.Clone(ctx)
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		r.ContentLength = int64(len(body))
	}
	resp, err := d.client.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if connected.Load() {
			return failRead, err
		}
		return failConnect, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be reused
	switch resp.StatusCode / 100 {
	case 2:
		return 0, nil
	case 4:
		return fail4xx, errors.New(resp.Status)
	case 5:
		return fail5xx, errors.New(resp.Status)
	}
	return failOther, errors.New(resp.Status)
}
