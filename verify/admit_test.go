package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

func TestAdmission(t *testing.T) {
	t.Parallel()
	to := func(e164 string) func(*StartRequest) {
		return func(r *StartRequest) { r.To = number(t, e164) }
	}
	many := map[string]string{}
	for i := range maxMetadata + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, tc := range map[string]struct {
		edit  func(*StartRequest)
		field string
		code  string // "" is admitted
	}{
		"a mobile number":            {to("+4915112345678"), "", ""},
		"fixed or mobile":            {to("+14155552671"), "", ""},
		"no number":                  {func(r *StartRequest) { r.To = phone.Number{} }, "to", "number_invalid"},
		"another country":            {to("+447400123456"), "to", "country_not_allowed"},
		"the country's neighbour":    {to("+16135550123"), "to", "country_not_allowed"},
		"no country":                 {to("+881612345678"), "to", "country_not_allowed"},
		"a fixed line":               {to("+493012345678"), "to", "use_call"},
		"toll-free":                  {to("+18005550100"), "to", "number_kind"},
		"premium":                    {to("+19005550100"), "to", "number_kind"},
		"unknown usage":              {func(r *StartRequest) { r.Usage = "signin" }, "usage_type", "usage_type_unknown"},
		"no usage":                   {func(r *StartRequest) { r.Usage = "" }, "usage_type", "usage_type_unknown"},
		"another channel":            {func(r *StartRequest) { r.Channel = "call" }, "channel", "channel_unsupported"},
		"the channel by name":        {func(r *StartRequest) { r.Channel = ChannelSMS }, "", ""},
		"no client address":          {func(r *StartRequest) { r.ClientIP = netip.Addr{} }, "client_ip", "client_ip_required"},
		"a back end's start":         {func(r *StartRequest) { r.App, r.ClientIP = "backend", netip.Addr{} }, "", ""},
		"an address with a zone":     {func(r *StartRequest) { r.ClientIP = netip.MustParseAddr("fe80::1%eth0") }, "", ""},
		"an allowed domain":          {func(r *StartRequest) { r.App, r.Domain = "backend", "EXAMPLE.com" }, "", ""},
		"another app's domain":       {func(r *StartRequest) { r.Domain = "example.com" }, "domain", "domain_not_allowed"},
		"a subdomain":                {func(r *StartRequest) { r.App, r.Domain = "backend", "a.example.com" }, "domain", "domain_not_allowed"},
		"a locale":                   {func(r *StartRequest) { r.Locale = "de-CH" }, "", ""},
		"a locale nobody knows":      {func(r *StartRequest) { r.Locale = "xx-YY" }, "", ""},
		"no locale at all":           {func(r *StartRequest) { r.Locale = "not a locale" }, "locale", "locale_invalid"},
		"a locale without an end":    {func(r *StartRequest) { r.Locale = strings.Repeat("en-", 100) }, "locale", "locale_invalid"},
		"a longer code":              {func(r *StartRequest) { r.CodeLength = 10 }, "", ""},
		"too long a code":            {func(r *StartRequest) { r.CodeLength = 11 }, "code_length", "code_length"},
		"a code below the policy's":  {func(r *StartRequest) { r.CodeLength = 5 }, "code_length", "code_length"},
		"a negative code":            {func(r *StartRequest) { r.CodeLength = -1 }, "code_length", "code_length"},
		"a session":                  {func(r *StartRequest) { r.Session = strings.Repeat("s", maxSession) }, "", ""},
		"too long a session":         {func(r *StartRequest) { r.Session = strings.Repeat("s", maxSession+1) }, "session", "session_invalid"},
		"metadata":                   {func(r *StartRequest) { r.Metadata = map[string]string{"a": "b"} }, "", ""},
		"too much metadata":          {func(r *StartRequest) { r.Metadata = many }, "metadata", "metadata_invalid"},
		"metadata with a long name":  {func(r *StartRequest) { r.Metadata = map[string]string{strings.Repeat("a", 41): ""} }, "metadata", "metadata_invalid"},
		"metadata with a long value": {func(r *StartRequest) { r.Metadata = map[string]string{"a": strings.Repeat("a", 257)} }, "metadata", "metadata_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(o *Options) {
				o.Policy.Apps = map[string]AppPolicy{"backend": {NoClientIP: true, Domains: []string{"example.com"}}}
			})
			r := request(t)
			tc.edit(&r)
			_, err := b.Start(t.Context(), r)
			var invalid *InvalidError
			switch {
			case tc.code == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tc.code != "" && (!errors.As(err, &invalid) || invalid.Code != tc.code || invalid.Field != tc.field):
				t.Fatalf("got %+v, want %s %s", err, tc.field, tc.code)
			case tc.code != "" && (b.sender.count() != 0 || b.store.dump() != ""):
				t.Error("a request that was refused left a trace")
			}
		})
	}
}

func TestAdmissionOfAllCountries(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Policy.Countries, o.Policy.AllCountries = nil, true })
	for _, e164 := range []string{"+447400123456", "+881612345678"} {
		b.start(func(r *StartRequest) { r.To = number(t, e164) })
	}
	if !b.counts.has("started shop SignIn +881") {
		t.Errorf("a number of no country is not counted by its calling code: %q", b.counts.lines)
	}
}

