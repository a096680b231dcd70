package twiliosim_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/sixdigit/sixdigit/twiliosim"
)

var sidShape = regexp.MustCompile(`^SM[0-9a-f]{32}$`)

// created checks what is common to every message that was just created.
func created(t *testing.T, m *api.ApiV2010Message) {
	t.Helper()
	sid := val(m.Sid)
	if !sidShape.MatchString(sid) {
		t.Errorf("sid %q", sid)
	}
	got := []string{val(m.AccountSid), val(m.Direction), val(m.ApiVersion), val(m.Uri), val(m.NumMedia), val(m.PriceUnit)}
	want := []string{simAccount, "outbound-api", "2010-04-01", "/2010-04-01/Accounts/" + simAccount + "/Messages/" + sid + ".json", "0", "USD"}
	if !slices.Equal(got, want) {
		t.Errorf("message holds %q, want %q", got, want)
	}
	for name, s := range map[string]*string{"date_created": m.DateCreated, "date_updated": m.DateUpdated} {
		// Twilio's v2010 dates are RFC 2822 in GMT, to the second.
		at, err := time.Parse(time.RFC1123Z, val(s))
		if err != nil || !strings.HasSuffix(*s, " +0000") || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s %q is not the present in RFC 2822", name, val(s))
		}
	}
	if m.DateSent != nil || m.Price != nil || m.ErrorCode != nil || m.ErrorMessage != nil {
		t.Error("a message that was just created knows when it was sent, its price or its error")
	}
}

func TestSDKCreateThroughAService(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	body := `Your code is 123456 (it's "valid" for 10 min) & + % ñ 你 😀`
	m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, body).
		SetValidityPeriod(600).SetProvideFeedback(true).SetRiskCheck("enable").SetAttempt(1).SetForceDelivery(false).
		SetContentRetention("retain").SetAddressRetention("retain").SetMaxPrice(0.5)))
	created(t, m)
	if val(m.Status) != "accepted" || m.From != nil || val(m.MessagingServiceSid) != simService || val(m.NumSegments) != "0" {
		t.Errorf("status %q, from %v, service %q, %q segments; want accepted, nobody yet, %s, 0",
			val(m.Status), m.From, val(m.MessagingServiceSid), val(m.NumSegments), simService)
	}
	if val(m.Body) != body || val(m.To) != person {
		t.Errorf("body %q to %q", val(m.Body), val(m.To))
	}
}

func TestSDKCreateFromANumber(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	for _, from := range []string{simNumber, testSender} {
		m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(person).SetFrom(from).SetBody("Your code is 123456.")))
		created(t, m)
		if val(m.Status) != "queued" || val(m.From) != from || m.MessagingServiceSid != nil || val(m.NumSegments) != "1" {
			t.Errorf("status %q, from %q, service %v, %q segments; want queued, %s, none, 1", val(m.Status), val(m.From), m.MessagingServiceSid, val(m.NumSegments), from)
		}
	}
	// A sender named beside the service that has it: queued at once.
	m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456.").SetFrom(simNumber)))
	if val(m.Status) != "queued" || val(m.From) != simNumber || val(m.MessagingServiceSid) != simService {
		t.Errorf("status %q, from %q, service %q; want queued from %s through the service", val(m.Status), val(m.From), val(m.MessagingServiceSid), simNumber)
	}
}

func TestSDKCreateHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	m, err := r.api.CreateMessageWithMetadata(text(person, "Your code is 123456."))
	if err != nil {
		t.Fatal(err)
	}
	if m.GetStatusCode() != http.StatusCreated {
		t.Errorf("status %d, want 201", m.GetStatusCode())
	}
	h := m.GetHeaders()
	for name, shape := range map[string]string{
		"Content-Type": `^application/json`, "Twilio-Request-Id": `^RQ[0-9a-f]{32}$`, "Twilio-Request-Duration": `^\d+\.\d+$`,
		"Twilio-Concurrent-Requests": `^\d+$`, "X-Home-Region": `^us1$`,
	} {
		if got := h.Get(name); !regexp.MustCompile(shape).MatchString(got) {
			t.Errorf("%s: %q, want %s", name, got, shape)
		}
	}
}

