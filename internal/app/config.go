package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// Config is the server's configuration: one YAML file, read strictly, with
// flags over it. DefaultConfig has what it leaves out.
type Config struct {
	Listen        string `yaml:"listen"`         // API and callbacks
	PrivateListen string `yaml:"private_listen"` // health and metrics
	PublicURL     string `yaml:"public_url"`     // where providers reach Listen; "" asks for no callbacks
	Data          string `yaml:"data"`           // folder of the embedded store and of the server key
	Store         Store  `yaml:"store"`          // a PostgreSQL database; "" is the embedded store

	// One of the two: Connector is one connector JSON, Connectors are several.
	Connector  string            `yaml:"connector,omitempty"`
	Connectors []ConnectorConfig `yaml:"connectors,omitempty"`

	Countries     []string `yaml:"countries"` // ISO 3166-1 alpha-2, or "all"
	RetentionDays int      `yaml:"retention_days"`
	MaxConcurrent int      `yaml:"max_concurrent"` // requests to a provider at once

	Code   CodeConfig             `yaml:"code"`
	Send   SendConfig             `yaml:"send"`
	Limits map[string]LimitConfig `yaml:"limits"`
	Apps   map[string]OneApp      `yaml:"apps"`
	Hooks  map[string]HookConfig  `yaml:"hooks,omitempty"` // auth servers, by name
	Log    LogConfig              `yaml:"log"`

	// TwilioVerify opens /v2, Twilio Verify's API; without it there is none.
	TwilioVerify *TwilioVerifyConfig `yaml:"twilio_verify,omitempty"`
}

// CodeConfig is about codes and their checks.
type CodeConfig struct {
	Length       int             `yaml:"length"`
	Life         time.Duration   `yaml:"life"`
	Checks       int             `yaml:"checks"`
	Sends        int             `yaml:"sends"`
	ResendWaits  []time.Duration `yaml:"resend_waits"`
	FailuresFree int             `yaml:"failures_free"`
	FailureWaits []time.Duration `yaml:"failure_waits"`
}

// SendConfig is about requests to the provider.
type SendConfig struct {
	Timeout   time.Duration `yaml:"timeout"`
	RetryRate int           `yaml:"retry_rate"` // texts a second to a connector in the background
	PollAfter time.Duration `yaml:"poll_after"` // 0 asks never
	Feedback  bool          `yaml:"feedback"`   // tells the provider which codes were used
}

// LimitConfig is a limit: burst at once, then one every period; without a
// period, burst a UTC day. A burst of 0 switches the limit off.
type LimitConfig struct {
	Burst int           `yaml:"burst"`
	Every time.Duration `yaml:"every"`
}

// OneApp is what one app has of its own.
type OneApp struct {
	ClientIP    string             `yaml:"client_ip"` // required (default) or none
	Domains     []string           `yaml:"domains"`
	TestNumbers []TestNumberConfig `yaml:"test_numbers"`
	Webhook     *WebhookConfig     `yaml:"webhook,omitempty"` // nil tells the app nothing
}

// TestNumberConfig is a number that gets a fixed code and no text.
type TestNumberConfig struct {
	Number string    `yaml:"number"`
	Code   string    `yaml:"code"`
	Until  time.Time `yaml:"until"`
}

// LogConfig is about the log on standard error.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text or json
}

// DefaultConfig is safe on the open internet, and starts once countries and a
// connector are named.
func DefaultConfig() Config {
	p := verify.DefaultPolicy()
	return Config{
		Listen:        "127.0.0.1:8080",
		PrivateListen: "127.0.0.1:8081",
		Data:          "sixdigit-data",
		RetentionDays: 30,
		MaxConcurrent: 50,
		Code: CodeConfig{
			Length: p.CodeLength, Life: p.Life, Checks: p.MaxChecks, Sends: p.MaxSends,
			ResendWaits: p.ResendWaits, FailuresFree: p.FailuresFree, FailureWaits: p.FailureWaits,
		},
		Send: SendConfig{Timeout: p.SendTimeout, RetryRate: p.RetryRate, PollAfter: p.PollAfter, Feedback: p.Feedback},
		Log:  LogConfig{Level: "info", Format: "text"},
	}
}

