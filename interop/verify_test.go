package interop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// office is a whole service, with the simulated Twilio behind it and Twilio's SDK
// for Node.js before it.
type office struct {
	*referee
	sim     *twiliosim.Server
	url     string
	account string
	token   string
	service string
}

// said is what the SDK made of an answer, with its own names.
type said struct {
	SID, ServiceSID, AccountSID string
	To, Channel, Status         string
	Valid                       bool
	FriendlyName                string           `json:"friendlyName"`
	CodeLength                  int              `json:"codeLength"`
	CustomCodeEnabled           bool             `json:"customCodeEnabled"`
	SendCodeAttempts            []map[string]any `json:"sendCodeAttempts"`
	DateCreated                 time.Time        `json:"dateCreated"`
	VerificationSID             string           `json:"verificationSid"`
	ConversionStatus            string           `json:"conversionStatus"`
	TotalAttempts               int              `json:"totalAttempts"`
	TotalConverted              int              `json:"totalConverted"`
	ConversionRate              string           `json:"conversionRatePercentage"`
	Failed                      *failed
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{referee: startReferee(t), sim: twiliosim.New(twiliosim.Options{Step: time.Millisecond})}
	simServer := httptest.NewServer(o.sim)
	dir := t.TempDir()
	connector := filepath.Join(dir, "twilio.json")
	text := fmt.Sprintf(`{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
		"templates": [{"usageType": "SignIn", "content": "Your {{friendly_name}} code is {{code}}."}]}`, simAccount, simToken, simService, simServer.URL)
	if err := os.WriteFile(connector, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := app.DefaultConfig()
	c.Listen, c.PrivateListen, c.Connector, c.Data = "127.0.0.1:0", "127.0.0.1:0", connector, filepath.Join(dir, "data")
	c.Countries, c.Code.Length, c.TwilioVerify = []string{"US"}, 10, &app.TwilioVerifyConfig{}
	c.Limits = map[string]app.LimitConfig{"app_number": {Burst: 50, Every: time.Second}}
	ctx, stop := context.WithCancel(context.Background())
	service, err := app.NewService(ctx, c, func(string) string { return "" }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		_ = o.sim.Close()
		simServer.Close()
	})
	_, key, err := app.CreateKey(t.Context(), c, app.KeySpec{Name: "shop", Scopes: []string{"twilio"}})
	if err != nil {
		t.Fatal(err)
	}
	o.url, o.account, o.token = service.URL(), access.AccountSID("shop"), access.Token(key).Reveal()
	made := o.call("verify.createService", map[string]any{"params": map[string]any{"friendlyName": "Corner shop", "customCodeEnabled": true}})
	if made.Failed != nil || made.FriendlyName != "Corner shop" || made.CodeLength != 10 || !made.CustomCodeEnabled || made.DateCreated.IsZero() {
		t.Fatalf("create a service: %+v", made)
	}
	o.service = made.SID
	return o
}

func (o *office) ask(op string, args map[string]any, answer any) {
	o.t.Helper()
	all := map[string]any{"baseURL": o.url, "accountSid": o.account, "authToken": o.token, "service": o.service}
	maps.Copy(all, args)
	o.referee.ask(op, all, answer)
}

func (o *office) call(op string, args map[string]any) (s said) {
	o.t.Helper()
	o.ask(op, args, &s)
	return s
}

func (o *office) params(op string, pairs ...any) said {
	o.t.Helper()
	params := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		params[pairs[i].(string)] = pairs[i+1]
	}
	return o.call(op, map[string]any{"params": params})
}

// code reads the newest code off the phone.
func (o *office) code() string {
	o.t.Helper()
	texts := o.sim.Messages(verifyPerson)
	if len(texts) == 0 {
		o.t.Fatal("no text arrived")
	}
	return regexp.MustCompile(`[0-9]{10}`).FindString(texts[0].Body)
}

func (o *office) refused(what string, s said, status, code int) {
	o.t.Helper()
	if s.Failed == nil || s.Failed.Status != status || s.Failed.Code != code || s.Failed.Message == "" {
		o.t.Errorf("%s: %+v, want %d and code %d", what, s.Failed, status, code)
	}
}

func otherCode(code string) string { return code[:9] + string('0'+(code[9]-'0'+1)%10) }

const verifyPerson = "+14155552671"