func TestNoTemplate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := request(t)
	r.Usage = sms.UsageForgotPassword // and there is no Generic one
	if _, err := b.Start(t.Context(), r); !errors.Is(err, ErrNoTemplate) {
		t.Fatalf("got %v, want ErrNoTemplate", err)
	}
	b = newBench(t, func(o *Options) {
		o.Connectors[0].Templates, _ = sms.NewCatalog([]sms.Template{{Usage: sms.UsageSignIn, Content: "Welcome back!"}})
	})
	if _, err := b.Start(t.Context(), request(t)); !errors.Is(err, ErrNoTemplate) {
		t.Fatalf("a text without a code: got %v, want ErrNoTemplate", err)
	}
}

func TestDomainThatTheTextCannotCarry(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{testApp: {Domains: []string{"example.com"}}}
		o.Connectors[0].Templates, _ = sms.NewCatalog([]sms.Template{{Usage: sms.UsageSignIn, Content: "Hi\n@other.org #{{code}}"}})
	})
	r := request(t)
	r.Domain = "example.com"
	var invalid *InvalidError
	if _, err := b.Start(t.Context(), r); !errors.As(err, &invalid) || invalid.Code != "domain_not_allowed" || b.store.dump() != "" {
		t.Errorf("got %v", err)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) {
		o.Policy.Apps = map[string]AppPolicy{testApp: {Domains: []string{"example.com"}}}
		o.CallbackURL = func(connectorName, sendID string) string { return "https://x/" + connectorName + "/" + sendID }
	})
	st := b.start(func(r *StartRequest) { r.Locale, r.Domain, r.CodeLength = "de-AT", "Example.com", 8 })
	m := b.sender.messages[0]
	code := b.sender.lastCode()
	if want := "Ihr Code lautet " + code + ".\n@example.com #" + code; m.Body.Reveal() != want || len(code) != 8 {
		t.Errorf("the text is %q, want %q", m.Body.Reveal(), want)
	}
	if !m.To.Equal(st.Verification.To) || m.Validity != b.policy.Life || m.WantFeedback {
		t.Errorf("the message is %+v", m)
	}
	send := st.Verification.Sends[0]
	if m.CallbackURL != "https://x/main/"+send.ID || send.ID != st.Verification.ID+".1" || send.Segments != 1 {
		t.Errorf("callback %s, send %+v", m.CallbackURL, send)
	}
	if !b.check(st.Verification.ID, code).Valid {
		t.Error("the code does not check")
	}
}

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(24 * time.Hour)
	good := DefaultPolicy()
	good.Countries = []string{"US", "XK", "AC"}
	if errs := good.Validate(); errs != nil {
		t.Fatalf("the default policy with countries: %v", errs)
	}
	for name, edit := range map[string]func(*Policy){
		"no countries":       func(p *Policy) { p.Countries = nil },
		"small letters":      func(p *Policy) { p.Countries = []string{"us"} },
		"not ISO's code":     func(p *Policy) { p.Countries = []string{"UK"} },
		"a word":             func(p *Policy) { p.Countries = []string{"USA"} },
		"code length":        func(p *Policy) { p.CodeLength = 5 },
		"life":               func(p *Policy) { p.Life = 2 * time.Hour },
		"checks":             func(p *Policy) { p.MaxChecks = 0 },
		"sends":              func(p *Policy) { p.MaxSends = 21 },
		"no waits":           func(p *Policy) { p.ResendWaits = nil },
		"a negative wait":    func(p *Policy) { p.FailureWaits = []time.Duration{-1} },
		"fresh below":        func(p *Policy) { p.FreshBelow = p.Life },
		"failures":           func(p *Policy) { p.FailuresFree = -1 },
		"send timeout":       func(p *Policy) { p.SendTimeout = 0 },
		"limits of one name": func(p *Policy) { p.Limits.IP.Name = p.Limits.Number.Name },
		"a reserved name":    func(p *Policy) { p.Limits.IP.Name = LimitFailures },
		"a nameless limit":   func(p *Policy) { p.Limits.IP.Name = "" },
		"a negative burst":   func(p *Policy) { p.Limits.IP.Burst = -1 },
		"a vast burst":       func(p *Policy) { p.Limits.All.Burst = 1 << 40 },
		"a tiny period":      func(p *Policy) { p.Limits.IP.Every = 1 },
		"a domain":           func(p *Policy) { p.Apps = map[string]AppPolicy{"a": {Domains: []string{"https://x"}}} },
		"a test number twice": func(p *Policy) {
			n := TestNumber{number(t, testNumber), "123456", until}
			p.Apps = map[string]AppPolicy{"a": {TestNumbers: []TestNumber{n, n}}}
		},
		"a test code": func(p *Policy) {
			p.Apps = map[string]AppPolicy{"a": {TestNumbers: []TestNumber{{number(t, testNumber), "12345a", until}}}}
		},
		"a test number for ever": func(p *Policy) {
			p.Apps = map[string]AppPolicy{"a": {TestNumbers: []TestNumber{{Number: number(t, testNumber), Code: "123456"}}}}
		},
	} {
		p := good
		edit(&p)
		if errs := p.Validate(); len(errs) != 1 {
			t.Errorf("%s: got %d faults (%v), want 1", name, len(errs), errs)
		}
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	p.Countries = []string{"US"}
	p.Apps = map[string]AppPolicy{"a": {TestNumbers: []TestNumber{{number(t, testNumber), "123456", time.Now().Add(91 * 24 * time.Hour)}}}}
	_, err := New(Options{Policy: p, Connectors: []Connector{{}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"store", "sender", "name", "templates", "keyring", "90 days"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
