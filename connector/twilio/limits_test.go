package twilio

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
)

// transport is a RoundTripper made of a function: no network, so that time can
// be synctest's.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func created() *http.Response {
	return &http.Response{StatusCode: http.StatusCreated, ContentLength: -1, Body: io.NopCloser(strings.NewReader(messageJSON("accepted", "null")))}
}

func TestTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		reads    bool
		deadline time.Duration // of the context, or 0
		timeout  time.Duration
		takes    time.Duration
		outcome  connector.Outcome
	}{
		"default":              {reads: true, takes: DefaultTimeout, outcome: maybe},
		"option":               {reads: true, timeout: time.Second, takes: time.Second, outcome: maybe},
		"earlier deadline":     {reads: true, deadline: 3 * time.Second, takes: 3 * time.Second, outcome: maybe},
		"later deadline":       {reads: true, deadline: 15 * time.Second, takes: DefaultTimeout, outcome: maybe},
		"before the body went": {takes: DefaultTimeout, outcome: notProcessed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, testConfig(""), Options{Timeout: tt.timeout, Transport: transport(func(r *http.Request) (*http.Response, error) {
					if tt.reads {
						_, _ = io.Copy(io.Discard, r.Body)
					}
					<-r.Context().Done()
					return nil, r.Context().Err()
				})})
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				start := time.Now()
				_, err := c.Send(ctx, testMsg(t))
				if e := asError(t, err); e.Outcome != tt.outcome || e.Kind != kindTemporary || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took != tt.takes {
					t.Errorf("took %v, want %v", took, tt.takes)
				}
			})
		})
	}
}

// TestUnreadBodyStaysUnread: a transport may read the body after it has given
// up. What was said to be never sent must then not be sent.
func TestUnreadBodyStaysUnread(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]func(*http.Request) (io.ReadCloser, error){
		"the body": func(r *http.Request) (io.ReadCloser, error) { return r.Body, nil },
		"a copy":   func(r *http.Request) (io.ReadCloser, error) { return r.GetBody() },
	} {
		var request *http.Request
		c := newTestClient(t, testConfig(""), Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
			request = r
			return nil, errors.New("gave up on " + testNumber)
		})})
		_, err := c.Send(t.Context(), testMsg(t))
		if e := asError(t, err); e.Outcome != notProcessed {
			t.Errorf("%v", err)
		}
		connectortest.NoSecrets(t, err, testSecrets...)
		body, err := later(request)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); len(got) > 0 || err == nil {
			t.Errorf("%s: %d bytes were read later, error %v", name, len(got), err)
		}
	}
}

// TestReadBodyIsMaybe: one byte that was read may be under way.
func TestReadBodyIsMaybe(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*http.Request){
		"the body": func(r *http.Request) { _, _ = r.Body.Read(make([]byte, 1)) },
		"a copy": func(r *http.Request) {
			if b, err := r.GetBody(); err == nil {
				_, _ = io.Copy(io.Discard, b)
			}
		},
	} {
		c := newTestClient(t, testConfig(""), Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
			read(r)
			return nil, errors.New("gave up")
		})})
		_, err := c.Send(t.Context(), testMsg(t))
		if e := asError(t, err); e.Outcome != maybe {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The body for net/http's own transport, which cannot be made to fail so.
	r := new(http.Request)
	if b := newPlainBody(r, []byte("To=1")); !b.unread() {
		t.Error("a fresh body is read")
	}
	b := newPlainBody(r, []byte("To=1"))
	if _, err := r.Body.Read(make([]byte, 1)); err != nil || b.unread() {
		t.Error("a body of which a byte was read is unread")
	}
	b = newPlainBody(r, []byte("To=1"))
	again, err := r.GetBody()
	if err != nil || b.unread() {
		t.Error("a body that was copied is unread")
	}
	if got, err := io.ReadAll(again); string(got) != "To=1" || err != nil {
		t.Errorf("the copy is %q, error %v", got, err)
	}
}

func TestMaxConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places, sends = 3, 20
		var now, most atomic.Int64
		c := newTestClient(t, testConfig(""), Options{MaxConcurrent: places, Transport: transport(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-time.After(time.Second) // synctest's
			return created(), nil
		})})
		start := time.Now()
		var wg sync.WaitGroup
		for range sends {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != places {
			t.Errorf("%d at once, want %d", most.Load(), places)
		}
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("20 sends of 1 s in 3 places took %v, want 7s", took)
		}
	})
}

// TestNoPlace: who waits in our own queue until the end has sent nothing.
func TestNoPlace(t *testing.T) {
	for name, want := range map[string]error{"timeout": context.DeadlineExceeded, "canceled": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var requests atomic.Int64
				c := newTestClient(t, testConfig(""), Options{MaxConcurrent: 1, Transport: transport(func(r *http.Request) (*http.Response, error) {
					requests.Add(1)
					<-release
					return created(), nil
				})})
				var wg sync.WaitGroup
				wg.Go(func() {
					// A transport that does not mind its context keeps the place.
					if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "canceled" {
					time.AfterFunc(time.Second, cancel)
				}
				_, err := c.Send(ctx, testMsg(t))
				e := asError(t, err)
				if e.Outcome != notProcessed || e.Kind != kindThrottled || e.Actions != actRetry|actFailover || e.Advice != sayWait || !errors.Is(err, want) {
					t.Errorf("%+v", e)
				}
				close(release)
				wg.Wait()
				if requests.Load() != 1 {
					t.Errorf("%d requests, want 1", requests.Load())
				}
				if _, err := c.Send(t.Context(), testMsg(t)); err != nil {
					t.Errorf("the place is not given back: %v", err)
				}
			})
		})
	}
}

