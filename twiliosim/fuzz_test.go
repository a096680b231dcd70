package twiliosim

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// FuzzCreate posts any form: the answer is a message that was kept, or one of
// Twilio's errors, and nothing panics.
func FuzzCreate(f *testing.F) {
	f.Add("To=%2B14155552671&MessagingServiceSid=MG00000000000000000000000000000000&Body=x")
	f.Add("To=%2B14155552671&From=%2B15005550006&Body=%F0%9F%98%80&StatusCallback=http%3A%2F%2F127.0.0.1%23rc%3D2")
	f.Add("To=whatsapp:%2B14155552671&From=Example&Body=x&SendAt=2030-01-01T00:00:00Z&ScheduleType=fixed")
	f.Add("To=%zz")
	s := newSim(f, Options{Step: time.Hour, MaxMessages: 10})
	f.Fuzz(func(t *testing.T, form string) {
		r := s.ask("POST", s.messagesPath(), form)
		if r.code == 201 {
			sid, _ := r.json(t)["sid"].(string)
			if m := s.Messages("")[0]; m.SID != sid {
				t.Errorf("answered %s, kept %s", sid, m.SID)
			}
			return
		}
		if code := r.errorCode(t); code < 20000 || r.code != 400 {
			t.Errorf("%q: %v", form, r)
		}
	})
}

// FuzzSegments: a text is as many parts as a plain recount says, or one more
// for characters that are not split.
func FuzzSegments(f *testing.F) {
	f.Add(strings.Repeat("€a", 100))
	f.Add(strings.Repeat("😀", 40))
	f.Fuzz(func(t *testing.T, body string) {
		gsm := true
		n := 0
		for _, r := range body {
			gsm = gsm && septets(r) > 0
			n += septets(r)
		}
		single, part := 160, 153
		if !gsm {
			n, single, part = len(utf16.Encode([]rune(body))), 70, 67
		}
		least := 1
		if n > single {
			least = (n + part - 1) / part
		}
		// Each part may waste one unit on a character of two.
		most := max(1, (n+part-2)/(part-1))
		if n <= single {
			most = 1
		}
		if got := segments(body); got < least || got > most {
			t.Errorf("%d units: %d segments, want %d to %d", n, got, least, most)
		}
		if !gsm && utf16Len(body) != n {
			t.Errorf("%d units, counted %d", n, utf16Len(body))
		}
	})
}

// FuzzFaults: what is taken is valid and comes back as it went in.
func FuzzFaults(f *testing.F) {
	f.Add([]byte(`{"status":429,"retry_after":3,"rate":0.5}`))
	f.Add([]byte(`{"latency_ms":5,"reads":true,"count":2}`))
	f.Add([]byte(`{"accept_then":"hang","outcome":"failed","error_code":30007}`))
	s := newSim(f, Options{})
	f.Fuzz(func(t *testing.T, doc []byte) {
		r := s.ask("PUT", "/sim/faults", string(doc))
		if r.code != 200 {
			if r.code != 400 {
				t.Errorf("%s: %v", doc, r)
			}
			return
		}
		var back Faults
		if err := json.Unmarshal(r.body, &back); err != nil || back.Validate() != nil || back != s.faults.get() {
			t.Errorf("%s came back as %s", doc, r.body)
		}
		if again := s.ask("PUT", "/sim/faults", string(r.body)); !bytes.Equal(again.body, r.body) {
			t.Errorf("%s, then %s", r.body, again.body)
		}
	})
}
