package nettest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Balancer is a plain round-robin before servers that come and go: its address
// stays. Each request goes to the next server in turn, whether or not that one
// lives: a request that gets no answer is answered 502, and nobody tries again.
type Balancer struct {
	// URL is "http://127.0.0.1:port".
	URL string

	transport *http.Transport
	log       *log.Logger
	servers   atomic.Pointer[[]*url.URL]
	next      atomic.Uint64
}

// NewBalancer returns a balancer that leads nowhere yet. It ends with the test.
func NewBalancer(t testing.TB) *Balancer {
	t.Helper()
	b := &Balancer{transport: &http.Transport{MaxIdleConnsPerHost: 100}, log: log.New(io.Discard, "", 0)}
	server := httptest.NewServer(http.HandlerFunc(b.serve))
	b.URL = server.URL
	t.Cleanup(func() {
		server.Close()
		b.transport.CloseIdleConnections()
	})
	return b
}

// Lead sends what comes from now on to these servers, in turn. Without any it is
// answered 502.
func (b *Balancer) Lead(t testing.TB, servers ...string) {
	t.Helper()
	all := make([]*url.URL, len(servers))
	for i, s := range servers {
		var err error
		if all[i], err = url.Parse(s); err != nil {
			t.Fatal(err)
		}
	}
	b.servers.Store(&all)
}

func (b *Balancer) serve(w http.ResponseWriter, r *http.Request) {
	servers := b.servers.Load()
	if servers == nil || len(*servers) == 0 {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	server := (*servers)[(b.next.Add(1)-1)%uint64(len(*servers))]
	(&httputil.ReverseProxy{
		Transport: b.transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(server) },
		ErrorLog:  b.log,
	}).ServeHTTP(w, r)
}
