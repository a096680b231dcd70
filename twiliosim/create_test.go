package twiliosim

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// createRule is a form to post and the code that refuses it; 0: it is taken.
type createRule struct {
	name string
	form []string
	code int
}

// The default sender and service of the rules.
const (
	ownNumber  = "+12025550100"
	ownService = "MG00000000000000000000000000000000"
)

// through is a form for the default service, from one for a sender, to one for
// a recipient.
func through(more ...string) []string {
	return append([]string{"To", person, "MessagingServiceSid", ownService, "Body", "x"}, more...)
}

func from(from string) []string { return []string{"To", person, "From", from, "Body", "x"} }

func to(to string) []string {
	return []string{"To", to, "MessagingServiceSid", ownService, "Body", "x"}
}

func body(body string) []string {
	return []string{"To", person, "MessagingServiceSid", ownService, "Body", body}
}

func runCreateRules(t *testing.T, rules []createRule) {
	t.Helper()
	s := newSim(t, Options{Step: time.Hour})
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.Ledger())
			r := s.post(tt.form...)
			if tt.code == 0 {
				if r.code != http.StatusCreated || len(s.Ledger()) != before+1 {
					t.Fatalf("%v, want it taken", r)
				}
				return
			}
			if got := r.errorCode(t); got != tt.code || r.code != http.StatusBadRequest {
				t.Errorf("%v, want code %d", r, tt.code)
			}
			if len(s.Ledger()) != before {
				t.Error("a refused create is in the ledger")
			}
		})
	}
}

func TestCreateMissing(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"nothing", nil, 21604},
		{"no To", []string{"From", ownNumber, "Body", "x"}, 21604},
		{"no sender", []string{"To", person, "Body", "x"}, 21603},
		{"no sender and no body", []string{"To", person}, 21603},
		{"no body", []string{"To", person, "MessagingServiceSid", ownService}, 21602},
		{"empty body", []string{"To", person, "MessagingServiceSid", ownService, "Body", ""}, 21602},
		{"variables without content", []string{"To", person, "MessagingServiceSid", ownService, "ContentVariables", "{}"}, 21654},
		{"media is enough", []string{"To", person, "MessagingServiceSid", ownService, "MediaUrl", "https://example.com/a.png"}, 0},
		{"content is enough", []string{"To", person, "MessagingServiceSid", ownService, "ContentSid", "HX" + strings.Repeat("a", 32)}, 0},
	})
}

func TestCreateRecipients(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"no plus", to("14155552671"), 21211},
		{"zero", to("+04155552671"), 21211},
		{"letters", to("+1415555CALL"), 21211},
		{"spaces", to("+1 415 555 2671"), 21211},
		{"too short", to("+123456"), 21211},
		{"American and short", to("+141555526"), 21211},
		{"American area 1", to("+11155552671"), 21211},
		{"16 digits", to("+1234567890123456"), 21211},
		{"15 digits", to("+492345678901234"), 0},
		{"Danish", to("+4512345678"), 0},
		{"short code", to("24273"), 21265},
		{"to itself", []string{"To", ownNumber, "From", ownNumber, "Body", "x"}, 21266},
		{"WhatsApp", to("whatsapp:+14155552671"), 0},
		{"WhatsApp, no number", to("whatsapp:me"), 21211},
		{"WhatsApp from the sandbox", []string{"To", "whatsapp:" + person, "From", "whatsapp:+14155238886", "Body", "x"}, 0},
		{"WhatsApp from a stranger", []string{"To", "whatsapp:" + person, "From", "whatsapp:+14155550000", "Body", "x"}, 63007},
		{"WhatsApp from a text number", []string{"To", "whatsapp:" + person, "From", ownNumber, "Body", "x"}, 21910},
	})
}

func TestCreateSenders(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"own number", from(ownNumber), 0},
		{"magic number", from("+15005550006"), 0},
		{"somebody's number", from("+14155550000"), 21659},
		{"a short code", from("24273"), 21659},
		{"a malformed number", from("+1415"), 21212},
		{"too long a name", from("ABCDEFGHIJKL"), 21212},
		{"digits alone", from("123456789"), 21212},
		{"a name to America", from("Example"), 21612},
		{"a name elsewhere", []string{"To", "+4512345678", "From", "Example 24", "Body", "x"}, 0},
	})
}

func TestCreateServices(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"malformed service", []string{"To", person, "MessagingServiceSid", "MG123", "Body", "x"}, 21705},
		{"another prefix", []string{"To", person, "MessagingServiceSid", "SM" + ownService[2:], "Body", "x"}, 21705},
		{"unknown service", []string{"To", person, "MessagingServiceSid", "MG" + strings.Repeat("f", 32), "Body", "x"}, 21701},
		{"a number of the service", through("From", ownNumber), 0},
		{"a number outside the service", through("From", "+15005550006"), 21711},
	})
}

