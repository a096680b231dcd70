package twiliosim_test

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
	messaging "github.com/twilio/twilio-go/rest/messaging/v1"

	"github.com/sixdigit/sixdigit/twiliosim"
)

func TestSDKAccountAndBalance(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	a := ok[*api.ApiV2010Account](t)(r.api.FetchAccount(simAccount))
	if val(a.Sid) != simAccount || val(a.Status) != "active" || val(a.Type) != "Full" || val(a.OwnerAccountSid) != simAccount || val(a.AuthToken) != simToken {
		t.Errorf("account %q of %q is %q and %q", val(a.Sid), val(a.OwnerAccountSid), val(a.Status), val(a.Type))
	}
	if _, err := time.Parse(time.RFC1123Z, val(a.DateCreated)); err != nil {
		t.Errorf("date_created: %v", err)
	}
	list := ok[[]api.ApiV2010Account](t)(r.api.ListAccount(nil))
	if len(list) != 1 || val(list[0].Sid) != simAccount {
		t.Errorf("%d accounts listed, want the one", len(list))
	}
	b := ok[*api.ApiV2010Balance](t)(r.api.FetchBalance(nil))
	if val(b.AccountSid) != simAccount || val(b.Currency) != "USD" || !regexp.MustCompile(`^-?\d+\.\d{2,}$`).MatchString(val(b.Balance)) {
		t.Errorf("balance %q %q of %q", val(b.Balance), val(b.Currency), val(b.AccountSid))
	}
	_, err := r.api.FetchAccount("AC" + unknownSID32)
	wantCode(t, err, 20404, http.StatusNotFound)
}

func TestSDKCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	send := func() error {
		_, err := r.api.CreateMessage(text(person, "Your code is 123456."))
		return err
	}
	newKey := func() *api.ApiV2010NewKey {
		k := ok[*api.ApiV2010NewKey](t)(r.api.CreateNewKey((&api.CreateNewKeyParams{}).SetFriendlyName("sixdigit")))
		if !regexp.MustCompile(`^SK[0-9a-f]{32}$`).MatchString(val(k.Sid)) || len(val(k.Secret)) != 32 {
			t.Fatalf("key %q has a secret of %d characters", val(k.Sid), len(val(k.Secret)))
		}
		return k
	}
	key := newKey()

	r.as(t, val(key.Sid), val(key.Secret), simAccount)
	if err := send(); err != nil {
		t.Errorf("with an API key: %v", err)
	}
	if _, err := r.api.FetchBalance(nil); err != nil {
		t.Errorf("balance with an API key: %v", err)
	}
	if _, err := r.messaging.FetchService(simService); err != nil {
		t.Errorf("service with an API key: %v", err)
	}
	// A standard key may do everything but /Accounts and /Keys.
	_, err := r.api.FetchAccount(simAccount)
	wantCode(t, err, 20003, http.StatusUnauthorized)
	_, err = r.api.CreateNewKey(&api.CreateNewKeyParams{})
	wantCode(t, err, 20003, http.StatusUnauthorized)

	for _, tt := range []struct{ name, user, password string }{
		{"wrong token", simAccount, strings.Repeat("0", 32)},
		{"no password", simAccount, ""},
		{"wrong secret", val(key.Sid), strings.Repeat("0", 32)},
		{"token for a key", val(key.Sid), simToken},
		{"unknown key", "SK" + unknownSID32, val(key.Secret)},
		{"unknown account", "AC" + unknownSID32, simToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.as(t, tt.user, tt.password, simAccount)
			wantCode(t, send(), 20003, http.StatusUnauthorized)
			_, err := r.messaging.FetchService(simService)
			wantCode(t, err, 20003, http.StatusUnauthorized)
		})
	}

	// A key that was deleted lets nobody in.
	r.as(t, simAccount, simToken, simAccount)
	if err := r.api.DeleteKey(val(key.Sid), nil); err != nil {
		t.Fatal(err)
	}
	r.as(t, val(key.Sid), val(key.Secret), simAccount)
	wantCode(t, send(), 20003, http.StatusUnauthorized)
}

