package twilio

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/connectorjson"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// Shapes of Twilio's identifiers, from its OpenAPI description. A SID goes into
// the path of the request, so nothing else may pass.
const (
	accountSIDPattern = `^AC[0-9a-fA-F]{32}$`
	serviceSIDPattern = `^MG[0-9a-fA-F]{32}$`
	keySIDPattern     = `^SK[0-9a-fA-F]{32}$`
	// Twilio's own SDKs refuse credentials with anything else in them.
	credentialPattern = `^[0-9A-Za-z]+$`
	// A number, a short code of 3 to 8 digits, or an alphanumeric sender ID: up
	// to 11 characters of which one is a letter.
	fromPattern = `^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[0-9A-Za-z ]*[A-Za-z][0-9A-Za-z ]*)$`

	maxAlphaSender     = 11
	maxValiditySeconds = 36000 // Twilio's limit
)

// Schema returns the JSON Schema of the connector JSON, for editors.
func Schema() ([]byte, error) { return spec().Schema() }

// spec describes the connector JSON.
//
//nolint:funlen // a table, one entry a field
func spec() connectorjson.Spec {
	const console = "in Twilio's console under Account, API keys & tokens"
	return connectorjson.Spec{
		Title: "sixdigit: Twilio SMS connector",
		Fields: []connectorjson.Field{
			{
				Name: "accountSID", Type: connectorjson.FieldString, Required: true,
				Doc:     "The Twilio account that sends.",
				Pattern: accountSIDPattern, Shape: "AC and 32 hexadecimal digits", Where: "it stands " + console,
			},
			{
				Name: "authToken", Type: connectorjson.FieldString, Required: true, Secret: true,
				Doc:     "The account's auth token. It also signs Twilio's callbacks.",
				Pattern: credentialPattern, Shape: "the token's letters and digits", Where: "it stands " + console,
			},
			{
				Name: "fromMessagingServiceSID", Type: connectorjson.FieldString,
				Doc:     "The Messaging Service that picks the sender.",
				Pattern: serviceSIDPattern, Shape: "MG and 32 hexadecimal digits", Where: `it is the Sid under Messaging, Services`,
			},
			{
				Name: "templates", Type: connectorjson.FieldTemplates, Required: true,
				Doc: "The texts, by what they are for and in which language.",
			},
			{
				Name: "disableRiskCheck", Type: connectorjson.FieldBool,
				Doc: "Skip Twilio's SMS pumping protection for these texts.",
			},
			{
				Name: "apiKeySID", Type: connectorjson.FieldString,
				Doc:     "An API key that sends in the auth token's place; the token still verifies callbacks.",
				Pattern: keySIDPattern, Shape: "SK and 32 hexadecimal digits", Where: "it stands " + console,
			},
			{
				Name: "apiKeySecret", Type: connectorjson.FieldString, Secret: true,
				Doc:     "The API key's secret.",
				Pattern: credentialPattern, Shape: "the secret's letters and digits", Where: "Twilio shows it once, when the key is made",
			},
			{
				Name: "authTokenSecondary", Type: connectorjson.FieldString, Secret: true,
				Doc:     "A second token with which callbacks may be signed, while tokens rotate.",
				Pattern: credentialPattern, Shape: "the token's letters and digits", Where: "it stands " + console,
			},
			{
				Name: "from", Type: connectorjson.FieldString,
				Doc:     "The sender in the service's place: an E.164 number, a short code or an alphanumeric sender ID of up to 11 characters.",
				Pattern: fromPattern, Shape: "an E.164 number, a short code or a sender ID of up to 11 letters and digits", Example: "+15005550006",
			},
			{
				Name: "baseURL", Type: connectorjson.FieldString,
				Doc:   "A regional Twilio host, or a simulator: https, or http to a loopback address.",
				Shape: "an https URL of a host alone, or http to a loopback address", Example: DefaultBaseURL,
			},
			{
				Name: "validityPeriod", Type: connectorjson.FieldInteger, Min: 1, Max: maxValiditySeconds,
				Doc: "For how many seconds Twilio may queue a text before it gives up; a code's text should not outlive the code.",
			},
			{
				Name: "smartEncoded", Type: connectorjson.FieldBool,
				Doc: "Let Twilio replace look-alike characters, such as curly quotes, so that a text stays in the cheaper encoding.",
			},
		},
		Rules: map[string]any{
			"oneOf":             []any{required("fromMessagingServiceSID"), required("from")},
			"dependentRequired": map[string]any{"apiKeySID": []string{"apiKeySecret"}, "apiKeySecret": []string{"apiKeySID"}},
		},
	}
}

