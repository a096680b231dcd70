package twilio_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// inbox is the inbound request URL of a service that the connector reads for.
type inbox struct {
	url     string
	client  connector.ReplyParser
	replies chan connector.Reply
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{replies: make(chan connector.Reply, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		reply, err := in.client.ParseReply(connector.Inbound{PublicURL: in.url, Header: r.Header, Body: body})
		if err != nil {
			t.Errorf("ParseReply: %v", err)
		}
		in.replies <- reply
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	in.url = server.URL + "/inbound/main?a=b#rc=2&rp=5xx"
	return in
}

func (in *inbox) next(t *testing.T) connector.Reply {
	t.Helper()
	select {
	case r := <-in.replies:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no reply came")
		return connector.Reply{}
	}
}

// TestSimReply: a person says STOP, the connector reads it, and Twilio refuses
// the next text, until START.
func TestSimReply(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	w := newWorld(t, twiliosim.Options{InboundRequestURL: in.url}, nil)
	in.client = w.client
	for _, tt := range []struct {
		body    string
		consent connector.Consent
		open    bool
	}{
		{"hello", connector.ConsentNone, true}, {" stop", connector.ConsentStop, false}, {"Please, no more.", connector.ConsentNone, false},
		{"help", connector.ConsentNone, false}, {"UNSTOP", connector.ConsentStart, true}, {"OptOut", connector.ConsentStop, false}, {"Yes", connector.ConsentStart, true},
	} {
		if _, err := w.sim.Reply(somebody, "+12025550100", tt.body); err != nil {
			t.Fatal(err)
		}
		if r := in.next(t); r.From.E164() != somebody || r.Consent != tt.consent {
			t.Errorf("%q is read as %q from %v, want %q", tt.body, r.Consent, r.From, tt.consent)
		}
		_, err := w.client.Send(t.Context(), textTo(t, somebody, "Your code is 123456."))
		if tt.open != (err == nil) {
			t.Errorf("after %q a text is answered %v", tt.body, err)
		}
		if err != nil {
			if e := failure(t, err); e.Kind != connector.KindOptedOut || e.Outcome != connector.OutcomeRefused || e.ProviderCode != "21610" {
				t.Errorf("after %q: %s, %s, code %s", tt.body, e.Kind, e.Outcome, e.ProviderCode)
			}
		}
		if _, err := w.client.Send(t.Context(), textTo(t, "+14155552672", "Your code is 123456.")); err != nil {
			t.Errorf("after %q, to somebody else: %v", tt.body, err)
		}
	}
	// Replies are no texts of ours: looking for one finds none of them.
	found, err := w.client.Find(t.Context(), textTo(t, "+12025550100", "hello"), time.Now().Add(-time.Minute))
	if err != nil || len(found) != 0 {
		t.Errorf("%d replies are found as texts that we sent, %v", len(found), err)
	}
}

// TestSimCallbackRepeated: a callback that our end answers with 500 comes again,
// although its URL says nothing of that.
func TestSimCallbackRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, twiliosim.Options{}, nil)
	var mu sync.Mutex
	got := map[string]int{}
	delivered := make(chan struct{})
	var in connector.Inbound
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		update, err := w.client.ParseStatus(connector.Inbound{PublicURL: in.PublicURL, Header: r.Header, Body: body})
		if err != nil {
			t.Errorf("ParseStatus: %v", err)
		}
		got[string(update.Status)]++
		if got[string(update.Status)] <= 3 { // the first three of each
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		if update.Status == connector.StatusDelivered {
			close(delivered)
		}
	}))
	t.Cleanup(server.Close)
	in.PublicURL = server.URL + "/callbacks/main/s_1.1"
	m := textTo(t, somebody, "Your code is 123456.")
	m.CallbackURL = in.PublicURL
	w.send(t, m)
	select {
	case <-delivered:
	case <-time.After(20 * time.Second):
		t.Fatal("delivered did not come four times")
	}
}
