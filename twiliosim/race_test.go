package twiliosim

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestEverythingAtOnce is for the race detector: creates, reads, deletes,
// faults, numbers, callbacks and a stream, all together, until Close.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	var called sync.Map
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called.Store(r.FormValue("MessageStatus"), true)
	}))
	defer h.Close()
	s := New(Options{Step: time.Millisecond, MaxMessages: 200, Trial: true, VerifiedNumbers: []string{person}, InboundRequestURL: h.URL + "/in"})
	defer func() { _ = s.Close() }()
	l := s.hub.join()
	defer s.hub.leave(l)

	var wg sync.WaitGroup
	many := func(f func(i int)) {
		for range 2 {
			wg.Go(func() {
				for i := range 60 {
					f(i)
				}
			})
		}
	}
	kinds := []string{"normal", "duplicate", "reorder", "none"}
	many(func(int) { s.text(t, "StatusCallback", h.URL+"/", "ProvideFeedback", "true") })
	many(func(int) { s.meddle() })
	many(func(i int) {
		if _, err := s.Reply("+14155550199", s.o.PhoneNumber, []string{"STOP", "START", "hello"}[i%3]); err != nil {
			t.Error(err)
		}
	})
	many(func(i int) {
		if err := s.SetFaults(Faults{Callbacks: kinds[i%4], ListLagMS: i * 10, Count: 5, Outcome: "undelivered"}); err != nil {
			t.Error(err)
		}
		s.ask("GET", s.messagesPath()+"?PageSize=5&Page=1", "")
		s.ask("GET", s.messagesPath()+"?To=%2B14155552671", "")
		s.ask("GET", "/sim/ledger", "")
		s.ClearFaults()
	})
	many(func(i int) {
		n := s.buy("AreaCode", "415")
		s.ask("GET", v1+"Services/"+s.o.MessagingServiceSID+"/PhoneNumbers", "")
		s.ask("POST", v1+"Services", "FriendlyName=x")
		s.ask("GET", "/sim/state", "")
		s.Ledger()
		if n.code != http.StatusBadRequest { // on trial there is one number
			t.Error(n)
		}
		if i%20 == 19 {
			s.ask("DELETE", "/sim/messages", "")
		}
	})
	wg.Wait()
	// A last message arrives in peace.
	sid := s.text(t, "StatusCallback", h.URL+"/")
	until(t, "the last message is delivered and called back", func() bool {
		_, ok := called.Load("delivered")
		return ok && s.state(t, sid).Status == statusDelivered
	})
}

// meddle reads, redacts, rates and deletes a few messages.
func (s *Server) meddle() {
	for i, m := range s.Messages(person) {
		if i == 3 {
			return
		}
		path := v2010 + s.o.AccountSID + "/Messages/" + m.SID
		s.ask("GET", path+".json", "")
		s.ask("POST", path+".json", "Body=")
		s.ask("POST", path+"/Feedback.json", "Outcome=confirmed")
		s.ask("DELETE", path+".json", "")
	}
}