func required(name string) map[string]any { return map[string]any{"required": []string{name}} }

// ReadConfig reads the connector JSON. Its error is a *connector.ConfigError
// that holds every fault; the Config then holds what was right. The warnings
// are about things that work.
func ReadConfig(data []byte) (Config, []connector.Warning, error) {
	v, faults, object := spec().Read(data)
	c := Config{
		AccountSID:          v.String("accountSID"),
		AuthToken:           secret.New(v.String("authToken")),
		AuthTokenSecondary:  secret.New(v.String("authTokenSecondary")),
		APIKeySID:           v.String("apiKeySID"),
		APIKeySecret:        secret.New(v.String("apiKeySecret")),
		MessagingServiceSID: v.String("fromMessagingServiceSID"),
		From:                v.String("from"),
		BaseURL:             v.String("baseURL"),
		Validity:            time.Duration(v.Int("validityPeriod")) * time.Second,
		SmartEncoded:        v.Bool("smartEncoded"),
		DisableRiskCheck:    v.Bool("disableRiskCheck"),
		Templates:           v.Templates(),
	}
	if object {
		faults = append(faults, across(v.Present)...)
		faults = append(faults, c.faults()...)
	}
	return c, c.warnings(), configError(faults)
}

func configError(faults []connector.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &connector.ConfigError{Faults: faults}
}

// across checks what concerns two fields, by which of them the file names: a
// field that is there and wrong has its own fault already.
func across(present func(field string) bool) []connector.Fault {
	var faults []connector.Fault
	switch service, from := present("fromMessagingServiceSID"), present("from"); {
	case !service && !from:
		faults = append(faults, connector.Fault{Path: "/fromMessagingServiceSID", Message: "is missing", Fix: "write the Sid of the Messaging Service: MG and 32 hexadecimal digits (or name a sender in from)"})
	case service && from:
		faults = append(faults, connector.Fault{Path: "/from", Message: "stands beside fromMessagingServiceSID", Fix: "keep one of the two: the service picks a sender itself"})
	}
	for _, pair := range [][2]string{{"apiKeySID", "apiKeySecret"}, {"apiKeySecret", "apiKeySID"}} {
		if present(pair[0]) && !present(pair[1]) {
			faults = append(faults, connector.Fault{Path: "/" + pair[1], Message: "is missing beside " + pair[0], Fix: "write both, or remove " + pair[0]})
		}
	}
	return faults
}

// faults checks the values that are there, beyond their patterns.
func (c Config) faults() []connector.Fault {
	var faults []connector.Fault
	if _, err := phone.Parse(c.From); strings.HasPrefix(c.From, "+") && err != nil {
		faults = append(faults, connector.Fault{Path: "/from", Message: "is no phone number of any country", Fix: "write the number that Twilio gave you, as +15005550006"})
	}
	if strings.TrimSpace(c.From) != c.From {
		faults = append(faults, connector.Fault{Path: "/from", Message: "begins or ends with a blank", Fix: "remove the blank"})
	}
	if len(c.From) > maxAlphaSender && !strings.HasPrefix(c.From, "+") {
		faults = append(faults, connector.Fault{Path: "/from", Message: fmt.Sprintf("is an alphanumeric sender ID of %d characters", len(c.From)), Fix: fmt.Sprintf("shorten it to %d: carriers carry no more", maxAlphaSender)})
	}
	if c.BaseURL != "" {
		if _, err := baseURL(c.BaseURL); err != nil {
			faults = append(faults, connector.Fault{Path: "/baseURL", Message: err.Error(), Fix: "write " + DefaultBaseURL + ", or http://127.0.0.1:PORT for a simulator"})
		}
	}
	return faults
}

