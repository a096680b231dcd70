package twiliosim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wire is a simulator behind a real port, for faults of the connection.
type wire struct {
	s         *Server
	url       string
	transport *http.Transport
}

func newWire(t *testing.T) wire {
	s := New(Options{Step: time.Millisecond})
	h := httptest.NewServer(s)
	w := wire{s, h.URL, &http.Transport{}}
	t.Cleanup(func() {
		w.transport.CloseIdleConnections()
		_ = s.Close()
		h.Close()
	})
	return w
}

func (w wire) post(t *testing.T, timeout time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	form := formOf("To", person, "MessagingServiceSid", w.s.o.MessagingServiceSID, "Body", "x")
	r, err := http.NewRequestWithContext(ctx, "POST", w.url+w.s.messagesPath(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.SetBasicAuth(w.s.o.AccountSID, w.s.o.AuthToken)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p, err := w.transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.Body.Close() }()
	_, err = io.Copy(io.Discard, p.Body)
	return p.StatusCode, err
}

func (w wire) accept(t *testing.T, then string) {
	t.Helper()
	if err := w.s.SetFaults(Faults{AcceptThen: then, Count: 1}); err != nil {
		t.Fatal(err)
	}
}

// until polls: the network is real here.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// TestAcceptThen: the message goes out, the answer doesn't come.
func TestAcceptThen(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.accept(t, "hang")
	if _, err := w.post(t, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	w.accept(t, "reset")
	if _, err := w.post(t, 10*time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	w.accept(t, "500")
	if status, err := w.post(t, 10*time.Second); err != nil || status != 500 {
		t.Errorf("500: %d, %v", status, err)
	}
	if status, err := w.post(t, 10*time.Second); err != nil || status != 201 {
		t.Errorf("after the faults: %d, %v", status, err)
	}
	ledger := w.s.Ledger()
	if len(ledger) != 4 {
		t.Fatalf("%d creates taken, want 4", len(ledger))
	}
	for i, c := range ledger {
		if c.AnswerLost != (i < 3) {
			t.Errorf("create %d: answer lost %v", i, c.AnswerLost)
		}
	}
	until(t, "four texts delivered", func() bool {
		delivered := 0
		for _, m := range w.s.Messages(person) {
			if m.Status == statusDelivered {
				delivered++
			}
		}
		return delivered == 4
	})
}

// TestCloseEndsHanging: Close ends a create that hangs.
func TestCloseEndsHanging(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.accept(t, "hang")
	done := make(chan error, 1)
	go func() {
		_, err := w.post(t, time.Minute)
		done <- err
	}()
	until(t, "the create is taken", func() bool { return len(w.s.Ledger()) == 1 })
	_ = w.s.Close()
	if err := <-done; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hanging create after Close: %v", err)
	}
}

// TestResetHTTP2: a stream cannot be hijacked; it is reset.
func TestResetHTTP2(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	h := httptest.NewUnstartedServer(s)
	h.EnableHTTP2 = true
	h.StartTLS()
	defer h.Close()
	if err := s.SetFaults(Faults{AcceptThen: "reset"}); err != nil {
		t.Fatal(err)
	}
	form := formOf("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
	r, err := http.NewRequestWithContext(t.Context(), "POST", h.URL+s.messagesPath(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(s.o.AccountSID, s.o.AuthToken)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p, err := h.Client().Do(r)
	if err == nil {
		_ = p.Body.Close()
		t.Errorf("answered %d over %s", p.StatusCode, p.Proto)
	}
	if l := s.Ledger(); len(l) != 1 || !l[0].AnswerLost {
		t.Errorf("ledger %v", l)
	}
}
