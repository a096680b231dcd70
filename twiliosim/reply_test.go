package twiliosim

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReplyRefusals(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{MaxMessages: 3})
	for _, tt := range []struct {
		from, to, body string
		want           error
	}{
		{"", s.o.PhoneNumber, "x", errReplyFrom}, {"4155552671", s.o.PhoneNumber, "x", errReplyFrom},
		{"whatsapp:" + person, s.o.PhoneNumber, "x", errReplyFrom}, {s.o.PhoneNumber, s.o.PhoneNumber, "x", errReplyFrom},
		{person, "", "x", errReplyTo}, {person, "+12025550199", "x", errReplyTo}, {person, s.o.MessagingServiceSID, "x", errReplyTo},
		{person, s.reg.numbers[0].sid, "x", errReplyTo},
		{person, s.o.PhoneNumber, "", errReplyBody}, {person, s.o.PhoneNumber, strings.Repeat("é", 1601), errReplyBody},
		{person, s.o.PhoneNumber, strings.Repeat("é", 1600), nil},
	} {
		m, err := s.Reply(tt.from, tt.to, tt.body)
		if !errors.Is(err, tt.want) || (err == nil) != (m.SID != "") {
			t.Errorf("from %q to %q: %v, want %v", tt.from, tt.to, err, tt.want)
		}
	}
	for i := range 4 {
		_, err := s.Reply(fmt.Sprintf("+1415555267%d", i), s.o.PhoneNumber, "STOP")
		if want := map[bool]error{true: errReplyOptOut}[i == 3]; !errors.Is(err, want) {
			t.Errorf("the %d. to opt out: %v, want %v", i+1, err, want)
		}
	}
	if _, err := s.Reply("+14155552670", s.o.PhoneNumber, "STOP"); err != nil {
		t.Errorf("again by who has opted out: %v", err)
	}
	if n := s.ask("GET", "/sim/state", "").json(t)["opt_outs"]; n != 3.0 {
		t.Errorf("%v opt-outs", n)
	}
	s.Reset()
	s.text(t, "To", "+14155552670")
	_ = s.Close()
	if _, err := s.Reply(person, s.o.PhoneNumber, "x"); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestControlInbound: what the control API takes, shows and refuses.
func TestControlInbound(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	r := s.ask("POST", "/sim/inbound", `{"from":"+14155552671","to":"+12025550100","body":"stop"}`)
	if r.code != http.StatusCreated {
		t.Fatal(r)
	}
	got := r.json(t)
	sid, _ := got["sid"].(string)
	for _, name := range []string{"date_created", "date_updated", "statuses", "sid"} {
		delete(got, name)
	}
	want := map[string]any{
		"to": "+12025550100", "from": person, "body": "stop", "direction": "inbound", "status": "received",
		"account_sid": s.o.AccountSID, "messaging_service_sid": s.o.MessagingServiceSID, "num_segments": 1.0,
	}
	if diff := cmp.Diff(want, got); diff != "" || !isSID(sid, "SM") {
		t.Errorf("%s (-want +got):\n%s", sid, diff)
	}
	if m := s.state(t, sid); len(m.Statuses) != 1 || m.Status != statusReceived {
		t.Errorf("kept as %+v", m)
	}
	if n := len(s.Ledger()); n != 0 {
		t.Errorf("%d creates in the ledger, of a text that nobody created", n)
	}
	if r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x"); r.errorCode(t) != 21610 {
		t.Errorf("a create after STOP: %v", r)
	}
	for body, part := range map[string]string{
		`{"from":"1"}`: "from is no phone number", `{"from":"+14155552671","to":"+1","body":"x"}`: "to is no number", `{"text":"x"}`: "unknown field", ``: "EOF",
	} {
		r := s.ask("POST", "/sim/inbound", body)
		if msg, _ := r.json(t)["error"].(string); r.code != http.StatusBadRequest || !strings.Contains(msg, part) || strings.Contains(msg, "twiliosim") {
			t.Errorf("%s: %v, want %q", body, r, part)
		}
	}
	runForeign(t, s, []foreignCase{
		{"POST", "/sim/inbound", nil, true},
		{"POST", "/sim/inbound", []string{"Origin", "http://evil.example"}, false},
		{"POST", "/sim/inbound", []string{"Host", "evil.example"}, false},
	})
}

// TestReplyWebhook: one request for each text in turn, to the URL in force when
// it came; none where there is no URL, no service, or the text is gone.
func TestReplyWebhook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{start: time.Now(), answer: time.Second}
		s := newSim(t, Options{Step: time.Hour, CallbackClient: &http.Client{Transport: e}, InboundRequestURL: "http://user:pass@127.0.0.1/a#rc=1", CallbackWorkers: 1})
		lone := s.buy("PhoneNumber", "+14155550000").json(t)["phone_number"].(string)
		reply := func(to, body string) {
			t.Helper()
			if _, err := s.Reply(person, to, body); err != nil {
				t.Fatal(err)
			}
		}
		service := v1 + "Services/" + s.o.MessagingServiceSID
		update := func(pairs ...string) {
			t.Helper()
			if r := s.ask("POST", service, formOf(pairs...).Encode()); r.code != http.StatusOK {
				t.Fatal(r)
			}
		}
		reply(s.o.PhoneNumber, "one")
		reply(lone, "to no service")
		update("InboundRequestUrl", "http://127.0.0.1/b")
		reply(s.o.PhoneNumber, "STOP")
		update("UseInboundWebhookOnNumber", "true")
		reply(s.o.PhoneNumber, "for the number's own webhook")
		update("UseInboundWebhookOnNumber", "false", "InboundRequestUrl", "")
		reply(s.o.PhoneNumber, "for nobody")
		update("InboundRequestUrl", "http://127.0.0.1/c")
		if err := s.SetFaults(Faults{Callbacks: "duplicate", Status: 503, Reads: true}); err != nil {
			t.Fatal(err)
		}
		reply(s.o.PhoneNumber, "Start ") // faults are of the API, not of people
		time.Sleep(time.Minute)
		synctest.Wait()
		var got []string
		for i, r := range e.reqs {
			f := e.forms[i]
			got = append(got, fmt.Sprintf("%s %s %s %s %q", e.got[i], r.Method, r.URL.Path, f.Get("OptOutType"), f.Get("Body")))
			var pairs [][2]string
			for name, v := range f {
				pairs = append(pairs, [2]string{name, v[0]})
			}
			if r.Header.Get("X-Twilio-Signature") != Sign(s.o.AuthToken, (&url.URL{Scheme: "http", Host: "127.0.0.1", Path: r.URL.Path}).String(), pairs) {
				t.Errorf("%s is not signed", got[i])
			}
		}
		want := []string{`@0s POST /a  "one"`, `@1s POST /b STOP "STOP"`, `@2s POST /c START "Start "`}
		if !slices.Equal(got, want) {
			t.Errorf("requests\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		s.ClearFaults()
		reply(s.o.PhoneNumber, "first")
		reply(s.o.PhoneNumber, "forgotten before its turn")
		s.ask("DELETE", "/sim/messages", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(e.reqs); n > 4 {
			t.Errorf("%d requests, of texts that are gone", n)
		}
	})
}