// TestPanicGivesThePlaceBack: a transport that panics must not use up a place.
func TestPanicGivesThePlaceBack(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{MaxConcurrent: 1, Transport: transport(func(*http.Request) (*http.Response, error) { panic("x") })})
	func() {
		defer func() { _ = recover() }()
		_, _ = c.Send(t.Context(), testMsg(t))
	}()
	if len(c.places) != 0 {
		t.Error("the place is taken for good")
	}
}

// TestOddTransports: what a RoundTripper may get wrong.
func TestOddTransports(t *testing.T) {
	t.Parallel()
	for name, rt := range map[string]transport{
		"nothing": func(*http.Request) (*http.Response, error) { return nil, nil },
		"no body": func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 201}, nil },
		"a short body": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 201, ContentLength: 1 << 40, Body: http.NoBody}, nil
		},
	} {
		c := newTestClient(t, testConfig(""), Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return rt(r)
		})})
		_, err := c.Send(t.Context(), testMsg(t))
		if e := asError(t, err); e.Outcome != maybe || e.Kind != kindTemporary {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTransportErrors: a transport's error goes no further than its class.
func TestTransportErrors(t *testing.T) {
	t.Parallel()
	secretURL := "https://" + testToken + "@proxy.example.com/?to=" + testNumber
	wrapped := func(err error) error { return &url.Error{Op: "Post", URL: secretURL, Err: err} }
	var names []string
	for range 3 {
		names = append(names, strings.Repeat("host.", 20)+"example.com")
	}
	for name, tt := range map[string]struct {
		err  error
		page bool
		text string
		is   error
	}{
		"DNS":            {err: wrapped(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: testToken}}), text: "the host's name was not resolved"},
		"dial":           {err: wrapped(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}), text: "no connection: network is unreachable", is: syscall.ENETUNREACH},
		"dial timeout":   {err: wrapped(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), text: "no connection: i/o timeout", is: os.ErrDeadlineExceeded},
		"canceled":       {err: wrapped(context.Canceled), text: "no answer: context canceled", is: context.Canceled},
		"own words":      {err: errors.New("proxy " + secretURL), text: "no answer: network error"},
		"authority":      {err: wrapped(x509.UnknownAuthorityError{}), page: true, text: "certificate"},
		"expired":        {err: wrapped(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}}), page: true, text: "expired"},
		"host":           {err: wrapped(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: names}, Host: "api.twilio.com"}), page: true, text: "…"},
		"no TLS":         {err: wrapped(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), page: true, text: "does not speak TLS"},
		"scheme":         {err: wrapped(http.ErrSchemeMismatch), page: true, text: "does not speak TLS"},
		"alert":          {err: wrapped(tls.AlertError(40)), text: "no answer"},
		"EOF in the TLS": {err: wrapped(io.EOF), text: "no answer: EOF", is: io.EOF},
	} {
		c := newTestClient(t, testConfig(""), Options{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, tt.err })})
		_, err := c.Send(t.Context(), testMsg(t))
		e := asError(t, err)
		if e.Outcome != notProcessed || e.Kind != kindTemporary || e.Actions.Has(actPage) != tt.page || !e.Actions.Has(actRetry) {
			t.Errorf("%s: %s, %s, %s", name, e.Outcome, e.Kind, e.Actions)
		}
		if !strings.Contains(err.Error(), tt.text) || len(err.Error()) > 400 {
			t.Errorf("%s: %v; want %q", name, err, tt.text)
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: errors.Is does not find %v", name, tt.is)
		}
		if u := (*url.Error)(nil); errors.As(err, &u) {
			t.Errorf("%s: the chain holds a *url.Error", name)
		}
		connectortest.NoSecrets(t, err, append([]string{"proxy.example.com"}, testSecrets...)...)
	}
}

// TestEndedContextSendsNothing, whatever the transport thinks of contexts.
func TestEndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{Transport: transport(func(*http.Request) (*http.Response, error) {
		t.Error("a request was made")
		return created(), nil
	})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Send(ctx, testMsg(t))
	if e := asError(t, err); e.Outcome != notProcessed || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestContextEndsUnderTheBody: the transport's error then says anything.
func TestContextEndsUnderTheBody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := newTestClient(t, testConfig(""), Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 201, ContentLength: -1, Body: io.NopCloser(reader(func([]byte) (int, error) {
			cancel()
			return 0, errors.New("gave up on " + testNumber)
		}))}, nil
	})})
	_, err := c.Send(ctx, testMsg(t))
	if e := asError(t, err); e.Outcome != maybe || e.Kind != kindTemporary || e.HTTPStatus != 201 || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	connectortest.NoSecrets(t, err, testSecrets...)
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }
