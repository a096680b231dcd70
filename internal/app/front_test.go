package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// front is the proxy before the service: its address is the public URL. It
// keeps what providers send, and what they were answered.
type front struct {
	*httptest.Server
	transport *http.Transport

	mu     sync.Mutex
	target *url.URL
	lose   string // requests whose path begins so get no further
	calls  []inbound
	news   chan struct{} // closed with each call that was answered
}

// inbound is one request of a provider.
type inbound struct {
	path, form string
	header     http.Header
	status     int // that it was answered; 0 when it was lost
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{transport: &http.Transport{MaxIdleConnsPerHost: 64}, news: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		Transport: f.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			f.mu.Lock()
			defer f.mu.Unlock()
			r.SetURL(f.target) // which rewrites Host as well
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		call := inbound{path: r.URL.Path, form: string(body), header: r.Header.Clone()}
		if f.loses(r.URL.Path) {
			f.note(call)
			w.WriteHeader(http.StatusNoContent) // what asks believes that it was heard
			return
		}
		r.Body = io.NopCloser(strings.NewReader(call.form))
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		call.status = rec.Code
		f.note(call)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(func() {
		f.Close()
		f.transport.CloseIdleConnections()
	})
	return f
}

// lead sends what comes on to a service.
func (f *front) lead(address string) {
	target, _ := url.Parse(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
}

// loseAll loses what comes under a path from now on; "" loses nothing.
func (f *front) loseAll(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = path
}

func (f *front) loses(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lose != "" && strings.HasPrefix(path, f.lose)
}

func (f *front) note(c inbound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	close(f.news)
	f.news = make(chan struct{})
}

// patience is how long a test waits for what another process, or a clock, has
// to bring about.
const patience = 20 * time.Second

// wait waits for a request under a path whose form holds a text.
func (f *front) wait(t *testing.T, path, holds string) inbound {
	t.Helper()
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		calls, news := f.calls, f.news
		f.mu.Unlock()
		for _, c := range calls {
			if strings.HasPrefix(c.path, path) && strings.Contains(c.form, holds) {
				return c
			}
		}
		select {
		case <-news:
		case <-deadline:
			t.Errorf("no request to %s with %s came", path, holds)
			return inbound{}
		}
	}
}
