package twiliosim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (s *Server) buy(pairs ...string) reply {
	return s.ask("POST", v2010+s.o.AccountSID+"/IncomingPhoneNumbers.json", formOf(pairs...).Encode())
}

func TestBuyNumber(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for _, tt := range []struct {
		form []string
		code int
	}{
		{nil, 20422},
		{[]string{"PhoneNumber", "+15005550000"}, 21422},
		{[]string{"PhoneNumber", "+15005550001"}, 21421},
		{[]string{"PhoneNumber", "14155550000"}, 21421},
		{[]string{"PhoneNumber", s.o.PhoneNumber}, 21422},
		{[]string{"AreaCode", "533"}, 21452},
		{[]string{"AreaCode", "41"}, 21451},
		{[]string{"AreaCode", "abc"}, 21451},
		{[]string{"PhoneNumber", "+493023125000"}, 21631}, // Germany asks for an address
		{[]string{"PhoneNumber", "+493023125000", "AddressSid", "AD1"}, 0},
		{[]string{"PhoneNumber", "+15005550006"}, 0},
		{[]string{"PhoneNumber", "+15005550006"}, 0},
		{[]string{"AreaCode", "500"}, 0},
		{[]string{"PhoneNumber", "+14155550000", "FriendlyName", "mine"}, 0},
		{[]string{"PhoneNumber", "+14155550000"}, 21422},
		{[]string{"PhoneNumber", "+15335550000"}, 0},
	} {
		r := s.buy(tt.form...)
		if tt.code == 0 && r.code != http.StatusCreated {
			t.Errorf("%v: %v", tt.form, r)
		} else if tt.code != 0 && r.errorCode(t) != tt.code {
			t.Errorf("%v: %v, want %d", tt.form, r, tt.code)
		}
	}
	// An area sells out.
	for i := range 100 {
		if r := s.buy("AreaCode", "212"); r.code != http.StatusCreated {
			t.Fatalf("number %d: %v", i, r)
		}
	}
	if got := s.buy("AreaCode", "212").errorCode(t); got != 21452 {
		t.Errorf("a sold-out area: %d", got)
	}
	// Test credentials keep nothing.
	before := len(s.reg.numbers)
	test := func(r *http.Request) { r.SetBasicAuth(s.o.TestAccountSID, s.o.TestAuthToken) }
	for range 2 {
		if r := s.ask("POST", v2010+s.o.TestAccountSID+"/IncomingPhoneNumbers.json", "PhoneNumber=%2B14155550099", test); r.code != http.StatusCreated {
			t.Error(r)
		}
	}
	if len(s.reg.numbers) != before {
		t.Error("test credentials bought a number")
	}
}

func TestNumberResource(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	sid := s.reg.numbers[0].sid
	path := v2010 + s.o.AccountSID + "/IncomingPhoneNumbers/" + sid + ".json"
	m := s.ask("GET", path, "").json(t)
	if len(m) != 35 || m["phone_number"] != "+12025550100" || m["uri"] != path || m["address_requirements"] != "none" || m["bundle_sid"] != nil {
		t.Errorf("%d fields: %v", len(m), m)
	}
	if got := s.ask("GET", strings.Replace(path, sid, s.o.PhoneNumber, 1), "").errorCode(t); got != 20404 {
		t.Errorf("by its number: %d", got)
	}
	if r := s.ask("DELETE", path, ""); r.code != http.StatusNoContent {
		t.Error(r)
	}
	if got := s.ask("DELETE", path, "").errorCode(t); got != 20404 {
		t.Errorf("released twice: %d", got)
	}
	// Its service has lost it too.
	if m := s.ask("GET", v1+"Services/"+s.o.MessagingServiceSID+"/PhoneNumbers", "").json(t); len(m["phone_numbers"].([]any)) != 0 {
		t.Errorf("pool %v", m)
	}
}

func (s *Server) search(path, query string) reply {
	return s.ask("GET", v2010+s.o.AccountSID+"/AvailablePhoneNumbers/"+path+".json?"+query, "")
}

