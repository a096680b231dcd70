package twiliosim

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHiddenAt: the ledger knows which lists by To a message was kept out of by
// the lag, and by nothing else.
func TestHiddenAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Hour})
		if err := s.SetFaults(Faults{ListLagMS: 5000}); err != nil {
			t.Fatal(err)
		}
		s.text(t)
		start := time.Now()
		list := func(query string) {
			t.Helper()
			if r := s.ask("GET", s.messagesPath()+query, ""); r.code != 200 {
				t.Error(r)
			}
		}
		hidden := func(entry int) []string {
			var out []string
			for _, at := range s.Ledger()[entry].HiddenAt {
				out = append(out, at.Sub(start).String())
			}
			return out
		}
		const to = "?To=%2B14155552671"
		for _, query := range []string{
			"", "?From=%2B12025550100", "?To=%2B14155552672", // not by this To
			to + "&From=%2B14155550000", to + "&DateSent=2001-01-01", // would not show it anyway
			to + "&Page=1", to + "&PageSize=1&Page=1", // it is on the first page
			to + "&PageSize=x",
		} {
			if query == to+"&PageSize=x" {
				s.ask("GET", s.messagesPath()+query, "")
			} else {
				list(query)
			}
		}
		if got := hidden(0); got != nil {
			t.Errorf("hidden at %v of lists that would not show it", got)
		}
		list(to)
		time.Sleep(2 * time.Second)
		list(to + "&PageSize=1")
		// A younger one takes the first place of one.
		s.text(t)
		list(to + "&PageSize=1")
		list(to + "&PageSize=1&Page=1")
		before := s.Ledger()
		if got, want := hidden(0), []string{"0s", "2s", "2s"}; !slices.Equal(got, want) {
			t.Errorf("the first is hidden at %v, want %v", got, want)
		}
		if got, want := hidden(1), []string{"2s"}; !slices.Equal(got, want) {
			t.Errorf("the second is hidden at %v, want %v", got, want)
		}
		time.Sleep(3 * time.Second)
		list(to) // shows the first
		for range 2 * maxHidden {
			time.Sleep(time.Millisecond)
			list(to)
		}
		if n := len(hidden(0)); n != 3 {
			t.Errorf("the first is hidden %d times, want 3: it is shown now", n)
		}
		if got := hidden(1); len(got) != maxHidden || got[0] != "5.009s" || got[maxHidden-1] != "5.016s" {
			t.Errorf("the second is hidden at %v, want the newest %d", got, maxHidden)
		}
		if len(before[1].HiddenAt) != 1 || before[1].HiddenAt[0].Sub(start) != 2*time.Second {
			t.Error("a copy of the ledger changes")
		}
		s.ClearFaults()
		list(to)
		if n := len(hidden(1)); n != maxHidden {
			t.Errorf("%d, of a list without a lag", n)
		}
	})
}

// TestHiddenAtJSON: the proof is in the ledger's answer, beside the number of
// lists; entries of another time are left alone.
func TestHiddenAtJSON(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour, MaxMessages: 2})
	if err := s.SetFaults(Faults{ListLagMS: 3_600_000}); err != nil {
		t.Fatal(err)
	}
	first := s.text(t)
	list := func() { s.ask("GET", s.messagesPath()+"?To=%2B14155552671", "") }
	list()
	list()
	var got struct {
		Creates []struct {
			SID      string      `json:"sid"`
			HiddenAt []time.Time `json:"hidden_at"`
		} `json:"creates"`
		Lists int `json:"lists"`
	}
	read := func() {
		t.Helper()
		got.Creates = nil
		if err := json.Unmarshal(s.ask("GET", "/sim/ledger", "").body, &got); err != nil {
			t.Fatal(err)
		}
	}
	if read(); got.Lists != 2 || len(got.Creates) != 1 || got.Creates[0].SID != first || len(got.Creates[0].HiddenAt) != 2 {
		t.Errorf("ledger %+v", got)
	}
	if at := got.Creates[0].HiddenAt[1]; time.Since(at) > time.Minute || at.Before(s.Ledger()[0].Time) {
		t.Errorf("hidden at %v", at)
	}
	if _, err := s.Reply(person, s.o.PhoneNumber, "hello"); err != nil { // a message without an entry
		t.Fatal(err)
	}
	s.ask("GET", s.messagesPath()+"?To=%2B12025550100", "")
	s.ask("DELETE", "/sim/ledger", "")
	s.post("To", "+14155552672", "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x")
	list()
	if read(); got.Lists != 1 || len(got.Creates) != 1 || got.Creates[0].HiddenAt != nil {
		t.Errorf("after emptying the ledger: %+v", got)
	}
}
