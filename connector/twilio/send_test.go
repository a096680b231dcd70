package twilio

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// seen is a request as a server gets it.
type seen struct {
	Method, Path, Query string
	Header              http.Header
	Form                string
}

// recorder answers with status and body, and keeps the last request.
func recorder(t *testing.T, status int, body string) (string, *seen) {
	t.Helper()
	got := new(seen)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		*got = seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header, string(form)}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

// sendRequest is a send and the request that it makes.
type sendRequest struct {
	name   string
	config func(*Config)
	msg    func(*connector.Message)
	form   string
	user   string // "" is the API key
}

func TestSendRequest(t *testing.T) {
	t.Parallel()
	const start = "To=%2B14155550123&MessagingServiceSid=" + testService + "&Body=Your+code+is+8463921057."
	for _, tt := range []sendRequest{
		{name: "plain", form: start + "&RiskCheck=enable"},
		{
			name:   "auth token",
			config: func(c *Config) { c.APIKeySID, c.APIKeySecret = "", secret.String{} },
			form:   start + "&RiskCheck=enable",
			user:   testAccount + ":" + testToken,
		},
		{
			name:   "number",
			config: func(c *Config) { c.MessagingServiceSID, c.From = "", "+15005550006" },
			form:   "To=%2B14155550123&From=%2B15005550006&Body=Your+code+is+8463921057.&RiskCheck=enable",
		},
		{
			name:   "sender ID",
			config: func(c *Config) { c.MessagingServiceSID, c.From = "", "My Shop 1" },
			form:   "To=%2B14155550123&From=My+Shop+1&Body=Your+code+is+8463921057.&RiskCheck=enable",
		},
		{name: "no risk check", config: func(c *Config) { c.DisableRiskCheck = true }, form: start + "&RiskCheck=disable"},
		{
			name:   "all",
			config: func(c *Config) { c.SmartEncoded = true; c.Validity = time.Hour },
			msg: func(m *connector.Message) {
				m.CallbackURL, m.Validity, m.WantFeedback = "https://codes.example.com/cb/s_1.1?a=b&c#rc=2", 10*time.Minute+999*time.Millisecond, true
			},
			form: start + "&RiskCheck=enable&StatusCallback=https%3A%2F%2Fcodes.example.com%2Fcb%2Fs_1.1%3Fa%3Db%26c%23rc%3D2" +
				"&ValidityPeriod=600&SmartEncoded=true&ProvideFeedback=true",
		},
		{
			name: "callback without a fragment",
			msg:  func(m *connector.Message) { m.CallbackURL = "https://codes.example.com/cb/s_1.1?a=b" },
			form: start + "&RiskCheck=enable&StatusCallback=https%3A%2F%2Fcodes.example.com%2Fcb%2Fs_1.1%3Fa%3Db%23rc%3D3%26rp%3D5xx%2Cct%2Crt%26rt%3D4000",
		},
		{name: "config's validity", config: func(c *Config) { c.Validity = time.Hour }, form: start + "&RiskCheck=enable&ValidityPeriod=3600"},
		{
			name: "body",
			msg:  func(m *connector.Message) { m.Body = secret.New("Código: 1\n&x=%41+ 你好😀~-._*") },
			form: "To=%2B14155550123&MessagingServiceSid=" + testService +
				"&Body=C%C3%B3digo%3A+1%0A%26x%3D%2541%2B+%E4%BD%A0%E5%A5%BD%F0%9F%98%80~-._%2A&RiskCheck=enable",
		},
	} {
		t.Run(tt.name, tt.run)
	}
}