func TestCreateBodies(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"1601 letters", body(strings.Repeat("x", 1601)), 21617},
		{"1600 letters", body(strings.Repeat("x", 1600)), 0},
		{"801 emoji", body(strings.Repeat("😀", 801)), 21617},
		{"800 emoji", body(strings.Repeat("😀", 800)), 0},
	})
}

func TestCreateCallbacks(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"callback", through("StatusCallback", "https://example.com/cb?x=1#rc=3"), 0},
		{"callback on this machine", through("StatusCallback", "http://127.0.0.1:8080/cb"), 0},
		{"callback with a user", through("StatusCallback", "https://u:p@example.com/cb"), 0},
		{"callback, underscore", through("StatusCallback", "https://a_b.example.com/"), 21609},
		{"callback, underscore in the path", through("StatusCallback", "https://example.com/a_b"), 0},
		{"callback, underscore in the user", through("StatusCallback", "https://a_b:c_d@example.com/"), 0},
		{"callback, relative", through("StatusCallback", "/cb"), 21609},
		{"callback, no host", through("StatusCallback", "https:///cb"), 21609},
		{"callback, scheme", through("StatusCallback", "javascript:alert(1)"), 21609},
		{"callback, malformed", through("StatusCallback", "https://example.com/%zz"), 21609},
		{"callback, 4000", through("StatusCallback", "https://example.com/"+strings.Repeat("a", 3980)), 0},
		{"callback, 4001", through("StatusCallback", "https://example.com/"+strings.Repeat("a", 3981)), 21609},
		{"callback, empty", through("StatusCallback", ""), 0},
		{"application", through("ApplicationSid", "AP1"), 20422},
	})
}

func TestCreateSettings(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"validity 1", through("ValidityPeriod", "1"), 0},
		{"validity 36000", through("ValidityPeriod", "36000"), 0},
		{"validity 0", through("ValidityPeriod", "0"), 21624},
		{"validity 36001", through("ValidityPeriod", "36001"), 21624},
		{"validity ten", through("ValidityPeriod", "ten"), 21624},
		{"risk", through("RiskCheck", "disable"), 0},
		{"risk, bad", through("RiskCheck", "Enable"), 20422},
		{"smart", through("SmartEncoded", "true"), 0},
		{"smart, bad", through("SmartEncoded", "yes"), 20422},
		{"feedback, bad", through("ProvideFeedback", "1"), 20422},
		{"attempt", through("Attempt", "2"), 0},
		{"attempt, bad", through("Attempt", "0"), 20422},
		{"price", through("MaxPrice", "0.5"), 0},
		{"price, bad", through("MaxPrice", "much"), 20422},
		{"retention", through("ContentRetention", "discard", "AddressRetention", "obfuscate"), 0},
		{"retention, bad", through("ContentRetention", "keep"), 20422},
		{"traffic, bad", through("TrafficType", "paid"), 20422},
		{"intent", through("MessageIntent", "otp"), 0},
		{"unknown parameter", through("Colour", "red"), 0},
		{"content, bad", through("ContentSid", "HX1"), 21655},
		{"variables, bad", through("ContentSid", "HX"+strings.Repeat("a", 32), "ContentVariables", "{"), 21656},
		{"media, bad", through("MediaUrl", "ftp://example.com"), 21620},
		{"11 media", through(strings.Split(strings.Repeat("MediaUrl,https://example.com/,", 11), ",")[:22]...), 21623},
	})
}

func TestCreateSchedules(t *testing.T) {
	t.Parallel()
	runCreateRules(t, []createRule{
		{"scheduled", through("ScheduleType", "fixed", "SendAt", time.Now().Add(16*time.Minute).Format(time.RFC3339)), 0},
		{"scheduled, soon", through("ScheduleType", "fixed", "SendAt", time.Now().Add(14*time.Minute).Format(time.RFC3339)), 35114},
		{"scheduled, late", through("ScheduleType", "fixed", "SendAt", time.Now().Add(36*24*time.Hour).Format(time.RFC3339)), 35114},
		{"scheduled, no time", through("ScheduleType", "fixed"), 35114},
		{"scheduled, bad type", through("ScheduleType", "loose", "SendAt", time.Now().Add(time.Hour).Format(time.RFC3339)), 35114},
	})
}

