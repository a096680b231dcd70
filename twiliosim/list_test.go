package twiliosim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// page asks for one page of a list and returns the sids and the next URI.
func (s *Server) listPage(t *testing.T, uri string) (sids []string, next string, m map[string]any) {
	t.Helper()
	r := s.ask("GET", uri, "")
	if r.code != 200 {
		t.Fatal(r)
	}
	m = r.json(t)
	list, _ := m["messages"].([]any)
	for _, item := range list {
		sids = append(sids, item.(map[string]any)["sid"].(string))
	}
	next, _ = m["next_page_uri"].(string)
	return sids, next, m
}

// TestListPages: no message is shown twice or left out while others come and
// go between two pages.
func TestListPages(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	var want []string
	for i := range 10 {
		want = append(want, s.text(t))
		s.post("To", "+4512345678", "From", "Example", "Body", fmt.Sprint(i))
	}
	slices.Reverse(want)
	for _, size := range []int{1, 3, 10, 50} {
		var got []string
		uri := s.messagesPath() + "?To=%2B14155552671&PageSize=" + itoa(size)
		for n := 0; uri != ""; n++ {
			sids, next, m := s.listPage(t, uri)
			if m["page"] != float64(n) || m["page_size"] != float64(size) || m["start"] != float64(n*size) {
				t.Errorf("page %d: %v, %v, %v", n, m["page"], m["page_size"], m["start"])
			}
			if next != "" && (!strings.HasPrefix(next, s.messagesPath()+"?") || !strings.Contains(next, "To=%2B14155552671")) {
				t.Errorf("next_page_uri %s", next)
			}
			if prev, _ := m["previous_page_uri"].(string); (prev == "") != (n == 0) {
				t.Errorf("page %d: previous_page_uri %q", n, prev)
			}
			got = append(got, sids...)
			uri = next
			s.text(t, "To", "+14155552671") // a newcomer belongs before the first page
		}
		if !slices.Equal(got, want) {
			t.Errorf("size %d: %d messages, want %d", size, len(got), len(want))
		}
		// The newcomers go again.
		for _, m := range s.Messages(person) {
			if !slices.Contains(want, m.SID) {
				s.ask("DELETE", v2010+s.o.AccountSID+"/Messages/"+m.SID+".json", "")
			}
		}
	}
	// The message that a token names may be gone: the page number helps out.
	sids, next, _ := s.listPage(t, s.messagesPath()+"?To=%2B14155552671&PageSize=4")
	s.ask("DELETE", v2010+s.o.AccountSID+"/Messages/"+sids[3]+".json", "")
	second, _, _ := s.listPage(t, next)
	if want := want[5:9]; !slices.Equal(second, want) {
		t.Errorf("the second page is %v, want %v", second, want)
	}
	// A token of another list is of no use.
	if got, _, _ := s.listPage(t, s.messagesPath()+"?To=%2B4512345678&PageSize=50&PageToken=PA"+sids[0]); len(got) != 10 {
		t.Errorf("%d messages behind a foreign token, want all 10", len(got))
	}
	if got, _, m := s.listPage(t, s.messagesPath()+"?PageSize=5000"); len(got) != 19 || m["page_size"] != 1000.0 {
		t.Errorf("%d messages, page size %v, want 19 and 1000", len(got), m["page_size"])
	}
	for _, bad := range []string{"PageSize=0", "PageSize=x", "Page=-1", "Page=99999999999", "DateSent=yesterday"} {
		if got := s.ask("GET", s.messagesPath()+"?"+bad, "").errorCode(t); got != 20422 {
			t.Errorf("%s: %d", bad, got)
		}
	}
}

// TestDateSentFilter: dates mean whole days, times mean seconds, both are
// inclusive; a message that was not sent matches no date.
func TestDateSentFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Options{Step: time.Second}) // the clock begins at 2000-01-01
		if err := s.SetFaults(Faults{Outcome: "sent"}); err != nil {
			t.Fatal(err)
		}
		s.text(t) // sent at 00:00:02
		time.Sleep(36 * time.Hour)
		s.text(t) // sent on the 2nd at 12:00:02
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.text(t) // accepted
		for query, want := range map[string]int{
			"": 3, "DateSent=2000-01-01": 1, "DateSent=2000-01-02": 1, "DateSent=2000-01-03": 0,
			"DateSent=2000-01-01T23:59:59Z": 1, "DateSent=2000-01-02T01:00:00%2B02:00": 1,
			"DateSent<=2000-01-01": 1, "DateSent<=2000-01-02": 2, "DateSent<=1999-12-31": 0,
			"DateSent>=2000-01-01": 2, "DateSent>=2000-01-02": 1, "DateSent>=2000-01-03": 0,
			"DateSent>=2000-01-01T00:00:02Z": 2, "DateSent>=2000-01-01T00:00:03Z": 1,
			"DateSent<=2000-01-01T00:00:02Z": 1, "DateSent<=2000-01-01T00:00:01Z": 0,
			"DateSent>=2000-01-01T00:00:01Z&DateSent<=2000-01-01T00:00:05Z": 1,
			"DateSent<=9999-12-31": 2, "DateSent>=9999-12-31": 0, "DateSent>=0001-01-02": 2, "DateSent<=0001-01-02": 0,
			"From=%2B12025550100": 2, "From=%2B14155550000": 0,
		} {
			got, _, _ := s.listPage(t, s.messagesPath()+"?"+query)
			if len(got) != want {
				t.Errorf("%q lists %d, want %d", query, len(got), want)
			}
		}
	})
}