func TestSDKThrottled(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour})
	if err := r.sim.SetFaults(twiliosim.Faults{Status: http.StatusTooManyRequests, RetryAfter: 3, Count: 2}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := r.api.CreateMessage(text(person, "Your code is 123456."))
		wantCode(t, err, 20429, http.StatusTooManyRequests)
	}
	if n := len(r.sim.Ledger()); n != 0 {
		t.Errorf("%d texts were taken, though a 429 is never processed", n)
	}
	if _, err := r.api.CreateMessage(text(person, "Your code is 123456.")); err != nil {
		t.Errorf("after the faults: %v", err)
	}
	for status, code := range map[int]int{http.StatusInternalServerError: 20500, http.StatusServiceUnavailable: 20503} {
		if err := r.sim.SetFaults(twiliosim.Faults{Status: status, Count: 1}); err != nil {
			t.Fatal(err)
		}
		_, err := r.api.CreateMessage(text(person, "Your code is 123456."))
		wantCode(t, err, code, status)
	}
}

// TestSDKConcurrencyLimit: an account may have so many requests under way, and
// is told 429 beyond it.
func TestSDKConcurrencyLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{Step: time.Hour, MaxConcurrent: 1})
	if err := r.sim.SetFaults(twiliosim.Faults{LatencyMS: 60_000, Count: 1}); err != nil {
		t.Fatal(err)
	}
	slow := make(chan error, 1)
	go func() {
		// It may lose its place to a probe below; a 429 was not processed.
		for {
			_, err := r.api.CreateMessage(text(person, "Your code is 123456."))
			var e *client.TwilioRestError
			if !errors.As(err, &e) || e.Code != 20429 {
				slow <- err
				return
			}
		}
	}()
	eventually(t, "the second request is refused", func() bool {
		_, err := r.api.FetchBalance(nil)
		if err != nil {
			wantCode(t, err, 20429, http.StatusTooManyRequests)
		}
		return err != nil
	})
	_ = r.sim.Close() // ends the slow one
	if err := <-slow; err == nil {
		t.Error("the slow create was answered by a simulator that had closed")
	}
}

func TestSDKAvailableNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	local := ok[[]api.ApiV2010AvailablePhoneNumberLocal](t)(r.api.ListAvailablePhoneNumberLocal("US",
		(&api.ListAvailablePhoneNumberLocalParams{}).SetSmsEnabled(true).SetAreaCode(415).SetPageSize(5).SetLimit(5)))
	if len(local) == 0 {
		t.Fatal("no local numbers with area code 415")
	}
	for _, n := range local {
		if !strings.HasPrefix(val(n.PhoneNumber), "+1415") || len(val(n.PhoneNumber)) != 12 || !val(n.Capabilities).Sms || val(n.IsoCountry) != "US" || n.AddressRequirements == nil {
			t.Errorf("number %q in %q, capabilities %+v, address %v", val(n.PhoneNumber), val(n.IsoCountry), val(n.Capabilities), n.AddressRequirements)
		}
	}
	contains := ok[[]api.ApiV2010AvailablePhoneNumberLocal](t)(r.api.ListAvailablePhoneNumberLocal("US",
		(&api.ListAvailablePhoneNumberLocalParams{}).SetContains("+1212*").SetLimit(3)))
	for _, n := range contains {
		if !strings.HasPrefix(val(n.PhoneNumber), "+1212") {
			t.Errorf("number %q does not match +1212*", val(n.PhoneNumber))
		}
	}
	tollFree := ok[[]api.ApiV2010AvailablePhoneNumberTollFree](t)(r.api.ListAvailablePhoneNumberTollFree("US",
		(&api.ListAvailablePhoneNumberTollFreeParams{}).SetSmsEnabled(true).SetLimit(3)))
	mobile := ok[[]api.ApiV2010AvailablePhoneNumberMobile](t)(r.api.ListAvailablePhoneNumberMobile("GB",
		(&api.ListAvailablePhoneNumberMobileParams{}).SetSmsEnabled(true).SetLimit(3)))
	if len(contains) == 0 || len(tollFree) == 0 || len(mobile) == 0 {
		t.Fatalf("%d numbers that contain, %d toll-free, %d British mobile: want some of each", len(contains), len(tollFree), len(mobile))
	}
	if p := val(tollFree[0].PhoneNumber); !regexp.MustCompile(`^\+18(00|33|44|55|66|77|88)\d{7}$`).MatchString(p) {
		t.Errorf("toll-free number %q", p)
	}
	if p := val(mobile[0].PhoneNumber); !regexp.MustCompile(`^\+447\d{9}$`).MatchString(p) {
		t.Errorf("British mobile number %q", p)
	}
	_, err := r.api.ListAvailablePhoneNumberLocal("ZZ", nil)
	wantCode(t, err, 20404, http.StatusNotFound)
}

func TestSDKBuyAndRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	type number = *api.ApiV2010IncomingPhoneNumber
	first := ok[[]api.ApiV2010IncomingPhoneNumber](t)(r.api.ListIncomingPhoneNumber(nil))
	if len(first) != 1 || val(first[0].PhoneNumber) != simNumber {
		t.Fatalf("%d numbers at first, want %s alone", len(first), simNumber)
	}
	offered := ok[[]api.ApiV2010AvailablePhoneNumberLocal](t)(r.api.ListAvailablePhoneNumberLocal("US", (&api.ListAvailablePhoneNumberLocalParams{}).SetLimit(1)))
	if len(offered) != 1 {
		t.Fatalf("%d numbers offered, want 1", len(offered))
	}
	want := val(offered[0].PhoneNumber)
	buy := func(phone string) (number, error) {
		return r.api.CreateIncomingPhoneNumber((&api.CreateIncomingPhoneNumberParams{}).SetPhoneNumber(phone).SetFriendlyName("codes"))
	}
	bought := ok[number](t)(buy(want))
	sid := val(bought.Sid)
	if !regexp.MustCompile(`^PN[0-9a-f]{32}$`).MatchString(sid) || val(bought.PhoneNumber) != want || val(bought.FriendlyName) != "codes" || !val(bought.Capabilities).Sms {
		t.Errorf("bought %q, %q, %q, %+v", sid, val(bought.PhoneNumber), val(bought.FriendlyName), val(bought.Capabilities))
	}
	_, err := buy(want)
	// The page on 20500 calls the purchase idempotent per number, the test
	// credentials answer 21422 for one that is taken: both are Twilio.
	if err != nil {
		wantCode(t, err, 21422, http.StatusBadRequest)
	}
	if got := ok[number](t)(r.api.FetchIncomingPhoneNumber(sid, nil)); val(got.PhoneNumber) != want {
		t.Errorf("fetched %q, want %q", val(got.PhoneNumber), want)
	}
	only := ok[[]api.ApiV2010IncomingPhoneNumber](t)(r.api.ListIncomingPhoneNumber((&api.ListIncomingPhoneNumberParams{}).SetPhoneNumber(want)))
	if len(only) != 1 || val(only[0].Sid) != sid {
		t.Errorf("%d numbers match %s, want the one", len(only), want)
	}
	if _, err := r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(person).SetFrom(want).SetBody("Your code is 123456.")); err != nil {
		t.Errorf("sending from the new number: %v", err)
	}

	if err := r.api.DeleteIncomingPhoneNumber(sid, nil); err != nil {
		t.Errorf("release: %v", err)
	}
	_, err = r.api.FetchIncomingPhoneNumber(sid, nil)
	wantCode(t, err, 20404, http.StatusNotFound)
	if _, err := r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(person).SetFrom(want).SetBody("x")); err == nil {
		t.Error("a number that was released still sends")
	}
}

