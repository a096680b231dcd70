package twilio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

const (
	cfgAccount  = "AC0123456789abcdef0123456789ABCDEF"
	cfgToken    = "0123456789abcdef0123456789abcdef"
	cfgService  = "MG0123456789abcdef0123456789abcdef"
	cfgTemplate = `[{"usageType": "Generic", "content": "Your code is {{code}}."}]`
)

// withFields is a good config with more members.
func withFields(more string) string {
	return fmt.Sprintf(`{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "templates": %s%s}`,
		cfgAccount, cfgToken, cfgService, cfgTemplate, more)
}

// The example that Twilio guides print for this connector: with its empty
// strings every empty field is named at once, filled in it is good.
const guideExample = `{ "accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "templates": [
	{ "content": %q, "usageType": "Register" }, { "content": %q, "usageType": "SignIn" }, { "content": %q, "usageType": "Test" } ] }`

func TestGuideExample(t *testing.T) {
	t.Parallel()
	_, _, err := twilio.ReadConfig(fmt.Appendf(nil, guideExample, "", "", "", "", "", ""))
	want := []string{
		"/accountSID is empty", "/authToken is empty", "/fromMessagingServiceSID is empty",
		"/templates/0/content is empty", "/templates/1/content is empty", "/templates/2/content is empty",
	}
	if diff := cmp.Diff(want, faultLines(t, err)); diff != "" {
		t.Errorf("as printed: %s", diff)
	}
	c, warnings, err := twilio.ReadConfig(fmt.Appendf(nil, guideExample, cfgAccount, cfgToken, cfgService,
		"Your sign-up code is {{code}}.", "Your sign-in code is {{code}}.", "A test: {{code}}."))
	if err != nil || c.Validate() != nil {
		t.Fatalf("filled in: %v, %v", err, c.Validate())
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "template not found") {
		t.Errorf("filled in: %v; want one warning, of the usage types without template", warnings)
	}
}

