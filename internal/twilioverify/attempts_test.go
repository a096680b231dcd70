package twilioverify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/twilio/twilio-go/rest/verify/v2"
)

// TestSDKAttempts has Twilio's Go SDK list, page, filter, fetch and summarize.
func TestSDKAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.twilio(app, w.token)
	va, other := w.service(api, false), w.service(api, false)
	rival := w.twilio("rival", w.key("rival"))
	began := time.Now().Add(-time.Second)
	var newest []string // attempts, as they should be listed
	send := func(va, to string, texts int) (sid string, attempts []string) {
		for range texts {
			v, err := api.CreateVerification(va, start(to))
			if err != nil {
				t.Fatal(err)
			}
			sid, attempts = *v.Sid, nil
			for _, a := range *v.SendCodeAttempts {
				attempts = append(attempts, a.(map[string]any)["attempt_sid"].(string))
			}
		}
		slices.Reverse(attempts)
		newest = append(slices.Clone(attempts), newest...)
		return sid, attempts
	}
	first, firstTexts := send(va, person, 3)
	if _, err := rival.CreateVerification(w.service(rival, false), start(person)); err != nil {
		t.Fatal(err)
	}
	send(va, otherPerson, 2)
	send(other, person, 1)
	if c, err := api.CreateVerificationCheck(va, checkTo(otherPerson, w.code(otherPerson))); err != nil || !*c.Valid {
		t.Fatal(err)
	}

	list := func(edit func(*sdk.ListVerificationAttemptParams)) (sids []string) {
		t.Helper()
		p := &sdk.ListVerificationAttemptParams{}
		edit(p)
		all, err := api.ListVerificationAttempt(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			sids = append(sids, *a.Sid)
		}
		return sids
	}
	for size := 1; size <= len(newest)+1; size++ {
		if got := list(func(p *sdk.ListVerificationAttemptParams) { p.SetPageSize(size) }); !slices.Equal(got, newest) {
			t.Errorf("in pages of %d: %q, want %q", size, got, newest)
		}
	}
	for what, test := range map[string]struct {
		edit func(*sdk.ListVerificationAttemptParams)
		want []string
	}{
		"the newest two":       {func(p *sdk.ListVerificationAttemptParams) { p.SetLimit(2) }, newest[:2]},
		"one verification":     {func(p *sdk.ListVerificationAttemptParams) { p.SetVerificationSid(first); p.SetPageSize(2) }, firstTexts},
		"one number":           {func(p *sdk.ListVerificationAttemptParams) { p.SetChannelDataTo(otherPerson) }, newest[1:3]},
		"one service":          {func(p *sdk.ListVerificationAttemptParams) { p.SetVerifyServiceSid(other) }, newest[:1]},
		"converted":            {func(p *sdk.ListVerificationAttemptParams) { p.SetStatus("converted") }, newest[1:2]},
		"unconverted":          {func(p *sdk.ListVerificationAttemptParams) { p.SetStatus("unconverted") }, append(newest[:1:1], newest[2:]...)},
		"one country":          {func(p *sdk.ListVerificationAttemptParams) { p.SetCountry("US") }, newest},
		"another country":      {func(p *sdk.ListVerificationAttemptParams) { p.SetCountry("DE") }, nil},
		"another channel":      {func(p *sdk.ListVerificationAttemptParams) { p.SetChannel("call") }, nil},
		"since it began":       {func(p *sdk.ListVerificationAttemptParams) { p.SetDateCreatedAfter(began) }, newest},
		"before that":          {func(p *sdk.ListVerificationAttemptParams) { p.SetDateCreatedBefore(began) }, nil},
		"from tomorrow on":     {func(p *sdk.ListVerificationAttemptParams) { p.SetDateCreatedAfter(began.Add(24 * time.Hour)) }, nil},
		"a verification of no": {func(p *sdk.ListVerificationAttemptParams) { p.SetVerificationSid("VE" + newest[0][2:]) }, nil},
	} {
		if got := list(test.edit); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
	for i, sid := range newest {
		a, err := api.FetchVerificationAttempt(sid)
		if err != nil || *a.Sid != sid || (*a.ConversionStatus == "converted") != (i == 1) || a.DateCreated.Before(began) {
			t.Errorf("fetch %d: %+v, %v", i, a, err)
		}
		_, err = rival.FetchVerificationAttempt(sid)
		wantCode(t, "another app's attempt", err, 404, 20404)
	}
	_, err := api.FetchVerificationAttempt("VL" + first[2:])
	wantCode(t, "no attempt", err, 404, 20404)

	s, err := api.FetchVerificationAttemptsSummary(&sdk.FetchVerificationAttemptsSummaryParams{})
	if err != nil || s.TotalAttempts != 6 || s.TotalConverted != 1 || s.TotalUnconverted != 5 || *s.ConversionRatePercentage != "16.67" {
		t.Errorf("summary: %+v, %v", s, err)
	}
	p := &sdk.FetchVerificationAttemptsSummaryParams{}
	p.SetDestinationPrefix(otherPerson[1:])
	if s, err = api.FetchVerificationAttemptsSummary(p); err != nil || s.TotalAttempts != 2 || *s.ConversionRatePercentage != "50.00" {
		t.Errorf("summary of a prefix: %+v, %v", s, err)
	}
	p.SetDestinationPrefix("44")
	if s, err = api.FetchVerificationAttemptsSummary(p); err != nil || s.TotalAttempts != 0 || *s.ConversionRatePercentage != "0.00" {
		t.Errorf("summary of nothing: %+v, %v", s, err)
	}
}