const maxConfigFile = 1 << 20

// ReadConfig reads a server config over the defaults. Its error lists every
// unknown key and wrong type, with lines.
func ReadConfig(path string) (Config, error) {
	c := DefaultConfig()
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return c, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile))
	if err != nil {
		return c, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if !errors.Is(dec.Decode(&struct{}{}), io.EOF) {
		return c, fmt.Errorf("%s: holds more than one YAML document; keep one", path)
	}
	// Paths in a config are relative to it, not to where the service was started.
	paths := []*string{&c.Data, &c.Connector}
	for i := range c.Connectors {
		paths = append(paths, &c.Connectors[i].File)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return c, nil
}

// AllCountries is the entry of countries that allows every country.
const AllCountries = "all"

// Policy turns the config into the domain's policy. Its error lists everything
// that is wrong, one fault a line.
func (c Config) Policy(now time.Time) (verify.Policy, error) {
	p := verify.DefaultPolicy()
	var errs []error
	wrong := false
	for _, name := range c.Countries {
		switch country, ok := parseCountry(name); {
		case strings.EqualFold(name, AllCountries):
			p.AllCountries = true
		case !ok:
			errs = append(errs, fmt.Errorf("countries: %q is not an ISO 3166-1 code such as US", name))
			wrong = true
		default:
			p.Countries = append(p.Countries, country)
		}
	}
	p.CodeLength, p.Life, p.MaxChecks, p.MaxSends = c.Code.Length, c.Code.Life, c.Code.Checks, c.Code.Sends
	p.ResendWaits, p.FailuresFree, p.FailureWaits = c.Code.ResendWaits, c.Code.FailuresFree, c.Code.FailureWaits
	p.SendTimeout, p.RetryRate, p.PollAfter, p.Feedback = c.Send.Timeout, c.Send.RetryRate, c.Send.PollAfter, c.Send.Feedback
	p.FreshBelow = min(p.FreshBelow, p.Life/2) // a short life leaves less to resend within
	errs = append(errs, c.limits(&p)...)
	p.Apps = map[string]verify.AppPolicy{}
	for name, a := range c.Apps {
		app, faults := a.policy(now)
		if !access.ValidApp(name) {
			faults = append(faults, errors.New("no key can belong to an app of this name: write lower-case letters, digits, - and _"))
		}
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("apps.%s: %w", name, f))
		}
		p.Apps[name] = app
	}
	errs = append(errs, c.hookFaults()...)
	checked := p
	if len(c.Countries) == 0 {
		errs = append(errs, errors.New("countries: no country is allowed yet; add the line\n    countries: [US, CA]\n  to the config, or --countries US,CA to the command (all allows every country)"))
	}
	if wrong || len(c.Countries) == 0 {
		checked.AllCountries = true // one fault is one line
	}
	errs = append(errs, checked.Validate()...)
	errs = append(errs, c.TwilioVerify.validate(&p)...)
	errs = append(errs, c.validateConnectors(p.Countries)...)
	errs = append(errs, c.validate()...)
	return p, errors.Join(errs...)
}

func (c Config) limits(p *verify.Policy) []error {
	var errs []error
	known := map[string]*verify.Limit{}
	var names []string
	for _, l := range p.Limits.Each() {
		known[l.Name] = l
		names = append(names, l.Name)
	}
	for name, l := range c.Limits {
		target := known[name]
		switch {
		case target == nil:
			errs = append(errs, fmt.Errorf("limits.%s: no such limit; the limits are %s", name, strings.Join(names, ", ")))
		case l.Burst < 0 || l.Every < 0:
			errs = append(errs, fmt.Errorf("limits.%s: burst and every cannot be negative", name))
		case (l.Every == 0) != (target.Every == 0) && l.Burst != 0:
			errs = append(errs, fmt.Errorf("limits.%s: a limit a day has no every, any other has one", name))
		default:
			target.Burst, target.Every = l.Burst, l.Every
		}
	}
	return errs
}

