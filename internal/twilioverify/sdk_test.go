package twilioverify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/twilio/twilio-go/rest/verify/v2"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/secret"
)

// TestSDKWholeVerification has Twilio's Go SDK start, check wrong, resend, check
// right, and check again.
func TestSDKWholeVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	before := time.Now().Truncate(time.Second)
	v, err := api.CreateVerification(va, start(person))
	if err != nil {
		t.Fatal(err)
	}
	if *v.Status != "pending" || *v.Valid || *v.To != person || *v.Channel != "sms" || *v.ServiceSid != va || *v.AccountSid != access.AccountSID(app) ||
		!strings.HasPrefix(*v.Sid, "VE") || len(*v.Sid) != 34 || v.DateCreated.Before(before) || len(*v.SendCodeAttempts) != 1 {
		t.Errorf("started: %+v", v)
	}
	code := w.code(person)
	if text := w.texts(person)[0]; text != "Your Corner shop code is "+code+"." {
		t.Errorf("the text is %q", text)
	}
	c, err := api.CreateVerificationCheck(va, checkTo(person, wrong(code)))
	if err != nil || *c.Status != "pending" || *c.Valid || *c.Sid != *v.Sid {
		t.Errorf("a wrong code: %+v, %v", c, err)
	}
	again, err := api.CreateVerification(va, start(person))
	if err != nil || *again.Sid != *v.Sid || len(*again.SendCodeAttempts) != 2 {
		t.Errorf("another text: %+v, %v", again, err)
	}
	if w.code(person) != code || len(w.texts(person)) != 2 {
		t.Errorf("%d texts; the code of the second one is another: %t", len(w.texts(person)), w.code(person) != code)
	}
	for _, sid := range []string{*v.Sid, person} {
		if f, err := api.FetchVerification(va, sid); err != nil || *f.Sid != *v.Sid || *f.Status != "pending" {
			t.Errorf("fetch by %s: %+v, %v", sid[:2], f, err)
		}
	}
	c, err = api.CreateVerificationCheck(va, checkTo(person, code[:5]+" "+code[5:]))
	if err != nil || *c.Status != "approved" || !*c.Valid || *c.Sid != *v.Sid {
		t.Errorf("the right code: %+v, %v", c, err)
	}
	_, err = api.CreateVerificationCheck(va, checkTo(person, code))
	wantCode(t, "the right code again", err, 404, 20404)
	_, err = api.CreateVerificationCheck(va, checkSID(*v.Sid, code))
	wantCode(t, "the right code again, by sid", err, 404, 20404)
	for _, sid := range []string{*v.Sid, person} {
		_, err = api.FetchVerification(va, sid)
		wantCode(t, "fetch what was approved", err, 404, 20404)
		_, err = api.UpdateVerification(va, sid, status("canceled"))
		wantCode(t, "cancel what was approved", err, 404, 20404)
	}
	next, err := api.CreateVerification(va, start(person))
	if err != nil || *next.Sid == *v.Sid {
		t.Errorf("a start after approval: %+v, %v", next, err)
	}
}

func TestSDKSixthSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	sids := map[string]bool{}
	for n := range 5 {
		v, err := api.CreateVerification(va, start(person))
		if err != nil {
			t.Fatalf("send %d: %v", n+1, err)
		}
		sids[*v.Sid] = true
	}
	_, err := api.CreateVerification(va, start(person))
	wantCode(t, "the sixth send", err, 429, 60203)
	if len(sids) != 1 || len(w.texts(person)) != 5 {
		t.Errorf("%d sids and %d texts", len(sids), len(w.texts(person)))
	}
	var sid string
	for sid = range sids {
	}
	// Another number, and the same one at another service, are others' business.
	if _, err := api.CreateVerification(va, start(otherPerson)); err != nil {
		t.Error(err)
	}
	if v, err := api.CreateVerification(w.service(api, false), start(person)); err != nil || *v.Sid == sid {
		t.Errorf("another service: %v", err)
	}
	// To cancel frees the number.
	if v, err := api.UpdateVerification(va, sid, status("canceled")); err != nil || *v.Status != "canceled" {
		t.Errorf("cancel: %+v, %v", v, err)
	}
	if v, err := api.CreateVerification(va, start(person)); err != nil || *v.Sid == sid {
		t.Errorf("a start after cancel: %v", err)
	}
	if v, err := api.FetchVerification(va, sid); err != nil || *v.Status != "canceled" {
		t.Errorf("what was canceled can be read: %v", err)
	}
}

func TestSDKSixthCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	v, err := api.CreateVerification(va, start(person))
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(person)
	for n := range 5 {
		if c, err := api.CreateVerificationCheck(va, checkTo(person, wrong(code))); err != nil || *c.Status != "pending" || *c.Valid {
			t.Fatalf("check %d: %+v, %v", n+1, c, err)
		}
	}
	_, err = api.CreateVerificationCheck(va, checkTo(person, code))
	wantCode(t, "the sixth check", err, 429, 60202)
	_, err = api.CreateVerificationCheck(va, checkSID(*v.Sid, code))
	wantCode(t, "the sixth check, by sid", err, 429, 60202)
	if f, err := api.FetchVerification(va, person); err != nil || *f.Status != "max_attempts_reached" {
		t.Errorf("fetch: %+v, %v", f, err)
	}
	w.clock.pass(w.policy.Life)
	_, err = api.CreateVerificationCheck(va, checkTo(person, code))
	wantCode(t, "a check when the time is over", err, 404, 20404)
	_, err = api.CreateVerificationCheck(va, checkSID(*v.Sid, code))
	wantCode(t, "a check when the time is over, by sid", err, 404, 20404)
	next, err := api.CreateVerification(va, start(person))
	if err != nil || *next.Sid == *v.Sid {
		t.Errorf("a start afterwards: %v", err)
	}
}

func TestSDKExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	v, err := api.CreateVerification(va, start(person))
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(person)
	w.clock.pass(w.policy.Life)
	_, err = api.CreateVerificationCheck(va, checkTo(person, code))
	wantCode(t, "an old code", err, 404, 20404)
	_, err = api.CreateVerificationCheck(va, checkSID(*v.Sid, code))
	wantCode(t, "an old code, by sid", err, 404, 20404)
	_, err = api.FetchVerification(va, *v.Sid)
	wantCode(t, "fetch what has expired", err, 404, 20404)
}

func TestSDKCancelAndApprove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	v, err := api.CreateVerification(va, start(person))
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(person)
	_, err = api.UpdateVerification(va, *v.Sid, status("expired"))
	wantCode(t, "a status that cannot be set", err, 400, 60200)
	for range 2 {
		if u, err := api.UpdateVerification(va, person, status("canceled")); err != nil || *u.Sid != *v.Sid || *u.Status != "canceled" || *u.Valid {
			t.Errorf("cancel by number: %+v, %v", u, err)
		}
	}
	_, err = api.CreateVerificationCheck(va, checkTo(person, code))
	wantCode(t, "a check after cancel", err, 404, 20404)
	v, err = api.CreateVerification(va, start(person))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := api.UpdateVerification(va, *v.Sid, status("approved")); err != nil || *u.Status != "approved" || !*u.Valid {
		t.Errorf("approve: %+v, %v", u, err)
	}
	_, err = api.CreateVerificationCheck(va, checkSID(*v.Sid, w.code(person)))
	wantCode(t, "a check after approval", err, 404, 20404)
	_, err = api.FetchVerification(va, *v.Sid)
	wantCode(t, "fetch after approval", err, 404, 20404)
}

func TestSDKCustomCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	custom := func(code string) func(*sdk.CreateVerificationParams) {
		return func(p *sdk.CreateVerificationParams) { p.SetCustomCode(code) }
	}
	_, err := api.CreateVerification(w.service(api, false), start(person, custom("KATZE47110")))
	wantCode(t, "a custom code where none is taken", err, 403, 60204)
	va := w.service(api, true)
	for _, bad := range []string{"abc", "KAT4711", "12345678901", "12 34", "1234\n"} {
		_, err := api.CreateVerification(va, start(person, custom(bad)))
		wantCode(t, "a custom code that is none", err, 400, 60200)
	}
	v, err := api.CreateVerification(va, start(person, custom("KATZE47110")))
	if err != nil {
		t.Fatal(err)
	}
	if text := w.texts(person)[0]; text != "Your Corner shop code is KATZE47110." {
		t.Errorf("the text is %q", text)
	}
	_, err = api.CreateVerification(va, start(person))
	wantCode(t, "another text without its code", err, 400, 60200)
	again, err := api.CreateVerification(va, start(person, custom("KATZE47110")))
	if err != nil || *again.Sid != *v.Sid {
		t.Errorf("another text: %v", err)
	}
	if c, err := api.CreateVerificationCheck(va, checkTo(person, "katze47110")); err != nil || *c.Valid {
		t.Errorf("another code: %+v, %v", c, err)
	}
	// Another code takes its place, and the old one dies.
	if again, err = api.CreateVerification(va, start(person, custom("482913ABCD"))); err != nil || *again.Sid != *v.Sid {
		t.Errorf("another code for the same number: %v", err)
	}
	if c, err := api.CreateVerificationCheck(va, checkTo(person, "KATZE47110")); err != nil || *c.Valid {
		t.Errorf("the old code: %+v, %v", c, err)
	}
	if c, err := api.CreateVerificationCheck(va, checkTo(person, "482-913 ABCD")); err != nil || !*c.Valid {
		t.Errorf("the new code: %+v, %v", c, err)
	}
}

func TestSDKText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	if _, err := api.CreateVerification(va, start(person, func(p *sdk.CreateVerificationParams) {
		p.SetLocale("de-CH")
		p.SetAppHash("FA+9qCX9VSu")
	})); err != nil {
		t.Fatal(err)
	}
	if text := w.texts(person)[0]; text != "Ihr Code ist "+w.code(person)+".\nFA+9qCX9VSu" {
		t.Errorf("the text is %q", text)
	}
	if _, err := api.CreateVerification(va, start(person, func(p *sdk.CreateVerificationParams) { p.SetCustomFriendlyName("Åsa & co") })); err != nil {
		t.Fatal(err)
	}
	if text := w.texts(person)[0]; text != "Your Åsa & co code is "+w.code(person)+"." {
		t.Errorf("the text is %q", text)
	}
}

func TestSDKRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	limits := func(name string, of any) func(*sdk.CreateVerificationParams) {
		return func(p *sdk.CreateVerificationParams) { p.SetRateLimits(map[string]any{name: of}) }
	}
	for range 2 {
		if _, err := api.CreateVerification(va, start(person, limits("user", "anna"))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := api.CreateVerification(va, start(otherPerson, limits("user", "anna")))
	wantCode(t, "a rate limit that is reached", err, 429, 20429)
	if _, err := api.CreateVerification(va, start(otherPerson, limits("user", "bert"))); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	for name, of := range map[string]any{"nobody": "anna", "user": 7} {
		_, err = api.CreateVerification(va, start(person, limits(name, of)))
		wantCode(t, "a rate limit that is none", err, 400, 60200)
	}
}

func TestSDKServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va := w.service(api, false)
	p := &sdk.UpdateServiceParams{}
	p.SetFriendlyName("Böse Wölfe")
	p.SetCustomCodeEnabled(true)
	s, err := api.UpdateService(va, p)
	if err != nil || *s.FriendlyName != "Böse Wölfe" || !*s.CustomCodeEnabled || s.CodeLength != 10 || s.DateUpdated.Before(*s.DateCreated) {
		t.Errorf("update: %+v, %v", s, err)
	}
	for range 2 { // the one from the start is kept once it is changed
		first, err := api.FetchService(access.DefaultServiceSID(app))
		if err != nil || *first.FriendlyName != app && *first.FriendlyName != "first" {
			t.Errorf("the service from the start: %+v, %v", first, err)
		}
		p := &sdk.UpdateServiceParams{}
		p.SetFriendlyName("first")
		if _, err := api.UpdateService(access.DefaultServiceSID(app), p); err != nil {
			t.Error(err)
		}
	}
	for range 4 {
		w.service(api, false)
	}
	page := &sdk.ListServiceParams{}
	page.SetPageSize(2)
	all, err := api.ListService(page)
	if err != nil || len(all) != 6 || *all[0].FriendlyName != "first" || *all[1].Sid != va {
		t.Errorf("list: %d, %v", len(all), err)
	}
	for what, bad := range map[string]func(*sdk.CreateServiceParams){
		"no name":       func(p *sdk.CreateServiceParams) { p.FriendlyName = nil },
		"a code's name": func(p *sdk.CreateServiceParams) { p.SetFriendlyName("code 12345") },
		"a long name":   func(p *sdk.CreateServiceParams) { p.SetFriendlyName(strings.Repeat("x", 33)) },
		"short codes":   func(p *sdk.CreateServiceParams) { p.SetCodeLength(6) },
		"long codes":    func(p *sdk.CreateServiceParams) { p.SetCodeLength(11) },
		"lookups":       func(p *sdk.CreateServiceParams) { p.SetLookupEnabled(true) },
		"push":          func(p *sdk.CreateServiceParams) { p.SetPushApnCredentialSid("CR1") },
	} {
		p := &sdk.CreateServiceParams{}
		p.SetFriendlyName("shop")
		bad(p)
		_, err := api.CreateService(p)
		wantCode(t, what, err, 400, 60200)
	}
	rival := w.twilio("rival", w.key("rival"))
	_, err = rival.FetchService(va)
	wantCode(t, "another app's service", err, 404, 20404)
	_, err = rival.UpdateService(va, p)
	wantCode(t, "another app's service", err, 404, 20404)
	_, err = rival.CreateVerification(va, start(person))
	wantCode(t, "another app's service", err, 404, 20404)
	wantCode(t, "a service cannot be deleted", api.DeleteService(va), 405, 20004)
}

func TestSDKAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	va := access.DefaultServiceSID(app)
	if _, err := w.twilio(app, w.token).CreateVerification(va, start(person)); err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func() (*sdk.VerifyV2Verification, error){
		"a wrong token": func() (*sdk.VerifyV2Verification, error) {
			return w.twilio(app, secret.New("x"+w.token.Reveal()[1:])).FetchVerification(va, person)
		},
		"another app's token": func() (*sdk.VerifyV2Verification, error) {
			return w.twilio(app, w.key("rival")).FetchVerification(va, person)
		},
		"another app's name": func() (*sdk.VerifyV2Verification, error) {
			return w.twilio("rival", w.token).FetchVerification(va, person)
		},
		"a token that is none": func() (*sdk.VerifyV2Verification, error) {
			return w.twilio(app, secret.New("abc")).FetchVerification(va, person)
		},
	} {
		_, err := call()
		wantCode(t, what, err, 401, 20003)
	}
	// Keys that were made for the JSON API do not open this one.
	for _, scopes := range [][]access.Scope{{access.ScopeRead}, {access.ScopeMessages}, {access.ScopeVerify}, access.DefaultScopes()} {
		api := w.twilio(app, w.key(app, scopes...))
		_, err := api.CreateVerification(va, start(person))
		wantCode(t, fmt.Sprint("start with ", scopes), err, 403, 20003)
		_, err = api.FetchVerification(va, person)
		wantCode(t, fmt.Sprint("fetch with ", scopes), err, 403, 20003)
	}
}
