package app

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sixdigit/sixdigit/internal/twilioverify"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// TwilioVerifyConfig is about /v2, where clients of Twilio Verify find what they
// know.
type TwilioVerifyConfig struct {
	// UsageType is that of the templates that make the texts; SignIn where it is
	// left out.
	UsageType string `yaml:"usage_type,omitempty"`
	// RateLimits are the counters that a client may name in RateLimits.
	RateLimits map[string]LimitConfig `yaml:"rate_limits,omitempty"`
}

// rateLimitName keeps names fit for metrics and logs.
var rateLimitName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// rateLimitPrefix keeps these names apart from those of the policy's limits.
const rateLimitPrefix = "twilio_verify_"

func (c *TwilioVerifyConfig) usage() sms.UsageType {
	if c.UsageType == "" {
		return sms.UsageSignIn
	}
	return sms.UsageType(c.UsageType)
}

// limits are the counters by name.
func (c *TwilioVerifyConfig) limits() map[string]verify.Limit {
	all := map[string]verify.Limit{}
	for name, l := range c.RateLimits {
		all[name] = verify.Limit{Name: rateLimitPrefix + name, Burst: l.Burst, Every: l.Every}
	}
	return all
}

// validate names everything that is wrong. It checks the limits as the policy's
// are.
func (c *TwilioVerifyConfig) validate(p *verify.Policy) []error {
	if c == nil {
		return nil
	}
	var errs []error
	if !c.usage().Known() {
		errs = append(errs, fmt.Errorf("twilio_verify.usage_type: %q is no usage type; SignIn and Generic are", c.UsageType))
	}
	for name, l := range c.limits() {
		if !rateLimitName.MatchString(name) {
			errs = append(errs, fmt.Errorf("twilio_verify.rate_limits: %q: write 1 to 40 letters, digits, - and _", name))
			continue
		}
		if l.Burst < 1 {
			errs = append(errs, fmt.Errorf("twilio_verify.rate_limits.%s: burst: write 1 or more", name))
			continue
		}
		one := *p
		one.AllCountries, one.Limits = true, verify.Limits{All: l}
		for _, err := range one.Validate() {
			if strings.HasPrefix(err.Error(), "limits: ") {
				errs = append(errs, fmt.Errorf("twilio_verify.rate_limits: %w", err))
			}
		}
	}
	return errs
}

// openTwilioVerify makes the surface, or nil where the config does not open it.
func (s *Service) openTwilioVerify(sources []source) (*twilioverify.API, error) {
	c := s.config.TwilioVerify
	if c == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if !slices.ContainsFunc(sources, func(one source) bool {
		_, err := one.catalog.Choose(c.usage())
		return err == nil
	}) {
		return nil, &ConfigError{errors.New("twilio_verify: no connector JSON has a template for the usage type " + string(c.usage()) + " or for Generic; add one, or name another usage_type")}
	}
	return twilioverify.New(twilioverify.Options{
		Verifier: s.verify, Authenticator: s.callers, Services: s.keys,
		Usage: c.usage(), CodeLength: s.config.Code.Length, RateLimits: c.limits(), PublicURL: s.config.PublicURL,
	})
}
