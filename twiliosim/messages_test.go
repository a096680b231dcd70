package twiliosim

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAnswerLost: the ledger knows of a caller who had hung up by the time the
// answer was written, as long as it keeps the entry.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour, MaxMessages: 2})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	form := formOf("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x").Encode()
	s.text(t)
	s.ask("POST", s.messagesPath(), form, func(r *http.Request) { *r = *r.WithContext(gone) })
	if l := s.Ledger(); len(l) != 2 || l[0].AnswerLost || !l[1].AnswerLost {
		t.Errorf("ledger %+v", l)
	}
	old := s.box.bySID[s.Ledger()[1].SID]
	s.text(t)
	s.text(t)
	s.box.lose(old) // has made room
	s.box.lose(&message{sid: "SM", entry: 9})
	s.box.lose(&message{sid: "SM", entry: -1})
	s.box.clearLedger()
	s.text(t)
	s.text(t)
	s.box.lose(old) // its place is another's
	for _, c := range s.Ledger() {
		if c.AnswerLost {
			t.Errorf("entry %s is marked for another", c.SID)
		}
	}
}

func TestFeedbackAndMedia(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	with, without := s.text(t, "ProvideFeedback", "true"), s.text(t)
	path := func(sid, sub string) string { return v2010 + s.o.AccountSID + "/Messages/" + sid + sub + ".json" }
	for _, tt := range []struct {
		sid, body string
		code      int
		outcome   string
	}{
		{with, "", 0, "confirmed"},
		{with, "Outcome=unconfirmed", 0, "unconfirmed"},
		{with, "Outcome=confirmed", 0, "confirmed"},
		{with, "Outcome=perhaps", 20422, ""},
		{without, "Outcome=confirmed", 20404, ""}, // was not asked for at the create
	} {
		r := s.ask("POST", path(tt.sid, "/Feedback"), tt.body)
		if tt.code != 0 {
			if got := r.errorCode(t); got != tt.code {
				t.Errorf("%q: %v, want %d", tt.body, r, tt.code)
			}
			continue
		}
		m := r.json(t)
		if r.code != http.StatusOK || len(m) != 6 || m["outcome"] != tt.outcome || m["message_sid"] != with || s.state(t, with).Feedback != tt.outcome {
			t.Errorf("%q: %v", tt.body, r)
		}
	}
	if list, _ := s.ask("GET", path(with, "/Media"), "").json(t)["media_list"].([]any); list == nil || len(list) != 0 {
		t.Errorf("media %v, want an empty list", list)
	}
	unknown := "SM" + strings.Repeat("f", 32)
	for _, sub := range []string{"", "/Media"} {
		if got := s.ask("GET", path(unknown, sub), "").errorCode(t); got != 20404 {
			t.Errorf("an unknown message%s: %d", sub, got)
		}
	}
}

// TestForms: other content types carry no parameters, and a form has a limit.
func TestForms(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	jsonBody := s.ask("POST", s.messagesPath(), `{"To":"+14155552671"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if got := jsonBody.errorCode(t); got != 21604 {
		t.Errorf("JSON: %d", got)
	}
	if got := s.ask("POST", s.messagesPath()+"?To=%2B14155552671", "Body=x").errorCode(t); got != 21604 {
		t.Errorf("a parameter in the query: %d", got)
	}
	for _, path := range []string{s.messagesPath(), v2010 + s.o.AccountSID + "/Keys.json", v2010 + s.o.AccountSID + "/IncomingPhoneNumbers.json", v1 + "Services", v1 + "Services/x", v1 + "Services/x/PhoneNumbers", v2010 + s.o.AccountSID + "/Messages/x.json", v2010 + s.o.AccountSID + "/Messages/x/Feedback.json"} {
		for _, body := range []string{"Body=" + strings.Repeat("x", maxForm), "a=%zz"} {
			if got := s.ask("POST", path, body).errorCode(t); got != 20422 {
				t.Errorf("%s: a form of %d bytes is %d", path, len(body), got)
			}
		}
	}
}

func TestKeyResource(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	keys := v2010 + s.o.AccountSID + "/Keys"
	sid, _ := s.ask("POST", keys+".json", "FriendlyName=a").json(t)["sid"].(string)
	one := keys + "/" + sid + ".json"
	if m := s.ask("GET", one, "").json(t); m["sid"] != sid || m["friendly_name"] != "a" || m["secret"] != nil {
		t.Errorf("key %v", m)
	}
	if r := s.ask("DELETE", one, ""); r.code != http.StatusNoContent {
		t.Error(r)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if got := s.ask(method, one, "").errorCode(t); got != 20404 {
			t.Errorf("%s of a deleted key: %d", method, got)
		}
	}
}