func TestReadConfigTakesEveryField(t *testing.T) {
	t.Parallel()
	got, warnings, err := twilio.ReadConfig(fmt.Appendf(nil, `{
		"accountSID": %q, "authToken": %q, "authTokenSecondary": "22222222222222222222222222222222",
		"apiKeySID": "SK0123456789abcdef0123456789abcdef", "apiKeySecret": "s3cret",
		"from": "+15005550006", "baseURL": "https://api.dublin.ie1.twilio.com/", "validityPeriod": 600,
		"smartEncoded": true, "disableRiskCheck": true, "templates": %s}`, cfgAccount, cfgToken, cfgTemplate))
	if err != nil {
		t.Fatal(err)
	}
	want := twilio.Config{
		AccountSID: cfgAccount, AuthToken: secret.New(cfgToken), AuthTokenSecondary: secret.New("22222222222222222222222222222222"),
		APIKeySID: "SK0123456789abcdef0123456789abcdef", APIKeySecret: secret.New("s3cret"),
		From: "+15005550006", BaseURL: "https://api.dublin.ie1.twilio.com/", Validity: 10 * time.Minute,
		SmartEncoded: true, DisableRiskCheck: true,
		Templates: []sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || warnings[0].Path != "/disableRiskCheck" {
		t.Errorf("warnings: %v", warnings)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("Validate refuses what ReadConfig took: %v", err)
	}
}

func TestReadConfigFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, file string
		want       []string
	}{
		{"nothing", `{}`, []string{"/accountSID is missing", "/authToken is missing", "/fromMessagingServiceSID is missing", "/templates is missing"}},
		{"not JSON", `{`, []string{` is not valid JSON at line 1, column 2: found the end of the file, expected more`}},
		{"no object", `[]`, []string{" holds an array, not an object"}},
		{"two senders", withFields(`, "from": "+15005550006"`), []string{"/from stands beside fromMessagingServiceSID"}},
		{"half a key", withFields(`, "apiKeySID": "SK0123456789abcdef0123456789abcdef"`), []string{"/apiKeySecret is missing beside apiKeySID"}},
		{"the other half", withFields(`, "apiKeySecret": "x"`), []string{"/apiKeySID is missing beside apiKeySecret"}},
		{"a wrong half has one fault", withFields(`, "apiKeySID": "SK1", "apiKeySecret": "x"`), []string{"/apiKeySID is not SK and 32 hexadecimal digits"}},
		{"SIDs", strings.NewReplacer(cfgAccount, cfgAccount+"/../x", cfgService, cfgAccount).Replace(withFields("")), []string{
			"/accountSID is not AC and 32 hexadecimal digits", "/fromMessagingServiceSID is not MG and 32 hexadecimal digits",
		}},
		{"a token with a line break", strings.Replace(withFields(""), cfgToken, cfgToken+`\n`, 1), []string{"/authToken holds a space or a line break"}},
		{"validity", withFields(`, "validityPeriod": 36001`), []string{"/validityPeriod is not a whole number from 1 to 36000"}},
	}
	for _, from := range []string{"12", "+0123456789", "A sender of 14", "Acme!", "whatsapp:+15005550006", " Acme", "+99999999999"} {
		file := strings.Replace(withFields(""), `"fromMessagingServiceSID": "`+cfgService+`"`, fmt.Sprintf(`"from": %q`, from), 1)
		want := "/from is not an E.164 number, a short code or a sender ID of up to 11 letters and digits"
		switch from {
		case "A sender of 14":
			want = "/from is an alphanumeric sender ID of 14 characters"
		case " Acme":
			want = "/from begins or ends with a blank"
		case "+99999999999":
			want = "/from is no phone number of any country"
		}
		cases = append(cases, struct {
			name, file string
			want       []string
		}{"from " + from, file, []string{want}})
	}
	for url, message := range map[string]string{
		"http://api.twilio.com":           "would send the auth token unencrypted",
		"http://127.0.0.1.example.com":    "would send the auth token unencrypted",
		"http://10.0.0.1":                 "would send the auth token unencrypted",
		"ftp://api.twilio.com":            "does not start with https://",
		"api.twilio.com":                  "does not start with https://",
		"https://":                        "names no host",
		"https://:443":                    "names no host",
		"https://api.twilio.com:99999":    "has a port that is not between 1 and 65535",
		"http://127.0.0.1:0":              "has a port that is not between 1 and 65535",
		"https://user:pw@api.twilio.com":  "holds more than scheme and host",
		"https://api.twilio.com?x=1":      "holds more than scheme and host",
		"https://api.twilio.com#":         "holds more than scheme and host",
		"https://api.twilio.com/2010":     "holds a path",
		"https://api.twilio.com:port":     "is not a URL",
		"https://api.twilio.com\\u0000":   "is not a URL",
		"http://localhost.example.com:80": "would send the auth token unencrypted",
	} {
		cases = append(cases, struct {
			name, file string
			want       []string
		}{"baseURL " + url, withFields(`, "baseURL": "` + url + `"`), []string{"/baseURL " + message}})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := twilio.ReadConfig([]byte(c.file))
			if diff := cmp.Diff(c.want, faultLines(t, err), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBaseURLsThatAreGood(t *testing.T) {
	t.Parallel()
	for url, warned := range map[string]bool{
		"https://api.twilio.com": false, "https://api.sydney.au1.twilio.com": false, "http://localhost:8010": false,
		"http://127.0.0.2:1/": false, "http://[::1]:8010": false, "https://nottwilio.com": true, "https://twilio.com.example.org": true,
	} {
		_, warnings, err := twilio.ReadConfig([]byte(withFields(`, "baseURL": "` + url + `"`)))
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if got := len(warnings) == 1 && warnings[0].Path == "/baseURL"; got != warned {
			t.Errorf("%s: warnings %v, want one: %v", url, warnings, warned)
		}
	}
}

func TestConfigWarnings(t *testing.T) {
	t.Parallel()
	file := strings.NewReplacer(cfgToken, "short", `"fromMessagingServiceSID": "`+cfgService+`"`, `"from": "Acme"`).Replace(withFields(""))
	_, warnings, err := twilio.ReadConfig([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, w := range warnings {
		paths = append(paths, w.Path)
	}
	if diff := cmp.Diff([]string{"/authToken", "/from"}, paths); diff != "" {
		t.Error(diff)
	}
}

func TestValidateChecksWhatGoCodeMade(t *testing.T) {
	t.Parallel()
	c := twilio.Config{
		AccountSID: "AC1", APIKeySID: "SK1", MessagingServiceSID: cfgService, From: "+15005550006",
		BaseURL: "http://example.com", Validity: time.Millisecond,
		Templates: []sms.Template{{Usage: "Nope", Content: "x"}},
	}
	got := map[string]bool{}
	var e *connector.ConfigError
	if err := c.Validate(); !errors.As(err, &e) {
		t.Fatalf("Validate: %v", err)
	}
	for _, f := range e.Faults {
		got[f.Path] = true
	}
	for _, path := range []string{"/accountSID", "/authToken", "/apiKeySID", "/apiKeySecret", "/from", "/baseURL", "/validityPeriod", "/templates"} {
		if !got[path] {
			t.Errorf("no fault at %s: %v", path, e)
		}
	}
}

// No fault, warning or print of a Config shows a credential.
func TestConfigShowsNoCredential(t *testing.T) {
	t.Parallel()
	const token, key = "t0kent0kent0kent0kent0kent0kent0", "k3yk3yk3y"
	file := strings.Replace(withFields(`, "apiKeySID": "SK1", "apiKeySecret": "`+key+`", "authTokenSecondary": "`+token+`"`), cfgToken, token, 1)
	c, warnings, err := twilio.ReadConfig([]byte(file))
	shown := fmt.Sprintf("%v %+v %#v %v %v %+v", c, c, c, warnings, err, struct{ c twilio.Config }{c})
	for _, secret := range []string{token, key} {
		if strings.Contains(shown, secret) {
			t.Errorf("a credential is shown: %s", shown)
		}
	}
}

func faultLines(t *testing.T, err error) []string {
	t.Helper()
	var e *connector.ConfigError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *connector.ConfigError", err)
	}
	var lines []string
	for _, f := range e.Faults {
		lines = append(lines, f.Path+" "+f.Message)
	}
	return lines
}