func TestSDKSmartEncoding(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	const curly = "Your “code” is 123456 – don’t share it…"
	for _, tt := range []struct {
		smart    bool
		body     string
		segments string
	}{
		{false, curly, "1"},
		{false, curly + strings.Repeat("a", 71), "2"},    // 110 UTF-16 units are two segments of 67
		{true, curly + strings.Repeat("a", 71), "1"},     // 112 characters of GSM-7 are one
		{true, "\u2011" + strings.Repeat("a", 70), "2"},  // Twilio leaves the non-breaking hyphen: UCS-2
		{true, "\u00a0" + strings.Repeat("a", 159), "2"}, // two blanks stand for one: 161 septets
	} {
		m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, tt.body).SetSmartEncoded(tt.smart)))
		m = r.reaches(t, val(m.Sid), "delivered")
		if val(m.NumSegments) != tt.segments {
			t.Errorf("smart %v, %d characters: %s segments, want %s", tt.smart, len([]rune(tt.body)), val(m.NumSegments), tt.segments)
		}
		if !tt.smart && val(m.Body) != tt.body {
			t.Errorf("body %q, want it as it was sent", val(m.Body))
		}
	}
}

// TestSDKMagicNumbers: the test numbers answer their code at once in the
// account that is not for tests, too.
func TestSDKMagicNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	to := map[string]int{"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614}
	for number, code := range to {
		_, err := r.api.CreateMessage(text(number, "Your code is 123456."))
		wantCode(t, err, code, http.StatusBadRequest)
		_, err = r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(number).SetFrom(testSender).SetBody("Your code is 123456."))
		wantCode(t, err, code, http.StatusBadRequest)
	}
	for number, code := range map[string]int{"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611} {
		_, err := r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(person).SetFrom(number).SetBody("Your code is 123456."))
		wantCode(t, err, code, http.StatusBadRequest)
	}
	if n := len(r.sim.Ledger()); n != 0 {
		t.Errorf("%d refused texts are in the ledger", n)
	}
}

// TestSDKTestCredentials is about Twilio's second pair of credentials: it
// validates, keeps nothing, and reaches little of the API.
func TestSDKTestCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{TestAccountSID: "AC" + strings.Repeat("2", 32), TestAuthToken: strings.Repeat("3", 32)})
	r.as(t, "AC"+strings.Repeat("2", 32), strings.Repeat("3", 32), "AC"+strings.Repeat("2", 32))
	send := func(from, to string) error {
		_, err := r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(to).SetFrom(from).SetBody("Your code is 123456."))
		return err
	}
	if err := send(testSender, person); err != nil {
		t.Errorf("%s to %s: %v", testSender, person, err)
	}
	wantCode(t, send("+15005550001", person), 21212, http.StatusBadRequest)
	wantCode(t, send(simNumber, person), 21606, http.StatusBadRequest)
	wantCode(t, send(testSender, "+15005550009"), 21614, http.StatusBadRequest)
	if n := len(r.sim.Messages("")); n != 0 {
		t.Errorf("test credentials left %d messages", n)
	}
	_, err := r.api.ListMessage(nil)
	wantCode(t, err, 20008, http.StatusForbidden)
	_, err = r.api.FetchBalance(nil)
	wantCode(t, err, 20008, http.StatusForbidden)
}

func TestSDKRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	none := func() *api.CreateMessageParams { return &api.CreateMessageParams{} }
	for _, tt := range []struct {
		code   int
		params *api.CreateMessageParams
	}{
		{21604, none().SetMessagingServiceSid(simService).SetBody("x")},
		{21603, none().SetTo(person).SetBody("x")},
		{21602, none().SetTo(person).SetMessagingServiceSid(simService)},
		{21617, text(person, strings.Repeat("x", 1601))},
		{21609, text(person, "x").SetStatusCallback("https://my_host.example.com/cb")},
		{21609, text(person, "x").SetStatusCallback("ftp://example.com/cb")},
		{21701, none().SetTo(person).SetBody("x").SetMessagingServiceSid("MG" + unknownSID32)},
		{21654, text(person, "x").SetContentVariables(`{"1":"123456"}`)},
	} {
		_, err := r.api.CreateMessage(tt.params)
		wantCode(t, err, tt.code, http.StatusBadRequest)
	}
	// Twilio's pages disagree on the code of a validity out of range.
	for _, v := range []int{0, -1, 36001} {
		_, err := r.api.CreateMessage(text(person, "x").SetValidityPeriod(v))
		if err == nil || !regexp.MustCompile(`Status: 400 - ApiError (21624|90007|30045):`).MatchString(err.Error()) {
			t.Errorf("validity %d: %v, want one of the codes for it", v, err)
		}
	}
}