func TestSIDs(t *testing.T) {
	t.Parallel()
	const id = "ah0g2jv3n0000000000000001o"
	sid := verificationSID(id)
	if len(sid) != 34 || verificationID(sid) != id {
		t.Errorf("%s is %s and %s", id, sid, verificationID(sid))
	}
	seen := map[string]bool{sid[2:]: true}
	for n := 1; n <= attemptBits; n++ {
		a := attemptSID(fmt.Sprintf("%s.%d", id, n))
		from, to, ok := attemptRange(a)
		if !ok || from > id || to < id || seen[a[2:]] {
			t.Errorf("text %d is %s, from %s to %s", n, a, from, to)
		}
		seen[a[2:]] = true
	}
	for _, bad := range []string{"", "VE", sid[:33], sid + "0", "VL" + sid[2:], "VE" + sid[3:] + "g", person} {
		if got := verificationID(bad); got != "" {
			t.Errorf("%q is the verification %s", bad, got)
		}
	}
	for _, bad := range []string{"", id, id + ".0", id + ".32", id + ".x", "x.1"} {
		if got := attemptSID(bad); got != "" {
			t.Errorf("%q is the attempt %s", bad, got)
		}
	}
}

// A page that reads too many rows without filling up ends there and leads on; what
// it tells of the row where it ended is no other app's id.
func TestAttemptsOfABusyNeighbour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api, rival := w.twilio(app, w.token), w.twilio("rival", w.key("rival"))
	v, err := api.CreateVerification(w.service(api, false), start(person))
	if err != nil {
		t.Fatal(err)
	}
	other, err := rival.CreateVerification(w.service(rival, false), start(person))
	if err != nil {
		t.Fatal(err)
	}
	token := moment(verificationID(*other.Sid)) + "-1"
	if moment(verificationID(*other.Sid)) == verificationID(*other.Sid) || verificationID(*other.Sid)[:9] != token[:9] {
		t.Errorf("the token %s", token)
	}
	_, _, body := w.raw("GET", "/v2/Attempts?PageToken="+token, "", "")
	if !strings.Contains(body, *v.Sid) || strings.Contains(body, (*other.Sid)[2:]) {
		t.Errorf("the page behind another app's row: %s", body)
	}
}