// TestListsOfThings pages through numbers, services and keys.
func TestListsOfThings(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{VerifiedNumbers: []string{person}})
	for i := range 4 {
		s.ask("POST", v1+"Services", "FriendlyName=s"+itoa(i))
		s.ask("POST", v2010+s.o.AccountSID+"/Keys.json", "FriendlyName=k"+itoa(i))
		s.ask("POST", v2010+s.o.AccountSID+"/IncomingPhoneNumbers.json", "AreaCode=415")
	}
	for path, tt := range map[string]struct {
		key  string
		want int
	}{
		v1 + "Services": {"services", 5},
		v1 + "Services/" + s.o.MessagingServiceSID + "/PhoneNumbers": {"phone_numbers", 1},
		v2010 + s.o.AccountSID + "/Keys.json":                        {"keys", 4},
		v2010 + s.o.AccountSID + "/IncomingPhoneNumbers.json":        {"incoming_phone_numbers", 5},
		v2010 + s.o.AccountSID + "/OutgoingCallerIds.json":           {"outgoing_caller_ids", 1},
	} {
		seen := map[string]bool{}
		pages := 0
		for uri := path + "?PageSize=2"; uri != ""; pages++ {
			r := s.ask("GET", uri, "")
			m := r.json(t)
			list, _ := m[tt.key].([]any)
			for _, item := range list {
				seen[item.(map[string]any)["sid"].(string)] = true
			}
			next, _ := m["next_page_uri"].(string)
			if meta, ok := m["meta"].(map[string]any); ok {
				next, _ = meta["next_page_url"].(string)
				if meta["key"] != tt.key || next != "" && !strings.HasPrefix(next, host+v1) {
					t.Errorf("%s: meta %v", path, meta)
				}
				next = strings.TrimPrefix(next, host)
			}
			uri = next
			if pages > 10 {
				t.Fatalf("%s: no end", path)
			}
		}
		if len(seen) != tt.want || pages != (tt.want+1)/2 {
			t.Errorf("%s: %d in %d pages, want %d", path, len(seen), pages, tt.want)
		}
		if got := s.ask("GET", path+"?PageSize=x", "").errorCode(t); got != 20422 {
			t.Errorf("%s: a bad page size is %d", path, got)
		}
	}
}

func TestPageQueryKeepsFilters(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	s.text(t)
	s.text(t)
	_, next, _ := s.listPage(t, s.messagesPath()+"?DateSent%3E=1999-01-01&PageSize=1")
	if next != "" {
		t.Errorf("nothing matches, yet there is a next page %s", next)
	}
	_, next, _ = s.listPage(t, s.messagesPath()+"?To=%2B14155552671&PageSize=1")
	u, err := url.Parse(next)
	if err != nil || u.Query().Get("To") != person || u.Query().Get("Page") != "1" || !strings.HasPrefix(u.Query().Get("PageToken"), "PASM") {
		t.Errorf("next page %s: %v", next, err)
	}
}

// TestEmptyLists: a list that is always empty, or of one, is paged as any other.
func TestEmptyLists(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	media := strings.TrimSuffix(s.messagesPath(), ".json") + "/" + s.text(t) + "/Media.json"
	service := v1 + "Services/" + s.o.MessagingServiceSID
	for path, items := range map[string]int{
		media: 0, "/2010-04-01/Accounts.json": 1, service + "/ShortCodes": 0, service + "/AlphaSenders": 0,
	} {
		r := s.ask("GET", path+"?PageSize=7", "")
		if r.code != 200 {
			t.Fatal(path, r)
		}
		m := r.json(t)
		if meta, ok := m["meta"].(map[string]any); ok {
			m["page_size"] = meta["page_size"]
		}
		n := -1
		for _, v := range m {
			if list, ok := v.([]any); ok {
				n = len(list)
			}
		}
		if n != items || m["page_size"] != 7.0 {
			t.Errorf("%s: %d items, page_size %v", path, n, m["page_size"])
		}
		if r := s.ask("GET", path+"?PageSize=x", ""); r.code != 400 || r.errorCode(t) != 20422 {
			t.Errorf("%s, a bad size: %v", path, r)
		}
	}
}