func TestSDKFetch(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	sid := val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456."))).Sid)
	m := r.reaches(t, sid, "delivered")
	if val(m.From) != simNumber || val(m.NumSegments) != "1" || val(m.ErrorCode) != 0 || val(m.Body) != "Your code is 123456." {
		t.Errorf("from %q, %s segments, error %d, body %q", val(m.From), val(m.NumSegments), val(m.ErrorCode), val(m.Body))
	}
	if _, err := time.Parse(time.RFC1123Z, val(m.DateSent)); err != nil {
		t.Errorf("date_sent: %v", err)
	}
	if !regexp.MustCompile(`^-0\.\d{5}$`).MatchString(val(m.Price)) {
		t.Errorf("price %q, want it negative with five decimals", val(m.Price))
	}
	uris := val(m.SubresourceUris)
	for _, name := range []string{"media", "feedback"} {
		if s, _ := uris[name].(string); !strings.Contains(s, sid) {
			t.Errorf("subresource_uris lacks %s", name)
		}
	}
	_, err := r.api.FetchMessage("SM"+unknownSID32, nil)
	wantCode(t, err, 20404, http.StatusNotFound)
}

func TestSDKUndelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	for status, code := range map[string]int{"undelivered": 30003, "failed": 30007} {
		if err := r.sim.SetFaults(twiliosim.Faults{Outcome: status, ErrorCode: code, Count: 1}); err != nil {
			t.Fatal(err)
		}
		m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456.")))
		m = r.reaches(t, val(m.Sid), status)
		if val(m.ErrorCode) != code || val(m.ErrorMessage) == "" {
			t.Errorf("%s: error %d %q, want %d", status, val(m.ErrorCode), val(m.ErrorMessage), code)
		}
	}
}

// TestSDKValidity: a text that waits longer than its validity is not sent.
func TestSDKValidity(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: 1100 * time.Millisecond}) // just over the shortest validity
	m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(fromNumber().SetValidityPeriod(1)))
	if m = r.reaches(t, val(m.Sid), "failed"); val(m.ErrorCode) != 30036 || m.DateSent != nil {
		t.Errorf("error %d, sent %v; want 30036 and never", val(m.ErrorCode), m.DateSent)
	}
}

func TestSDKRedactCancelDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	sid := val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456."))).Sid)
	r.reaches(t, sid, "delivered")

	redacted := ok[*api.ApiV2010Message](t)(r.api.UpdateMessage(sid, (&api.UpdateMessageParams{}).SetBody("")))
	fetched := ok[*api.ApiV2010Message](t)(r.api.FetchMessage(sid, nil))
	if redacted.Body == nil || *redacted.Body != "" || val(fetched.Body) != "" || val(fetched.Status) != "delivered" {
		t.Errorf("after redaction: body %q, then %q, status %q", val(redacted.Body), val(fetched.Body), val(fetched.Status))
	}
	_, err := r.api.UpdateMessage(sid, (&api.UpdateMessageParams{}).SetStatus("canceled"))
	if err == nil {
		t.Error("a message that was delivered could be canceled")
	}

	for name, p := range map[string]*api.UpdateMessageParams{
		"another body": (&api.UpdateMessageParams{}).SetBody("x"), "another status": (&api.UpdateMessageParams{}).SetStatus("delivered"), "nothing": {},
	} {
		if _, err := r.api.UpdateMessage(sid, p); err == nil {
			t.Errorf("an update to %s was taken", name)
		}
	}

	if err := r.api.DeleteMessage(sid, nil); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = r.api.FetchMessage(sid, nil)
	wantCode(t, err, 20404, http.StatusNotFound)
	wantCode(t, r.api.DeleteMessage(sid, nil), 20404, http.StatusNotFound)

	later := text(person, "Your code is 123456.").SetScheduleType("fixed").SetSendAt(time.Now().Add(time.Hour))
	scheduled := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(later))
	if val(scheduled.Status) != "scheduled" {
		t.Errorf("status %q, want scheduled", val(scheduled.Status))
	}
	canceled := ok[*api.ApiV2010Message](t)(r.api.UpdateMessage(val(scheduled.Sid), (&api.UpdateMessageParams{}).SetStatus("canceled")))
	if val(canceled.Status) != "canceled" {
		t.Errorf("status %q, want canceled", val(canceled.Status))
	}
}

