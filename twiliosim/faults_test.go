package twiliosim

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFaultsValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		f    Faults
		want string // part of the error; empty: fine
	}{
		{Faults{}, ""},
		{Faults{Status: 503, RetryAfter: 2, Count: 1, Rate: 0.5, Seed: 3, LatencyMS: 10, ListLagMS: 10}, ""},
		{Faults{AcceptThen: "hang", Callbacks: "none", Outcome: "failed", ErrorCode: 30007}, ""},
		{Faults{Outcome: "sent"}, ""},
		{Faults{LatencyMS: -1}, "latency_ms"},
		{Faults{LatencyMS: maxFaultMS + 1}, "latency_ms"},
		{Faults{ListLagMS: -1}, "list_lag_ms"},
		{Faults{Status: 200}, "status"},
		{Faults{Status: 600}, "status"},
		{Faults{Code: -1}, "negative"},
		{Faults{Count: -1}, "count"},
		{Faults{RetryAfter: -1, Status: 429}, "retry_after"},
		{Faults{RetryAfter: 3}, "retry_after needs"},
		{Faults{Rate: 1.1}, "rate"},
		{Faults{Rate: -0.1}, "rate"},
		{Faults{Rate: math.NaN()}, "rate"},
		{Faults{Reads: true}, "reads needs"},
		{Faults{Reads: true, AcceptThen: "hang"}, "reads needs"},
		{Faults{Reads: true, LatencyMS: 1}, ""},
		{Faults{Reads: true, Code: 20503, Rate: 0.5}, ""},
		{Faults{AcceptThen: "close"}, "accept_then is none of hang, reset, 500"},
		{Faults{Callbacks: "late"}, "callbacks is none of"},
		{Faults{Outcome: "read"}, "outcome is none of"},
		{Faults{AcceptThen: "hang", Status: 500}, "give one"},
		{Faults{AcceptThen: "hang", Code: 21211}, "give one"},
		{Faults{ErrorCode: 30003}, "error_code needs"},
		{Faults{ErrorCode: 30003, Outcome: "delivered"}, "error_code needs"},
	} {
		err := tt.f.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.f, err, tt.want)
		}
	}
	s := newSim(t, Options{})
	if err := s.SetFaults(Faults{Status: 500}); err != nil {
		t.Fatal(err)
	}
	err := s.SetFaults(Faults{Status: 1, Rate: 2, AcceptThen: "x"})
	for _, part := range []string{"status", "rate", "accept_then"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if s.faults.get().Status != 500 {
		t.Error("refused faults replaced those in force")
	}
}

func TestFaultRefusals(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	for _, tt := range []struct {
		f            Faults
		status, code int
	}{
		{Faults{Status: 429}, 429, 20429},
		{Faults{Status: 500}, 500, 20500},
		{Faults{Status: 502}, 502, 20500},
		{Faults{Status: 503}, 503, 20503},
		{Faults{Status: 401}, 401, 20003},
		{Faults{Status: 403}, 403, 20008},
		{Faults{Status: 404}, 404, 20404},
		{Faults{Status: 400}, 400, 20422},
		{Faults{Code: 21610}, 400, 21610},
		{Faults{Code: 20429}, 429, 20429},
		{Faults{Code: 99999}, 400, 99999},
		{Faults{Code: 21211, Status: 404}, 404, 21211},
		{Faults{Status: 429, RetryAfter: 7}, 429, 20429},
	} {
		if err := s.SetFaults(tt.f); err != nil {
			t.Fatal(err)
		}
		// Even a create without parameters: Twilio is down before it looks.
		r := s.post()
		if got := r.errorCode(t); r.code != tt.status || got != tt.code {
			t.Errorf("%+v: %v", tt.f, r)
		}
		want := ""
		if tt.f.RetryAfter != 0 {
			want = "7"
		}
		if got := r.header.Get("Retry-After"); got != want {
			t.Errorf("%+v: Retry-After %q", tt.f, got)
		}
	}
	if n := len(s.Ledger()); n != 0 {
		t.Errorf("%d refused creates are in the ledger", n)
	}
	if r := s.ask("GET", s.messagesPath(), ""); r.code != 200 {
		t.Errorf("a list is hit: %v", r)
	}
}

// hits counts how many of n creates are refused by the faults, and which.
func hits(t *testing.T, s *Server, f Faults, n int) (count int, which string) {
	t.Helper()
	if err := s.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	for range n {
		r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
		switch r.code {
		case 503:
			count++
			which += "x"
		case http.StatusCreated:
			which += "."
		default:
			t.Fatal(r)
		}
	}
	return count, which
}