// Validate checks a Config made in Go by the rules of the connector JSON. Its
// error is a *connector.ConfigError whose paths are the JSON's. Templates are
// not needed to send.
func (c Config) Validate() error {
	given := map[string]string{
		"accountSID": c.AccountSID, "authToken": c.AuthToken.Reveal(), "authTokenSecondary": c.AuthTokenSecondary.Reveal(),
		"apiKeySID": c.APIKeySID, "apiKeySecret": c.APIKeySecret.Reveal(),
		"fromMessagingServiceSID": c.MessagingServiceSID, "from": c.From, "baseURL": c.BaseURL,
	}
	var faults []connector.Fault
	for _, f := range spec().Fields {
		value, ok := given[f.Name]
		if !ok || value == "" && !f.Required {
			continue
		}
		if problem := f.CheckString(value); problem != "" {
			faults = append(faults, connector.Fault{Path: "/" + f.Name, Message: problem, Fix: f.Fix()})
		}
	}
	if c.Validity != 0 && (c.Validity < time.Second || c.Validity > maxValiditySeconds*time.Second) {
		faults = append(faults, connector.Fault{Path: "/validityPeriod", Message: "is not between 1 s and 10 h", Fix: "write 1 to 36000 seconds, or leave it out"})
	}
	if _, err := sms.NewCatalog(c.Templates); err != nil {
		faults = append(faults, connector.Fault{Path: "/templates", Message: err.Error(), Fix: "mend the templates"})
	}
	faults = append(faults, across(func(field string) bool { return given[field] != "" })...)
	return configError(append(faults, c.faults()...))
}

// baseURL checks and normalises the URL: the auth token travels there.
func baseURL(s string) (*url.URL, error) {
	if s == "" {
		s = DefaultBaseURL
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("does not start with https://")
	case u.Hostname() == "":
		return nil, fmt.Errorf("names no host")
	case !validPort(u.Port()):
		return nil, fmt.Errorf("has a port that is not between 1 and 65535")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return nil, fmt.Errorf("holds more than scheme and host")
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("holds a path")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("would send the auth token unencrypted")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535
}

// loopback reports whether the name can only mean this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return false
}

func (c Config) warnings() []connector.Warning {
	var warnings []connector.Warning
	const tokenLength = 32
	for _, token := range []struct {
		name  string
		value secret.String
	}{{"authToken", c.AuthToken}, {"authTokenSecondary", c.AuthTokenSecondary}} {
		if n := len(token.value.Reveal()); n != 0 && n != tokenLength {
			warnings = append(warnings, connector.Warning{Path: "/" + token.name, Message: fmt.Sprintf("has %d characters; Twilio's tokens have %d", n, tokenLength)})
		}
	}
	if strings.ContainsFunc(c.From, unicode.IsLetter) {
		warnings = append(warnings, connector.Warning{Path: "/from", Message: "an alphanumeric sender ID cannot text the United States or Canada, needs registration in many countries, and takes no STOP"})
	}
	if host := c.host(); host != "" && !loopback(host) && host != "twilio.com" && !strings.HasSuffix(host, ".twilio.com") {
		warnings = append(warnings, connector.Warning{Path: "/baseURL", Message: "is not a host of Twilio's: the auth token is sent there"})
	}
	if c.DisableRiskCheck {
		warnings = append(warnings, connector.Warning{Path: "/disableRiskCheck", Message: "switches Twilio's SMS pumping protection off: texts to fraudulent numbers are sent and billed"})
	}
	return append(warnings, connectorjson.Warnings(c.Templates, c.SmartEncoded)...)
}

func (c Config) host() string {
	u, err := baseURL(c.BaseURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