func TestSearchNumbers(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for _, tt := range []struct {
		path, query string
		some        bool
		prefix      string
	}{
		{"US/Local", "", true, "+1"},
		{"US/Local", "AreaCode=415", true, "+1415"},
		{"US/Local", "AreaCode=533", false, ""},
		{"US/Local", "Contains=212555", true, "+1212555"},
		{"US/Local", "Contains=212***0101", true, "+12125550101"},
		{"US/Local", "Contains=KLL", true, "+1"}, // 555
		{"US/Local", "Contains=999999", false, ""},
		{"US/Local", "SmsEnabled=true&MmsEnabled=true&VoiceEnabled=true", true, "+1"},
		{"US/Local", "SmsEnabled=false", false, ""},
		{"US/TollFree", "SmsEnabled=true", true, "+1800"},
		{"CA/Local", "", true, "+1"},
		{"GB/Mobile", "SmsEnabled=true", true, "+447"},
		{"GB/Mobile", "MmsEnabled=true", false, ""},
		{"GB/Local", "SmsEnabled=true", false, ""},
		{"GB/Local", "SmsEnabled=false", true, "+4420"},
		{"GB/Local", "ExcludeAllAddressRequired=true", false, ""},
		{"GB/Local", "ExcludeLocalAddressRequired=true", true, "+4420"},
		{"DE/Mobile", "ExcludeLocalAddressRequired=true", false, ""},
		{"DK/Mobile", "", true, "+45"},
		{"GB/Mobile", "AreaCode=415", false, ""},
	} {
		m := s.search(tt.path, tt.query).json(t)
		list, _ := m["available_phone_numbers"].([]any)
		if len(list) > 0 != tt.some {
			t.Errorf("%s?%s: %d numbers", tt.path, tt.query, len(list))
		}
		for _, item := range list {
			n := item.(map[string]any)
			phone, _ := n["phone_number"].(string)
			if !strings.HasPrefix(phone, tt.prefix) || !isE164(phone) || n["iso_country"] != tt.path[:2] {
				t.Errorf("%s?%s: %v", tt.path, tt.query, n)
			}
		}
	}
}

func TestSearchNumbersRefuses(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for _, path := range []string{"US/Mobile", "ZZ/Local", "us/Local", "US/National"} {
		if got := s.search(path, "").errorCode(t); got != 20404 {
			t.Errorf("%s: %d", path, got)
		}
	}
	if got := s.search("US/Local", "SmsEnabled=maybe").errorCode(t); got != 20422 {
		t.Errorf("a bad filter: %d", got)
	}
	first := s.search("GB/Mobile", "PageSize=1").json(t)["available_phone_numbers"].([]any)[0].(map[string]any)["phone_number"].(string)
	if r := s.buy("PhoneNumber", first); r.code != http.StatusCreated {
		t.Fatal(r)
	}
	second := s.search("GB/Mobile", "PageSize=1").json(t)["available_phone_numbers"].([]any)[0].(map[string]any)["phone_number"].(string)
	if first == second {
		t.Error("a number that was bought is still for sale")
	}
}

// TestStockIsWellFormed: every number that can be offered is valid, and its
// own country's and kind's.
func TestStockIsWellFormed(t *testing.T) {
	t.Parallel()
	for i := range countries {
		c := &countries[i]
		for _, k := range c.kinds {
			all := c.stock(k.name, "")
			if len(all) < 100 {
				t.Errorf("%s %s: %d numbers", c.iso, k.name, len(all))
			}
			for _, phone := range all {
				got, kind := planOf(phone)
				want := c.iso
				if c.dial == "1" && k.name == "TollFree" {
					want = "US" // toll-free numbers belong to all of North America
				}
				if !isE164(phone) || got == nil || got.iso != want || kind.name != k.name {
					t.Errorf("%s is no %s number of %s", phone, k.name, c.iso)
				}
			}
		}
	}
}

func TestServiceRules(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	path := v1 + "Services"
	for _, tt := range []struct {
		form []string
		code int
	}{
		{nil, 20001},
		{[]string{"FriendlyName", strings.Repeat("é", 65)}, 20422},
		{[]string{"FriendlyName", "x", "Usecase", "spam"}, 21713},
		{[]string{"FriendlyName", "x", "Usecase", ""}, 21713},
		{[]string{"FriendlyName", "x", "ValidityPeriod", "0"}, 21624},
		{[]string{"FriendlyName", "x", "StatusCallback", "nowhere"}, 20422},
		{[]string{"FriendlyName", "x", "InboundMethod", "PUT"}, 20422},
		{[]string{"FriendlyName", "x", "SmartEncoding", "2"}, 20422},
		{[]string{"FriendlyName", "x", "ScanMessageContent", "2"}, 20422},
	} {
		if r := s.ask("POST", path, formOf(tt.form...).Encode()); r.errorCode(t) != tt.code {
			t.Errorf("%v: %v, want %d", tt.form, r, tt.code)
		}
	}
}

