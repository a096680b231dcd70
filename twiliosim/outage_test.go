package twiliosim

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// everyRead asks for one of each thing that is no create, and returns the
// answers' statuses.
func everyRead(s *Server, sid string) []int {
	var codes []int
	account := v2010 + s.o.AccountSID
	for _, path := range []string{
		s.messagesPath(), s.messagesPath() + "?To=%2B14155552671", account + "/Messages/" + sid + ".json", account + ".json",
		account + "/Balance.json", account + "/IncomingPhoneNumbers.json", v1 + "Services", v1 + "Services/" + s.o.MessagingServiceSID,
	} {
		codes = append(codes, s.ask("GET", path, "").code)
	}
	return append(codes,
		s.ask("POST", account+"/Messages/"+sid+"/Feedback.json", "Outcome=confirmed").code,
		s.ask("POST", account+"/Messages/"+sid+".json", "Body=").code)
}

func all(codes []int, want int) bool {
	for _, c := range codes {
		if c != want {
			return false
		}
	}
	return true
}

// TestOutage is the script of a Twilio that is out: it answers 503, then says
// nothing, then 429; with Reads nothing of it can be read either, and without
// it reads are as ever.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour})
		sid := s.text(t, "ProvideFeedback", "true")
		fault := func(doc string) {
			t.Helper()
			if r := s.ask("PUT", "/sim/faults", doc); r.code != http.StatusOK {
				t.Fatal(r)
			}
		}
		create := func() reply {
			return s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
		}
		for _, tt := range []struct {
			fault       string
			code, reads int
			after       string
		}{
			{`{"status":503}`, 503, 200, ""},
			{`{"status":503,"reads":true}`, 503, 503, ""},
			{`{"status":429,"retry_after":7}`, 429, 200, "7"},
			{`{"status":429,"retry_after":7,"reads":true}`, 429, 429, "7"},
			{`{"code":20429,"reads":true}`, 429, 429, ""},
		} {
			fault(tt.fault)
			for range 3 {
				r := create()
				if r.code != tt.code || r.header.Get("Retry-After") != tt.after {
					t.Errorf("%s: a create is answered %v with Retry-After %q", tt.fault, r, r.header.Get("Retry-After"))
				}
				if codes := everyRead(s, sid); !all(codes, tt.reads) {
					t.Errorf("%s: reads are answered %v, want %d", tt.fault, codes, tt.reads)
				}
			}
		}
		if n := len(s.Ledger()); n != 1 {
			t.Errorf("%d creates were taken, want the one before the outage", n)
		}
		// Who has no business here learns that first, and the control API is ours.
		if r := s.ask("GET", s.messagesPath(), "", func(r *http.Request) { r.SetBasicAuth("AC", "x") }); r.code != http.StatusUnauthorized {
			t.Errorf("a stranger: %v", r)
		}
		s.ClearFaults()
		if r := create(); r.code != http.StatusCreated || !all(everyRead(s, sid), 200) {
			t.Errorf("after the outage: %v, %v", r, everyRead(s, sid))
		}
	})
}

// TestHang: nobody waits as long as Twilio says nothing, and what was given up
// was not taken.
func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour})
		if err := s.SetFaults(Faults{LatencyMS: 60_000, Reads: true}); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"POST", "GET"} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			start := time.Now()
			func() {
				defer func() {
					if r := recover(); r != any(http.ErrAbortHandler) {
						t.Errorf("%s: panic %v, want the request aborted", method, r)
					}
				}()
				r := s.ask(method, s.messagesPath(), formOf("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x").Encode(),
					func(r *http.Request) { *r = *r.WithContext(ctx) })
				t.Errorf("%s: %v", method, r)
			}()
			cancel()
			if took := time.Since(start); took != 10*time.Second {
				t.Errorf("%s: given up after %v", method, took)
			}
		}
		if n := len(s.Ledger()); n != 0 {
			t.Errorf("%d creates were taken", n)
		}
		start := time.Now()
		if r := s.ask("GET", s.messagesPath(), ""); r.code != 200 || time.Since(start) != time.Minute {
			t.Errorf("a patient list: %v after %v", r, time.Since(start))
		}
	})
}

// TestReadsDrawApart: reads change nothing of which creates are hit, use up no
// count, and end with it.
func TestReadsDrawApart(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	_, alone := hits(t, s, Faults{Status: 503, Rate: 0.4, Seed: 3}, 100)
	f := Faults{Status: 503, Rate: 0.4, Seed: 3, Reads: true}
	if err := s.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	which, reads := "", 0
	for range 100 {
		if s.ask("GET", s.messagesPath()+"?PageSize=1", "").code == 503 {
			reads++
		}
		which += map[int]string{503: "x", 201: "."}[s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x").code]
	}
	if which != alone || reads < 20 || reads > 60 {
		t.Errorf("with %d of 100 reads hit between them, the creates went\n%s, want\n%s", reads, which, alone)
	}
	if err := s.SetFaults(Faults{Status: 503, Count: 2, Reads: true}); err != nil {
		t.Fatal(err)
	}
	which = ""
	for range 4 {
		which += map[int]string{503: "x", 200: "."}[s.ask("GET", s.messagesPath(), "").code]
		which += map[int]string{503: "X", 201: "-"}[s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x").code]
	}
	if !strings.HasPrefix(which, "xXxX.-.-") {
		t.Errorf("a count of 2: %s", which)
	}
}