func TestCreateAnswer(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Step: time.Hour, Seed: 7})
	r := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "1 < 2 & \"3\" > 2")
	got := r.json(t)
	sid, _ := got["sid"].(string)
	date := time.Now().UTC().Format("Mon, 02 Jan 2006")
	for _, name := range []string{"date_created", "date_updated"} {
		d, _ := got[name].(string)
		if !strings.HasPrefix(d, date[:5]) || !strings.HasSuffix(d, " +0000") {
			t.Errorf("%s: %q", name, d)
		}
		delete(got, name)
	}
	uri := v2010 + s.o.AccountSID + "/Messages/" + sid
	want := map[string]any{
		"sid": sid, "account_sid": s.o.AccountSID, "messaging_service_sid": s.o.MessagingServiceSID,
		"to": person, "from": nil, "body": "1 < 2 & \"3\" > 2", "status": "accepted", "direction": "outbound-api",
		"num_segments": "0", "num_media": "0", "price": nil, "price_unit": "USD", "error_code": nil, "error_message": nil,
		"date_sent": nil, "api_version": "2010-04-01", "uri": uri + ".json",
		"subresource_uris": map[string]any{"media": uri + "/Media.json"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if !isSID(sid, "SM") {
		t.Errorf("sid %q", sid)
	}
	if mms := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "MediaUrl", "https://example.com/1", "MediaUrl", "https://example.com/2").json(t); !isSID(mms["sid"].(string), "MM") || mms["num_media"] != "2" {
		t.Errorf("a message with media: %v", mms)
	}
	if !strings.Contains(string(r.body), "1 < 2 &") {
		t.Errorf("JSON escapes what Twilio does not: %s", r.body)
	}
}

func TestSeedRepeatsSIDs(t *testing.T) {
	t.Parallel()
	a, b, c := newSim(t, Options{Seed: 1}), newSim(t, Options{Seed: 1}), newSim(t, Options{})
	one, two, three := a.text(t), b.text(t), c.text(t)
	if one != two || one == three {
		t.Errorf("sids %s, %s with one seed, %s without", one, two, three)
	}
}

func TestMagicNumbers(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	for number, code := range magicTo {
		for _, sender := range [][]string{{"MessagingServiceSid", s.o.MessagingServiceSID}, {"From", "+15005550006"}} {
			if got := s.post(append(sender, "To", number, "Body", "x")...).errorCode(t); got != code {
				t.Errorf("To %s: %d, want %d", number, got, code)
			}
		}
	}
	for number, code := range magicFrom {
		if got := s.post("To", person, "From", number, "Body", "x").errorCode(t); got != code {
			t.Errorf("From %s: %d, want %d", number, got, code)
		}
	}
}

func TestTrial(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{Trial: true, VerifiedNumbers: []string{person}})
	if got := s.post("To", "+14155552672", "From", s.o.PhoneNumber, "Body", "x").errorCode(t); got != 21608 {
		t.Errorf("an unverified number: %d", got)
	}
	if got := s.post("To", person, "From", "Example", "Body", "x").errorCode(t); got != 21267 {
		t.Errorf("an alphanumeric sender: %d", got)
	}
	m := s.post("To", person, "From", s.o.PhoneNumber, "Body", strings.Repeat("x", 130)).json(t)
	if m["body"] != "Sent from your Twilio trial account - "+strings.Repeat("x", 130) || m["num_segments"] != "2" {
		t.Errorf("body %v in %v segments; the prefix counts", m["body"], m["num_segments"])
	}
	if got := s.ask("POST", v2010+s.o.AccountSID+"/IncomingPhoneNumbers.json", "PhoneNumber=%2B14155550000").errorCode(t); got != 21404 {
		t.Errorf("a second number on trial: %d", got)
	}
	list := s.ask("GET", v2010+s.o.AccountSID+"/OutgoingCallerIds.json?PhoneNumber=%2B14155552671", "").json(t)
	ids, _ := list["outgoing_caller_ids"].([]any)
	if len(ids) != 1 || ids[0].(map[string]any)["phone_number"] != person {
		t.Errorf("verified numbers: %v", ids)
	}
}

