package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
)

// form makes a call of Twilio Verify's API with the world's key.
func (w *world) form(method, path string, pairs ...string) (int, map[string]any) {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.svc.URL()+path, strings.NewReader(values.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(access.AccountSID("shop"), access.Token(secret.New(w.key)).Reveal())
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Error(err)
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	var v map[string]any
	if err != nil || json.Unmarshal(text, &v) != nil {
		w.t.Errorf("%s %s: %d %v, no JSON", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, v
}

// newTwilioWorld is a world whose key opens Twilio Verify's API. Its former key, for
// the JSON API, does not.
func newTwilioWorld(t *testing.T, open *app.TwilioVerifyConfig) *world {
	t.Helper()
	var config app.Config
	w := newWorld(t, func(c *app.Config) {
		c.TwilioVerify = open
		config = *c
	})
	if status, v := w.form("GET", "/v2/Services"); status != http.StatusForbidden || v["code"] != 20003.0 {
		t.Errorf("a key for the JSON API: %d %v", status, v)
	}
	_, key, err := app.CreateKey(t.Context(), config, app.KeySpec{Name: "verify", App: "shop", Scopes: []string{"twilio"}})
	if err != nil {
		t.Fatal(err)
	}
	w.key = key.Reveal()
	if status, _ := w.raw("POST", w.svc.URL()+"/v1/verifications", `{"to":"`+person+`","client_ip":"203.0.113.7"}`); status != http.StatusForbidden {
		t.Errorf("the key for Twilio Verify at the JSON API: %d", status)
	}
	return w
}

func TestTwilioVerify(t *testing.T) {
	t.Parallel()
	w := newTwilioWorld(t, &app.TwilioVerifyConfig{UsageType: "SignIn", RateLimits: map[string]app.LimitConfig{"user": {Burst: 1}}})
	va := "/v2/Services/" + access.DefaultServiceSID("shop")
	status, v := w.form("POST", va+"/Verifications", "To", person, "Channel", "sms", "RateLimits", `{"user":"anna"}`)
	if status != http.StatusCreated || v["status"] != "pending" || !strings.HasPrefix(v["url"].(string), w.front.URL+va) {
		t.Fatalf("start: %d %v", status, v)
	}
	if status, v := w.form("POST", va+"/Verifications", "To", person, "Channel", "sms", "RateLimits", `{"user":"anna"}`); status != 429 || v["code"] != 20429.0 {
		t.Errorf("the rate limit: %d %v", status, v)
	}
	if status, v := w.form("POST", va+"/VerificationCheck", "To", person, "Code", w.code(person)); status != 200 || v["valid"] != true {
		t.Errorf("check: %d %v", status, v)
	}
	// What was made is kept, and the attempts are counted.
	status, made := w.form("POST", "/v2/Services", "FriendlyName", "Corner shop")
	if status != http.StatusCreated {
		t.Fatalf("create a service: %d %v", status, made)
	}
	if status, v := w.form("GET", "/v2/Services/"+made["sid"].(string)); status != 200 || v["friendly_name"] != "Corner shop" {
		t.Errorf("fetch it: %d %v", status, v)
	}
	if status, v := w.form("GET", "/v2/Attempts/Summary"); status != 200 || v["total_attempts"] != 1.0 || v["total_converted"] != 1.0 {
		t.Errorf("summary: %d %v", status, v)
	}
	// The JSON API has the same verification.
	if code := w.code(person); strings.Contains(w.logs.String(), code) || strings.Contains(w.logs.String(), person) {
		t.Error("the log has the code or the number")
	}
}

// While the provider takes its time the answer is nobody's; it comes all the same.
func TestTwilioVerifySlowProvider(t *testing.T) {
	t.Parallel()
	w := newTwilioWorld(t, &app.TwilioVerifyConfig{})
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if isCreate(r) {
			select {
			case <-time.After(1500 * time.Millisecond): // longer than a call waits by itself
			case <-r.Context().Done():
			}
		}
		sim.ServeHTTP(rw, r)
	})
	va := "/v2/Services/" + access.DefaultServiceSID("shop")
	if status, v := w.form("POST", va+"/Verifications", "To", person, "Channel", "sms"); status != http.StatusCreated || v["status"] != "pending" {
		t.Errorf("start: %d %v", status, v)
	}
	if status, v := w.form("POST", va+"/VerificationCheck", "To", person, "Code", w.code(person)); status != 200 || v["valid"] != true {
		t.Errorf("check: %d %v", status, v)
	}
}

func TestTwilioVerifyIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if status, v := w.form("GET", "/v2/Services"); status != http.StatusNotFound || v["code"] != "no_such_path" {
		t.Errorf("without the config: %d %v", status, v)
	}
}

func TestTwilioVerifyConfig(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*app.TwilioVerifyConfig){
		"no usage type":          func(c *app.TwilioVerifyConfig) { c.UsageType = "Signin" },
		"write 1 to 40 letters":  func(c *app.TwilioVerifyConfig) { c.RateLimits = map[string]app.LimitConfig{"a b": {Burst: 1}} },
		"burst: write 1 or more": func(c *app.TwilioVerifyConfig) { c.RateLimits = map[string]app.LimitConfig{"a": {Every: time.Second}} },
		"is not between 1µs and 24": func(c *app.TwilioVerifyConfig) {
			c.RateLimits = map[string]app.LimitConfig{"a": {Burst: 1, Every: 48 * time.Hour}}
		},
	} {
		c := app.DefaultConfig()
		c.Countries, c.Connector = []string{"US"}, "twilio.json"
		c.TwilioVerify = &app.TwilioVerifyConfig{}
		if _, err := c.Policy(time.Now()); err != nil {
			t.Fatal(err)
		}
		change(c.TwilioVerify)
		if _, err := c.Policy(time.Now()); err == nil || strings.Count(err.Error(), "twilio_verify.") != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