func (tt sendRequest) run(t *testing.T) {
	t.Parallel()
	baseURL, got := recorder(t, http.StatusCreated, messageJSON("accepted", "null"))
	cfg, msg := testConfig(baseURL), testMsg(t)
	if tt.config != nil {
		tt.config(&cfg)
	}
	if tt.msg != nil {
		tt.msg(&msg)
	}
	receipt, err := newTestClient(t, cfg, Options{}).Send(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(connector.Receipt{ProviderID: testMessage, Status: connector.StatusAccepted}, receipt); diff != "" {
		t.Error(diff)
	}
	user := tt.user
	if user == "" {
		user = testKey + ":" + testKeySecret
	}
	want := seen{
		Method: "POST", Path: "/2010-04-01/Accounts/" + testAccount + "/Messages.json", Form: tt.form,
		// And no Idempotency-Key, which net/http takes as leave to post again.
		Header: http.Header{
			"Accept":         {"application/json"},
			"Authorization":  {"Basic " + base64.StdEncoding.EncodeToString([]byte(user))},
			"Content-Length": {fmt.Sprint(len(tt.form))},
			"Content-Type":   {"application/x-www-form-urlencoded"},
			"User-Agent":     {"sixdigit"},
		},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// TestOverrides: a callback URL without a fragment gets one, and what Twilio
// signs stays what it was.
func TestOverrides(t *testing.T) {
	t.Parallel()
	if escape(overrides) != escapedOverrides {
		t.Errorf("the overrides are escaped as %s", escape(overrides))
	}
	c := newTestClient(t, testConfig(""), Options{})
	long := func(n int) string { return callbackURL + strings.Repeat("a", n-len(callbackURL)) }
	for given, want := range map[string]string{
		callbackURL:                                 callbackURL + overrides,
		callbackURL + "?a=b&c":                      callbackURL + "?a=b&c" + overrides,
		callbackURL + "#":                           callbackURL + "#",
		callbackURL + "#rc=0":                       callbackURL + "#rc=0",
		long(maxCallbackURL - len(overrides)):       long(maxCallbackURL-len(overrides)) + overrides,
		long(maxCallbackURL - len(overrides) + 1):   long(maxCallbackURL - len(overrides) + 1),
		long(maxCallbackURL):                        long(maxCallbackURL),
		long(maxCallbackURL-10) + "/cb#rp=5xx&rc=1": long(maxCallbackURL-10) + "/cb#rp=5xx&rc=1",
	} {
		m := testMsg(t)
		m.CallbackURL = given
		form, err := url.ParseQuery(string(c.form(m)))
		if got := form.Get("StatusCallback"); err != nil || got != want {
			t.Errorf("%d characters become %d, ending in %q: %v", len(given), len(got), got[max(0, len(got)-40):], err)
		}
		// Twilio signs the URL that it posts to; the reader has either.
		in := callback(testToken, want, callbackForm("sent", ""))
		for _, in.PublicURL = range []string{given, want} {
			if _, err := c.ParseStatus(in); err != nil {
				t.Errorf("a callback to %d characters: %v", len(in.PublicURL), err)
			}
		}
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config, message time.Duration
		want            int64
	}{
		{0, 0, 0},
		{time.Hour, 0, 3600},
		{time.Hour, time.Minute, 60},
		{0, time.Nanosecond, 1},
		{0, 1999 * time.Millisecond, 1},
		{0, 10 * time.Hour, 36000},
		{0, 10*time.Hour + time.Second, 36000},
		{0, 1 << 62, 36000},
	} {
		c := &Client{validity: tt.config}
		if got := c.validFor(connector.Message{Validity: tt.message}); got != tt.want {
			t.Errorf("config %v, message %v: %d s, want %d", tt.config, tt.message, got, tt.want)
		}
	}
}

// A code whose time is over is not sent.
func TestNoTimeLeft(t *testing.T) {
	t.Parallel()
	baseURL, got := recorder(t, http.StatusCreated, messageJSON("accepted", "null"))
	m := testMsg(t)
	m.Validity = -time.Nanosecond
	_, err := newTestClient(t, testConfig(baseURL), Options{}).Send(t.Context(), m)
	if e := asError(t, err); e.Outcome != notProcessed || e.Actions != 0 || got.Method != "" {
		t.Errorf("%v, %s; the server saw %q", err, e.Outcome, got.Method)
	}
}

// TestEscape holds the escaping to net/url's, for every byte and for chance.
func TestEscape(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		if s := string([]byte{byte(b)}); escape(s) != url.QueryEscape(s) {
			t.Errorf("byte %#x: %q, want %q", b, escape(s), url.QueryEscape(s))
		}
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		runes := make([]rune, r.IntN(50))
		for i := range runes {
			runes[i] = rune(r.IntN(0x11000))
		}
		if s := string(runes); escape(s) != url.QueryEscape(s) {
			t.Fatalf("seed %d: %q is escaped as %q", seed, s, escape(s))
		}
	}
}

func TestSendRefusesUnfitMessages(t *testing.T) {
	t.Parallel()
	baseURL, got := recorder(t, http.StatusCreated, messageJSON("accepted", "null"))
	c := newTestClient(t, testConfig(baseURL), Options{})
	for name, tt := range map[string]struct {
		to   phone.Number
		body string
		kind connector.Kind
	}{
		"no recipient":     {phone.Number{}, testBody, kindInvalidRecipient},
		"no body":          {testTo(t), "", kindSender},
		"not UTF-8":        {testTo(t), testBody + "\xff", kindSender},
		"1601 characters":  {testTo(t), testBody + strings.Repeat("é", 1601-len(testBody)), kindSender},
		"801 emoji (1602)": {testTo(t), strings.Repeat("😀", 801), kindSender},
	} {
		m := connector.Message{To: tt.to, Body: secret.New(tt.body)}
		_, err := c.Send(t.Context(), m)
		if e := asError(t, err); e.Kind != tt.kind || e.Outcome != connector.OutcomeNotProcessed || e.Actions.Has(actRetry) {
			t.Errorf("%s: %+v", name, e)
		}
		connectortest.NoSecrets(t, err, testSecrets...)
		if _, err := c.Find(t.Context(), m, time.Time{}); err == nil {
			t.Errorf("%s: Find takes it", name)
		}
	}
	if got.Method != "" {
		t.Error("a request was made")
	}
	m := testMsg(t)
	m.Body = secret.New(strings.Repeat("é", 1600))
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Errorf("1600 characters: %v", err)
	}
}

// TestReceipts reads answers of 2xx.
func TestReceipts(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	ok := func(s connector.Status) connector.Receipt {
		return connector.Receipt{ProviderID: testMessage, Status: s}
	}
	for word, want := range map[string]connector.Receipt{
		"accepted": ok(connector.StatusAccepted), "queued": ok(connector.StatusAccepted), "scheduled": ok(connector.StatusAccepted),
		"sending": ok(connector.StatusAccepted), "sent": ok(connector.StatusSent), "delivered": ok(connector.StatusDelivered),
		"receiving": {}, "received": {}, "partially_delivered": {}, "ACCEPTED": {}, "": {}, `accept\u0065d`: {},
	} {
		got, e := c.receipt(answer{status: 201, body: []byte(messageJSON(word, "null"))})
		if diff := cmp.Diff(want, got); diff != "" || (e == nil) != (want != connector.Receipt{}) {
			t.Errorf("%q: error %v, receipt (-want +got):\n%s", word, e, diff)
		}
		if e != nil && (e.Outcome != connector.OutcomeMaybe || e.Kind != kindTemporary) {
			t.Errorf("%q: %+v", word, e)
		}
	}
	for word, code := range map[string]int{"failed": 30001, "undelivered": 30005, "canceled": 0} {
		_, e := c.receipt(answer{status: 201, body: []byte(messageJSON(word, fmt.Sprint(code)))})
		if e == nil || e.Outcome != connector.OutcomeRefused || e.ProviderCode != codeString(code) || e.HTTPStatus != 201 {
			t.Errorf("%s: %+v", word, e)
		}
	}
	for name, body := range map[string]string{
		"another account":  strings.Replace(messageJSON("accepted", "null"), testAccount, "AC"+strings.Repeat("9", 32), 1),
		"a call's id":      strings.Replace(messageJSON("accepted", "null"), `"SM`, `"CA`, 1),
		"an id too short":  strings.Replace(messageJSON("accepted", "null"), testMessage, testMessage[:33], 1),
		"an id not hex":    strings.Replace(messageJSON("accepted", "null"), testMessage, testMessage[:33]+"g", 1),
		"a number as id":   `{"sid": 5, "account_sid": "` + testAccount + `", "status": "accepted"}`,
		"something behind": messageJSON("accepted", "null") + "x",
		"no end":           strings.TrimSuffix(messageJSON("accepted", "null"), "}"),
		"in an array":      "[" + messageJSON("accepted", "null") + "]",
		"an error":         errorJSON(21211, 400),
	} {
		if _, e := c.receipt(answer{status: 201, body: []byte(body)}); e == nil || e.Outcome != connector.OutcomeMaybe || e.ProviderCode != "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "007": 7 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999": time.Hour, "9223372036854775807": time.Hour,
		"-1": 0, "+5": 0, "1.5": 0, "1e3": 0, "soon": 0, "7 s": 0, "7, 8": 0, "٧": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT":  30 * time.Second,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute,
		"Fri Jan  2 03:05:05 2026":       time.Minute,
		"Fri, 02 Jan 2026 03:04:05 GMT":  0,
		"Thu, 01 Jan 1970 00:00:00 GMT":  0,
		"Sat, 03 Jan 2026 03:04:05 GMT":  time.Hour,
		"Fri, 32 Jan 2026 03:04:35 GMT":  0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("no header: %v", got)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	c, err := New(Config{AccountSID: "AC/../x", AuthToken: secret.New(testToken)}, Options{})
	var faults *connector.ConfigError
	if c != nil || !errors.As(err, &faults) {
		t.Errorf("a config with faults: client %v, error %v", c, err)
	}
	connectortest.NoSecrets(t, err, testToken)
	for _, opts := range []Options{{MaxConcurrent: -1}, {Timeout: -1}} {
		if c, err := New(testConfig(""), opts); c != nil || err == nil {
			t.Errorf("%+v: client %v, error %v", opts, c, err)
		}
	}
	c = newTestClient(t, testConfig(""), Options{})
	if got := c.messages.String(); got != "https://api.twilio.com/2010-04-01/Accounts/"+testAccount+"/Messages.json" {
		t.Errorf("the default URL is %s", got)
	}
	if cap(c.places) != DefaultMaxConcurrent || c.timeout != DefaultTimeout {
		t.Errorf("the defaults are %d and %v", cap(c.places), c.timeout)
	}
	connectortest.NoSecrets(t, c, append([]string{base64.StdEncoding.EncodeToString([]byte(testKey + ":" + testKeySecret))}, testSecrets...)...)
}

// TestCloseLeavesForeignTransports: what Options brought is its maker's.
func TestCloseLeavesForeignTransports(t *testing.T) {
	t.Parallel()
	rt := &closable{}
	newTestClient(t, testConfig(""), Options{Transport: rt}).Close()
	if rt.closed {
		t.Error("closed")
	}
}

type closable struct{ closed bool }

func (c *closable) RoundTrip(*http.Request) (*http.Response, error) { return nil, context.Canceled }
func (c *closable) CloseIdleConnections()                           { c.closed = true }