func TestServiceLife(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour})
	path := v1 + "Services"
	r := s.ask("POST", path, formOf("FriendlyName", strings.Repeat("é", 64), "Usecase", "verification", "ValidityPeriod", "600",
		"InboundRequestUrl", "https://example.com/in", "InboundMethod", "GET", "ScanMessageContent", "disable", "SmartEncoding", "true", "StickySender", "false").Encode())
	m := r.json(t)
	if r.code != 201 || len(m) != 23 || m["usecase"] != "verification" || m["validity_period"] != 600.0 || m["inbound_method"] != "GET" ||
		m["smart_encoding"] != true || m["sticky_sender"] != false || m["status_callback"] != nil || m["scan_message_content"] != "disable" {
		t.Errorf("%d fields: %v", len(m), r)
	}
	if at, err := time.Parse("2006-01-02T15:04:05Z", m["date_created"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("date_created %v", m["date_created"])
	}
	sid := m["sid"].(string)
	if got := s.ask("POST", path+"/"+sid, "ValidityPeriod=0").errorCode(t); got != 21624 {
		t.Errorf("a bad update: %d", got)
	}
	if m := s.ask("GET", path+"/"+sid, "").json(t); m["validity_period"] != 600.0 {
		t.Error("a bad update changed something")
	}
	// Smart encoding of the service counts for its messages.
	body := s.post("To", person, "MessagingServiceSid", sid, "Body", "“x”").json(t)["body"]
	if body != `"x"` {
		t.Errorf("body %v", body)
	}
	for _, p := range []string{path + "/MG" + strings.Repeat("f", 32), path + "/" + sid + "/PhoneNumbers/PN" + strings.Repeat("f", 32)} {
		for _, method := range []string{"GET", "DELETE"} {
			if got := s.ask(method, p, "").errorCode(t); got != 20404 {
				t.Errorf("%s %s: %d", method, p, got)
			}
		}
	}
	for key, name := range map[string]string{"short_codes": "ShortCodes", "alpha_senders": "AlphaSenders"} {
		if list, _ := s.ask("GET", path+"/"+sid+"/"+name, "").json(t)[key].([]any); list == nil || len(list) != 0 {
			t.Errorf("%s: %v, want an empty list", key, list)
		}
	}
	// Deleting a service sets its numbers free.
	pn := s.reg.numbers[0].sid
	if r := s.ask("DELETE", path+"/"+s.o.MessagingServiceSID, ""); r.code != http.StatusNoContent {
		t.Error(r)
	}
	if r := s.ask("POST", path+"/"+sid+"/PhoneNumbers", "PhoneNumberSid="+pn); r.code != http.StatusCreated {
		t.Error(r)
	}
}

func TestServicePoolRules(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	pool := v1 + "Services/" + s.o.MessagingServiceSID + "/PhoneNumbers"
	add := func(sid string) reply { return s.ask("POST", pool, "PhoneNumberSid="+sid) }
	voice := s.buy("PhoneNumber", "+442079460001", "AddressSid", "AD1").json(t)["sid"].(string)
	for sid, code := range map[string]int{
		"": 20001, "PN1": 20404, "PN" + strings.Repeat("f", 32): 20404, s.o.PhoneNumber: 20404,
		s.reg.numbers[0].sid: 21710, voice: 21715,
	} {
		if got := add(sid).errorCode(t); got != code {
			t.Errorf("%q: %d, want %d", sid, got, code)
		}
	}
	for i := range maxPool {
		sid := s.buy("PhoneNumber", fmt.Sprintf("+1650555%04d", i)).json(t)["sid"].(string)
		r := add(sid)
		if last := i == maxPool-1; last && r.errorCode(t) != 21714 || !last && r.code != http.StatusCreated {
			t.Fatalf("number %d: %v", i+2, r)
		}
	}
}