func TestSDKFeedback(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	sid := val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456.").SetProvideFeedback(true))).Sid)
	for _, outcome := range []string{"unconfirmed", "confirmed"} {
		f, err := r.api.CreateMessageFeedbackWithMetadata(sid, (&api.CreateMessageFeedbackParams{}).SetOutcome(outcome))
		if err != nil {
			t.Fatal(err)
		}
		got := f.GetResource()
		if f.GetStatusCode() != http.StatusOK || val(got.Outcome) != outcome || val(got.MessageSid) != sid || val(got.AccountSid) != simAccount {
			t.Errorf("%s: status %d, %q for %q of %q", outcome, f.GetStatusCode(), val(got.Outcome), val(got.MessageSid), val(got.AccountSid))
		}
		if _, err := time.Parse(time.RFC1123Z, val(got.DateCreated)); err != nil {
			t.Errorf("date_created: %v", err)
		}
	}
	if got := r.sim.Messages(person)[0].Feedback; got != "confirmed" {
		t.Errorf("the message's feedback is %q", got)
	}
	_, err := r.api.CreateMessageFeedback(sid, (&api.CreateMessageFeedbackParams{}).SetOutcome("perhaps"))
	if err == nil {
		t.Error("an outcome that does not exist was taken")
	}
	_, err = r.api.CreateMessageFeedback("SM"+unknownSID32, (&api.CreateMessageFeedbackParams{}).SetOutcome("confirmed"))
	wantCode(t, err, 20404, http.StatusNotFound)
}

func TestSDKTrialAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Trial: true, VerifiedNumbers: []string{person}})
	m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456.")))
	if want := "Sent from your Twilio trial account - Your code is 123456."; val(m.Body) != want {
		t.Errorf("body %q, want %q", val(m.Body), want)
	}
	_, err := r.api.CreateMessage(text(otherPerson, "Your code is 123456."))
	wantCode(t, err, 21608, http.StatusBadRequest)
	if a := ok[*api.ApiV2010Account](t)(r.api.FetchAccount(simAccount)); val(a.Type) != "Trial" {
		t.Errorf("account type %q", val(a.Type))
	}
}

// TestSDKConcurrentCreates: sids are unique and no message is lost.
func TestSDKConcurrentCreates(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	const callers, each = 8, 25
	type result struct {
		sid string
		err error
	}
	results := make(chan result, callers*each)
	for c := range callers {
		go func() {
			for i := range each {
				m, err := r.api.CreateMessage(text(person, fmt.Sprintf("Your code is %03d%03d.", c, i)))
				if err != nil {
					results <- result{err: err}
					continue
				}
				results <- result{sid: val(m.Sid)}
			}
		}()
	}
	seen := map[string]bool{}
	for range callers * each {
		res := <-results
		if res.err != nil || seen[res.sid] {
			t.Fatalf("sid %q, seen %v, error %v", res.sid, seen[res.sid], res.err)
		}
		seen[res.sid] = true
	}
	list := ok[[]api.ApiV2010Message](t)(r.api.ListMessage((&api.ListMessageParams{}).SetTo(person).SetPageSize(50)))
	if len(list) != callers*each || len(r.sim.Ledger()) != callers*each {
		t.Errorf("%d messages listed, %d in the ledger, want %d", len(list), len(r.sim.Ledger()), callers*each)
	}
}