func TestFaultCountAndRate(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	if n, which := hits(t, s, Faults{Status: 503, Count: 3}, 6); n != 3 || which != "xxx..." {
		t.Errorf("count 3 hits %s", which)
	}
	_, first := hits(t, s, Faults{Status: 503, Rate: 0.25, Seed: 11}, 400)
	n, again := hits(t, s, Faults{Status: 503, Rate: 0.25, Seed: 11}, 400)
	if first != again {
		t.Error("one seed, two sequences")
	}
	if n < 70 || n > 130 {
		t.Errorf("a quarter of 400 is %d", n)
	}
	if _, other := hits(t, s, Faults{Status: 503, Rate: 0.25, Seed: 12}, 400); other == first {
		t.Error("two seeds, one sequence")
	}
	if n, which := hits(t, s, Faults{Status: 503, Rate: 0.5, Seed: 1, Count: 4}, 40); n != 4 || !strings.Contains(which[:20], ".") {
		t.Errorf("rate 0.5 with count 4 hits %s", which)
	}
	if n, _ := hits(t, s, Faults{Status: 503, Rate: 1}, 10); n != 10 {
		t.Errorf("rate 1 hits %d of 10", n)
	}
	s.ClearFaults()
	if r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x"); r.code != 201 {
		t.Errorf("after clearing: %v", r)
	}
}

// TestLatency: the answer takes its time, and a client that goes away before
// it has sent nothing.
func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour})
		if err := s.SetFaults(Faults{LatencyMS: 3000}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s.text(t)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the answer took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		func() {
			defer func() {
				if r := recover(); r != any(http.ErrAbortHandler) {
					t.Errorf("panic %v, want the request aborted", r)
				}
			}()
			s.ask("POST", s.messagesPath(), "To=1", func(r *http.Request) { *r = *r.WithContext(ctx) })
		}()
		if took := time.Since(start); took != time.Second {
			t.Errorf("a client that left held its place for %v", took)
		}
		if n := len(s.Ledger()); n != 1 {
			t.Errorf("%d creates taken, want the first", n)
		}
		if n := s.inFlight.Load(); n != 0 {
			t.Errorf("%d requests are still counted as in flight", n)
		}
	})
}

// TestListLag hides young messages from lists, and from lists alone.
func TestListLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour})
		if err := s.SetFaults(Faults{ListLagMS: 5000}); err != nil {
			t.Fatal(err)
		}
		sid := s.text(t)
		listed := func() int {
			l, _ := s.ask("GET", s.messagesPath(), "").json(t)["messages"].([]any)
			return len(l)
		}
		if n := listed(); n != 0 {
			t.Errorf("%d listed at once", n)
		}
		if r := s.ask("GET", v2010+s.o.AccountSID+"/Messages/"+sid+".json", ""); r.code != 200 {
			t.Errorf("fetch: %v", r)
		}
		if n := len(s.Messages(person)); n != 1 {
			t.Errorf("the control API shows %d", n)
		}
		time.Sleep(5 * time.Second)
		if n := listed(); n != 1 {
			t.Errorf("%d listed after the lag", n)
		}
	})
}

// TestMaxConcurrent: a request beyond the limit is told 429, and the header
// counts truly.
func TestMaxConcurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour, MaxConcurrent: 2})
		if err := s.SetFaults(Faults{LatencyMS: 1000}); err != nil {
			t.Fatal(err)
		}
		answers := make(chan reply, 2)
		for range 2 {
			go func() {
				answers <- s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
			}()
		}
		synctest.Wait()
		r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
		if r.code != 429 || r.errorCode(t) != 20429 || r.header.Get("Twilio-Concurrent-Requests") != "3" {
			t.Errorf("the third: %v, concurrent %s", r, r.header.Get("Twilio-Concurrent-Requests"))
		}
		for range 2 {
			if r := <-answers; r.code != 201 {
				t.Errorf("one of the two: %v", r)
			}
		}
		s.ClearFaults()
		if r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x"); r.code != 201 || r.header.Get("Twilio-Concurrent-Requests") != "1" {
			t.Errorf("alone: %v", r)
		}
		if n := len(s.Ledger()); n != 3 {
			t.Errorf("%d taken, want 3", n)
		}
	})
}
