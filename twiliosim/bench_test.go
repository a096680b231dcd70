package twiliosim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// discard is a ResponseWriter that keeps nothing, so that the benchmark
// measures the simulator alone.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkCreate is one create without the network: the goal is that 20,000 a
// second leave most of one core to others.
func BenchmarkCreate(b *testing.B) {
	s := New(Options{Step: 10 * time.Millisecond})
	defer s.Close()
	form := benchForm(s).Encode()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("POST", createPath(s), strings.NewReader(form))
			r.SetBasicAuth(s.o.AccountSID, s.o.AuthToken)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			s.ServeHTTP(&discard{http.Header{}}, r)
		}
	})
}

// BenchmarkCreateHTTP is one create over loopback, client included.
func BenchmarkCreateHTTP(b *testing.B) {
	s := New(Options{Step: 10 * time.Millisecond})
	defer s.Close()
	h := httptest.NewServer(s)
	defer h.Close()
	form := benchForm(s).Encode()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer c.CloseIdleConnections()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest("POST", h.URL+createPath(s), strings.NewReader(form))
			r.SetBasicAuth(s.o.AccountSID, s.o.AuthToken)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			p, err := c.Do(r)
			if err != nil || p.StatusCode != http.StatusCreated {
				b.Errorf("create: %v %v", p, err)
				return
			}
			_, _ = io.Copy(io.Discard, p.Body)
			_ = p.Body.Close()
		}
	})
}

func createPath(s *Server) string { return v2010 + s.o.AccountSID + "/Messages.json" }

func benchForm(s *Server) url.Values {
	return url.Values{
		"To": {"+14155552671"}, "MessagingServiceSid": {s.o.MessagingServiceSID}, "RiskCheck": {"enable"},
		"Body": {"Your code is 123456. It is valid for 10 minutes."},
	}
}