func TestSDKMagicPurchases(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	for _, account := range []struct{ sid, token string }{{simAccount, simToken}, {"AC" + strings.Repeat("2", 32), strings.Repeat("3", 32)}} {
		r.as(t, account.sid, account.token, account.sid)
		for phone, code := range map[string]int{"+15005550000": 21422, "+15005550001": 21421} {
			_, err := r.api.CreateIncomingPhoneNumber((&api.CreateIncomingPhoneNumberParams{}).SetPhoneNumber(phone))
			wantCode(t, err, code, http.StatusBadRequest)
		}
		_, err := r.api.CreateIncomingPhoneNumber((&api.CreateIncomingPhoneNumberParams{}).SetAreaCode("533"))
		wantCode(t, err, 21452, http.StatusBadRequest)
		for _, p := range []*api.CreateIncomingPhoneNumberParams{
			(&api.CreateIncomingPhoneNumberParams{}).SetPhoneNumber(testSender), (&api.CreateIncomingPhoneNumberParams{}).SetAreaCode("500"),
		} {
			if n, err := r.api.CreateIncomingPhoneNumber(p); err != nil || n.Sid == nil {
				t.Errorf("a purchase that works with test credentials: %v", err)
			}
		}
	}
}

func TestSDKServices(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	type service = *messaging.MessagingV1Service
	const callback = "https://example.com/cb"
	s := ok[service](t)(r.messaging.CreateService((&messaging.CreateServiceParams{}).SetFriendlyName("codes").SetUsecase("notifications").
		SetStatusCallback(callback).SetValidityPeriod(600).SetSmartEncoding(true).SetStickySender(true)))
	sid := val(s.Sid)
	same := func(got service) {
		t.Helper()
		if val(got.Sid) != sid || val(got.AccountSid) != simAccount || val(got.FriendlyName) != "codes" || val(got.Usecase) != "notifications" ||
			val(got.StatusCallback) != callback || got.ValidityPeriod != 600 || !val(got.SmartEncoding) || !val(got.StickySender) {
			t.Errorf("service %+v", *got)
		}
		if time.Since(val(got.DateCreated)).Abs() > time.Minute {
			t.Errorf("date_created %v", val(got.DateCreated))
		}
		if links := val(got.Links); links["phone_numbers"] != "https://messaging.twilio.com/v1/Services/"+sid+"/PhoneNumbers" {
			t.Errorf("link to the phone numbers: %v", links["phone_numbers"])
		}
	}
	if !regexp.MustCompile(`^MG[0-9a-f]{32}$`).MatchString(sid) {
		t.Fatalf("sid %q", sid)
	}
	same(s)
	same(ok[service](t)(r.messaging.FetchService(sid)))
	updated := ok[service](t)(r.messaging.UpdateService(sid, (&messaging.UpdateServiceParams{}).SetFriendlyName("more codes").SetValidityPeriod(120)))
	if val(updated.FriendlyName) != "more codes" || updated.ValidityPeriod != 120 || val(updated.Usecase) != "notifications" {
		t.Errorf("after the update: %q, %d, %q", val(updated.FriendlyName), updated.ValidityPeriod, val(updated.Usecase))
	}
	_, err := r.messaging.CreateService((&messaging.CreateServiceParams{}).SetFriendlyName("x").SetUsecase("gossip"))
	wantCode(t, err, 21713, http.StatusBadRequest)
	if _, err = r.messaging.CreateService(&messaging.CreateServiceParams{}); err == nil {
		t.Error("a service without a name was made")
	}

	for range 4 {
		ok[service](t)(r.messaging.CreateService((&messaging.CreateServiceParams{}).SetFriendlyName("page")))
	}
	list := ok[[]messaging.MessagingV1Service](t)(r.messaging.ListService((&messaging.ListServiceParams{}).SetPageSize(2)))
	var sids []string
	for _, s := range list {
		sids = append(sids, val(s.Sid))
	}
	slices.Sort(sids)
	if len(list) != 6 || len(slices.Compact(sids)) != 6 || !slices.Contains(sids, simService) {
		t.Errorf("%d services in pages of two, want 6 different ones with the default one", len(list))
	}

	if err := r.messaging.DeleteService(sid); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = r.messaging.FetchService(sid)
	wantCode(t, err, 20404, http.StatusNotFound)
}

func TestSDKServiceNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	type member = *messaging.MessagingV1PhoneNumber
	pool := ok[[]messaging.MessagingV1PhoneNumber](t)(r.messaging.ListPhoneNumber(simService, nil))
	if len(pool) != 1 || val(pool[0].PhoneNumber) != simNumber || !slices.Contains(val(pool[0].Capabilities), "SMS") || val(pool[0].CountryCode) != "US" {
		t.Fatalf("the default pool: %+v", pool)
	}
	pn := val(ok[*api.ApiV2010IncomingPhoneNumber](t)(r.api.CreateIncomingPhoneNumber((&api.CreateIncomingPhoneNumberParams{}).SetAreaCode("415"))).Sid)
	other := val(ok[*messaging.MessagingV1Service](t)(r.messaging.CreateService((&messaging.CreateServiceParams{}).SetFriendlyName("other"))).Sid)
	add := func(service, pn string) (member, error) {
		return r.messaging.CreatePhoneNumber(service, (&messaging.CreatePhoneNumberParams{}).SetPhoneNumberSid(pn))
	}
	m := ok[member](t)(add(simService, pn))
	if val(m.Sid) != pn || val(m.ServiceSid) != simService || val(m.AccountSid) != simAccount || !strings.HasPrefix(val(m.PhoneNumber), "+1415") {
		t.Errorf("added %q %q to %q", val(m.Sid), val(m.PhoneNumber), val(m.ServiceSid))
	}
	// A number lives in one service.
	_, err := add(simService, pn)
	wantCode(t, err, 21710, 0)
	_, err = add(other, pn)
	wantCode(t, err, 21712, 0)
	if _, err = add(other, "PN"+unknownSID32); err == nil {
		t.Error("a number that nobody owns was added")
	}
	if got := ok[member](t)(r.messaging.FetchPhoneNumber(simService, pn)); val(got.Sid) != pn {
		t.Errorf("fetched %q", val(got.Sid))
	}
	if err := r.messaging.DeletePhoneNumber(simService, pn); err != nil {
		t.Errorf("remove: %v", err)
	}
	ok[member](t)(add(other, pn))
	if list := ok[[]messaging.MessagingV1PhoneNumber](t)(r.messaging.ListPhoneNumber(other, nil)); len(list) != 1 || val(list[0].Sid) != pn {
		t.Errorf("the other pool holds %d numbers", len(list))
	}
	// It has no senders of the other kinds, and says so.
	codes := ok[[]messaging.MessagingV1ShortCode](t)(r.messaging.ListShortCode(other, nil))
	alphas := ok[[]messaging.MessagingV1AlphaSender](t)(r.messaging.ListAlphaSender(other, nil))
	if len(codes)+len(alphas) != 0 {
		t.Errorf("%d short codes and %d alphanumeric senders", len(codes), len(alphas))
	}
	// A text through the other service leaves from its number.
	msg := ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456.").SetMessagingServiceSid(other)))
	if got := r.reaches(t, val(msg.Sid), "delivered"); val(got.From) != val(m.PhoneNumber) {
		t.Errorf("from %q, want the service's number %q", val(got.From), val(m.PhoneNumber))
	}
}

func TestSDKUsecases(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	all := val(ok[*messaging.MessagingV1Usecase](t)(r.messaging.FetchUsecase()).Usecases)
	names := map[string]bool{}
	for _, u := range all {
		m, _ := u.(map[string]any)
		name, _ := m["usecase"].(string)
		purpose, _ := m["purpose"].(string)
		if purpose == "" {
			t.Errorf("use case %q has no purpose", name)
		}
		names[name] = true
		if name == "notifications" && purpose != "Notify my users." {
			t.Errorf("notifications: %q", purpose)
		}
	}
	for _, name := range []string{"notifications", "marketing", "verification", "discussion", "poll", "undeclared"} {
		if !names[name] {
			t.Errorf("use case %s is missing", name)
		}
	}
}
