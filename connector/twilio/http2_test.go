package twilio

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
)

// A transport of the caller's may speak HTTP/2, which goes on reading a body
// after it has returned an error. What is called not processed never arrived.
func TestCallersHTTP2Transport(t *testing.T) {
	t.Parallel()
	const seed, sends = 7, 800
	var arrived atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && len(body) > 0 {
			arrived.Add(1)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, messageJSON("accepted", "null"))
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	transport, ok := srv.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the test server has no transport of its own")
	}
	c := newTestClient(t, testConfig(srv.URL), Options{Transport: transport})
	random := rand.New(rand.NewPCG(seed, seed))
	var possible atomic.Int64
	var wg sync.WaitGroup
	for range sends {
		patience := time.Duration(random.Int64N(int64(1500 * time.Microsecond)))
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := c.Send(ctx, testMsg(t))
			var e *connector.Error
			if err == nil || errors.As(err, &e) && e.Outcome == maybe {
				possible.Add(1)
			}
		})
	}
	wg.Wait()
	srv.Close() // which waits for what it is still reading
	if arrived.Load() > possible.Load() {
		t.Errorf("seed %d: %d sends arrived; only %d may have", seed, arrived.Load(), possible.Load())
	}
}