func (a OneApp) policy(now time.Time) (verify.AppPolicy, []error) {
	var errs []error
	p := verify.AppPolicy{NoClientIP: a.ClientIP == "none", Domains: a.Domains}
	p.Events, errs = a.Webhook.events()
	errs = append(errs, a.Webhook.validate()...)
	if !slices.Contains([]string{"", "required", "none"}, a.ClientIP) {
		errs = append(errs, errors.New("client_ip: write required or none"))
	}
	if len(a.TestNumbers) > verify.MaxTestNumbers {
		errs = append(errs, fmt.Errorf("test_numbers: %d are too many; %d are allowed", len(a.TestNumbers), verify.MaxTestNumbers))
	}
	for i, t := range a.TestNumbers {
		number, err := phone.Parse(t.Number)
		if err != nil {
			errs = append(errs, fmt.Errorf("test_numbers[%d].number: %w", i, err))
		}
		if !testCode(t.Code) {
			errs = append(errs, fmt.Errorf("test_numbers[%d].code: write %d to %d digits", i, verify.MinCodeLength, verify.MaxCodeLength))
		}
		if t.Until.IsZero() || t.Until.After(now.Add(verify.MaxTestDuration)) {
			errs = append(errs, fmt.Errorf("test_numbers[%d].until: write a date at most 90 days ahead", i))
		}
		p.TestNumbers = append(p.TestNumbers, verify.TestNumber{Number: number, Code: t.Code, Until: t.Until})
	}
	return p, errs
}

func testCode(s string) bool {
	return len(s) >= verify.MinCodeLength && len(s) <= verify.MaxCodeLength && strings.Trim(s, "0123456789") == ""
}

func (c Config) validate() []error {
	var errs []error
	for name, addr := range map[string]string{"listen": c.Listen, "private_listen": c.PrivateListen} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not an address such as 127.0.0.1:8080", name, addr))
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			errs = append(errs, errors.New("public_url: write a URL such as https://verify.example.com"))
		case strings.Contains(u.Host, "_"):
			// https://www.twilio.com/docs/messaging/api/message-resource, StatusCallback
			errs = append(errs, errors.New("public_url: Twilio calls no host that has an underscore in its name"))
		}
	}
	if c.Data == "" {
		errs = append(errs, errors.New("data: name a folder"))
	}
	if _, err := c.place(); err != nil {
		errs = append(errs, err)
	}
	if c.RetentionDays < 1 || c.RetentionDays > 3650 {
		errs = append(errs, errors.New("retention_days: write 1 to 3650"))
	}
	if c.MaxConcurrent < 1 {
		errs = append(errs, errors.New("max_concurrent: write 1 or more"))
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		errs = append(errs, errors.New("log.level: write debug, info, warn or error"))
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		errs = append(errs, errors.New("log.format: write text or json"))
	}
	return errs
}

// parseCountry reads an ISO 3166-1 alpha-2 code, in any letter case.
func parseCountry(name string) (code string, ok bool) {
	region, err := language.ParseRegion(name)
	if err != nil || !region.IsCountry() {
		return "", false
	}
	return region.String(), len(name) == 2 && region.Canonicalize() == region
}

// Effective returns the config as YAML with every default filled in, or
// everything that is wrong with it. It holds no secrets: of the store it names
// servers and database.
func (c Config) Effective(now time.Time) ([]byte, error) {
	if _, err := c.Policy(now); err != nil {
		return nil, err
	}
	if c.Limits == nil {
		c.Limits = map[string]LimitConfig{}
	}
	if c.Connector == "" {
		c.Connectors = c.connectors()
	}
	p := verify.DefaultPolicy()
	for _, l := range p.Limits.Each() {
		if _, set := c.Limits[l.Name]; !set {
			c.Limits[l.Name] = LimitConfig{Burst: l.Burst, Every: l.Every}
		}
	}
	c.Apps = maps.Clone(c.Apps) // the caller's stays as it is
	for name, a := range c.Apps {
		a.TestNumbers = slices.Clone(a.TestNumbers)
		for i, t := range a.TestNumbers {
			if n, err := phone.Parse(t.Number); err == nil {
				a.TestNumbers[i].Number = n.Mask()
			}
			a.TestNumbers[i].Code = secret.Redacted
		}
		a.Webhook = a.Webhook.shown()
		c.Apps[name] = a
	}
	return yaml.Marshal(c)
}