// TestEmptyPool: accepted and failed a step later, or refused at once.
func TestEmptyPool(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{RefuseEmptyPool: true})
	if r := s.ask("DELETE", v1+"Services/"+s.o.MessagingServiceSID+"/PhoneNumbers/"+s.reg.numbers[0].sid, ""); r.code != http.StatusNoContent {
		t.Fatal(r)
	}
	if got := s.post("To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "x").errorCode(t); got != 21704 {
		t.Errorf("code %d", got)
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newSim(t, Options{})
	standard, main := s.reg.newKey(s.ids, "a", false), s.reg.newKey(s.ids, "b", true)
	as := func(user, pass string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, pass) }
	}
	account, keys, messages := v2010+s.o.AccountSID+".json", v2010+s.o.AccountSID+"/Keys.json", s.messagesPath()
	for _, tt := range []struct {
		name, path string
		user, pass string
		status     int
	}{
		{"token", account, s.o.AccountSID, s.o.AuthToken, 200},
		{"no colon", account, "", "", 401},
		{"half a token", account, s.o.AccountSID, s.o.AuthToken[:31], 401},
		{"token of the test account", account, s.o.AccountSID, s.o.TestAuthToken, 401},
		{"main key", account, main.sid, main.secret, 200},
		{"main key on Keys", keys, main.sid, main.secret, 200},
		{"main key on Accounts", "/2010-04-01/Accounts.json", main.sid, main.secret, 200},
		{"standard key", messages, standard.sid, standard.secret, 200},
		{"standard key on its account", account, standard.sid, standard.secret, 401},
		{"standard key on Keys", keys, standard.sid, standard.secret, 401},
		{"standard key on one key", v2010 + s.o.AccountSID + "/Keys/" + main.sid + ".json", standard.sid, standard.secret, 401},
		{"standard key on Accounts", "/2010-04-01/Accounts.json", standard.sid, standard.secret, 401},
		{"key with another's secret", messages, standard.sid, main.secret, 401},
		{"unknown key with the dummy secret", messages, "SK" + strings.Repeat("0", 32), strings.Repeat("0", 32), 401},
		{"another account", v2010 + "AC" + strings.Repeat("f", 32) + "/Messages.json", s.o.AccountSID, s.o.AuthToken, 404},
		{"test credentials on the account", v2010 + s.o.TestAccountSID + ".json", s.o.TestAccountSID, s.o.TestAuthToken, 403},
		{"test credentials on services", v1 + "Services", s.o.TestAccountSID, s.o.TestAuthToken, 403},
		{"test credentials, the other account", messages, s.o.TestAccountSID, s.o.TestAuthToken, 404},
		{"no suffix", strings.TrimSuffix(messages, ".json"), s.o.AccountSID, s.o.AuthToken, 404},
		{"no resource", v2010 + s.o.AccountSID + "/Nothing.json", s.o.AccountSID, s.o.AuthToken, 404},
		{"another product", "/v2/Services", s.o.AccountSID, s.o.AuthToken, 404},
	} {
		r := s.ask("GET", tt.path, "", as(tt.user, tt.pass))
		if r.code != tt.status {
			t.Errorf("%s: %v, want %d", tt.name, r, tt.status)
			continue
		}
		if want := map[int]int{401: 20003, 403: 20008, 404: 20404}[tt.status]; want != 0 && r.errorCode(t) != want {
			t.Errorf("%s: %v, want code %d", tt.name, r, want)
		}
		if tt.status == 401 && r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", tt.name)
		}
	}
	if r := s.ask("PUT", messages, ""); r.code != 405 || r.errorCode(t) != 20004 {
		t.Errorf("PUT: %v", r)
	}
	if r := s.ask("GET", account, "").json(t); r["auth_token"] != s.o.AuthToken || r["type"] != "Full" {
		t.Errorf("account: %v", r)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"empty", "", 1},
		{"160", strings.Repeat("a", 160), 1},
		{"161", strings.Repeat("a", 161), 2},
		{"306", strings.Repeat("a", 306), 2},
		{"307", strings.Repeat("a", 307), 3},
		{"80 euro signs", strings.Repeat("€", 80), 1},
		{"81 euro signs", strings.Repeat("€", 81), 2},
		{"a pair is not split", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3},
		{"the same without the pair", strings.Repeat("a", 153) + strings.Repeat("a", 153), 2},
		{"70 ê", strings.Repeat("ê", 70), 1},
		{"71 ê", strings.Repeat("ê", 71), 2},
		{"35 emoji", strings.Repeat("😀", 35), 1},
		{"36 emoji", strings.Repeat("😀", 36), 2},
		{"a surrogate pair is not split", strings.Repeat("😀", 67), 3}, // 33 fit a part of 67 units
		{"Ç é are basic", strings.Repeat("Çé", 80), 1},
		{"backtick forces UCS-2", strings.Repeat("a", 70) + "`", 2},
		{"line feed", strings.Repeat("a\n", 80), 1},
		{"NBSP", strings.Repeat("a", 70) + "\u00a0", 2},
	} {
		if got := segments(tt.body); got != tt.want {
			t.Errorf("%s: %d segments, want %d", tt.name, got, tt.want)
		}
	}
	if got := smartEncode("“Don’t” – wait…\u00a0½ ` 😀 ê\u200b"); got != `"Don't" - wait...  1/2 ' 😀 ê` {
		t.Errorf("smart encoding gives %q", got)
	}
}