// TestNodeVerify has Twilio's SDK for Node.js run whole verifications against
// sixdigit.
func TestNodeVerify(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.params("verify.start", "to", verifyPerson, "channel", "sms")
	if v.Failed != nil || v.Status != "pending" || v.Valid || v.To != verifyPerson || v.ServiceSID != o.service || v.AccountSID != o.account || len(v.SendCodeAttempts) != 1 {
		t.Fatalf("start: %+v", v)
	}
	code := o.code()
	if c := o.params("verify.check", "to", verifyPerson, "code", otherCode(code)); c.Failed != nil || c.Valid || c.Status != "pending" {
		t.Errorf("a wrong code: %+v", c)
	}
	if again := o.params("verify.start", "to", verifyPerson, "channel", "sms"); again.SID != v.SID || len(again.SendCodeAttempts) != 2 || o.code() != code {
		t.Errorf("another text: %+v", again)
	}
	for _, sid := range []string{v.SID, verifyPerson} {
		if f := o.call("verify.fetch", map[string]any{"sid": sid}); f.SID != v.SID || f.Status != "pending" {
			t.Errorf("fetch: %+v", f)
		}
	}
	if c := o.params("verify.check", "verificationSid", v.SID, "code", code); !c.Valid || c.Status != "approved" {
		t.Errorf("the right code: %+v", c)
	}
	o.refused("the right code again", o.params("verify.check", "to", verifyPerson, "code", code), 404, 20404)
	o.refused("fetch what was approved", o.call("verify.fetch", map[string]any{"sid": v.SID}), 404, 20404)

	// Cancel, and a code of the caller's.
	v = o.params("verify.start", "to", verifyPerson, "channel", "sms", "customCode", "KATZE47110", "customFriendlyName", "Katzenladen")
	if text := o.sim.Messages(verifyPerson)[0].Body; text != "Your Katzenladen code is KATZE47110." {
		t.Errorf("the text is %q", text)
	}
	if u := o.call("verify.update", map[string]any{"sid": v.SID, "params": map[string]any{"status": "canceled"}}); u.Status != "canceled" {
		t.Errorf("cancel: %+v", u)
	}
	if f := o.call("verify.fetch", map[string]any{"sid": v.SID}); f.Status != "canceled" {
		t.Errorf("fetch what was canceled: %+v", f)
	}
	o.params("verify.start", "to", verifyPerson, "channel", "sms", "customCode", "KATZE47110")
	if c := o.params("verify.check", "to", verifyPerson, "code", "KATZE47110"); !c.Valid {
		t.Errorf("the caller's code: %+v", c)
	}
}

// TestNodeVerifyLimits has the SDK meet the sixth text and the sixth check.
func TestNodeVerifyLimits(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 5 {
		if v := o.params("verify.start", "to", verifyPerson, "channel", "sms"); v.Failed != nil {
			t.Fatalf("start: %+v", v.Failed)
		}
	}
	o.refused("the sixth text", o.params("verify.start", "to", verifyPerson, "channel", "sms"), 429, 60203)
	code := o.code()
	for range 5 {
		if c := o.params("verify.check", "to", verifyPerson, "code", otherCode(code)); c.Failed != nil || c.Status != "pending" {
			t.Fatalf("check: %+v", c)
		}
	}
	o.refused("the sixth check", o.params("verify.check", "to", verifyPerson, "code", code), 429, 60202)
	o.refused("no number", o.params("verify.start", "to", "12", "channel", "sms"), 400, 60200)
	o.refused("another channel", o.params("verify.start", "to", verifyPerson, "channel", "call"), 400, 60200)
	o.refused("a rate limit that is none", o.params("verify.start", "to", verifyPerson, "channel", "sms", "rateLimits", map[string]any{"x": "y"}), 400, 60200)
	o.refused("payments", o.params("verify.start", "to", verifyPerson, "channel", "sms", "amount", "1", "payee", "x"), 400, 60200)
	o.refused("another service", o.call("verify.fetch", map[string]any{"service": "VA00000000000000000000000000000000", "sid": "VE00000000000000000000000000000000"}), 404, 20404)
	o.refused("a wrong token", o.call("verify.fetchService", map[string]any{"authToken": "x"}), 401, 20003)
}

// TestNodeVerifyLists has the SDK walk through pages.
func TestNodeVerifyLists(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var want []string
	for i := range 3 {
		to := fmt.Sprintf("+1415555267%d", i)
		for range 2 {
			v := o.params("verify.start", "to", to, "channel", "sms")
			newest := v.SendCodeAttempts[len(v.SendCodeAttempts)-1]["attempt_sid"].(string)
			want = append([]string{newest}, want...)
		}
	}
	if c := o.params("verify.check", "to", verifyPerson, "code", o.code()); !c.Valid {
		t.Fatalf("check: %+v", c)
	}
	list := func(params map[string]any) (sids []string) {
		t.Helper()
		var all []said
		o.ask("verify.attempts", map[string]any{"params": params}, &all)
		for _, a := range all {
			sids = append(sids, a.SID)
		}
		return sids
	}
	for what, test := range map[string]struct {
		params map[string]any
		want   []string
	}{
		"in pages of 1":  {map[string]any{"pageSize": 1}, want},
		"in pages of 4":  {map[string]any{"pageSize": 4}, want},
		"the newest two": {map[string]any{"limit": 2}, want[:2]},
		"one number":     {map[string]any{"channelData.to": verifyPerson}, want[2:4]},
		"converted":      {map[string]any{"status": "converted"}, want[2:3]},
		"since tomorrow": {map[string]any{"dateCreatedAfter": time.Now().Add(24 * time.Hour)}, nil},
	} {
		if got := list(test.params); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
	if a := o.call("verify.attempt", map[string]any{"sid": want[2]}); a.SID != want[2] || a.ConversionStatus != "converted" || a.Channel != "sms" {
		t.Errorf("fetch: %+v", a)
	}
	if s := o.params("verify.summary"); s.TotalAttempts != 6 || s.TotalConverted != 1 || s.ConversionRate != "16.67" {
		t.Errorf("summary: %+v", s)
	}
	var services []said
	o.ask("verify.listServices", map[string]any{"params": map[string]any{"pageSize": 1}}, &services)
	if len(services) != 2 || services[1].SID != o.service {
		t.Errorf("services: %+v", services)
	}
	if s := o.call("verify.updateService", map[string]any{"params": map[string]any{"friendlyName": "Shop"}}); s.FriendlyName != "Shop" || !s.CustomCodeEnabled {
		t.Errorf("update: %+v", s)
	}
}
