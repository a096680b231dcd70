package verify

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

// Bounds of a limit, far beyond any use, within which its arithmetic holds.
const (
	maxLimitBurst = 10_000_000
	maxLimitEvery = 24 * time.Hour
)

// faults gathers what is wrong with a policy.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// Validate names everything that is wrong, one error for each.
func (p Policy) Validate() []error {
	var bad faults
	if len(p.Countries) == 0 && !p.AllCountries {
		bad.add("countries: none is allowed; list them, as [US, CA]")
	}
	for _, c := range p.Countries {
		if r, err := language.ParseRegion(c); err != nil || r.Canonicalize().String() != c || len(c) != 2 {
			bad.add("countries: %q is not an ISO 3166-1 alpha-2 code in capitals, as US or GB", c)
		}
	}
	p.validateNumbers(&bad)
	p.validateWaits(&bad)
	p.validateLimits(&bad)
	for name, app := range p.Apps {
		app.validate(name, &bad)
	}
	return bad
}

func (p Policy) validateNumbers(bad *faults) {
	if p.CodeLength < MinCodeLength || p.CodeLength > MaxCodeLength {
		bad.add("code_length: %d is not between %d and %d", p.CodeLength, MinCodeLength, MaxCodeLength)
	}
	if p.MaxChecks < 1 || p.MaxChecks > 10 {
		bad.add("max_checks: %d is not between 1 and 10", p.MaxChecks)
	}
	if p.MaxSends < 1 || p.MaxSends > 20 {
		bad.add("max_sends: %d is not between 1 and 20", p.MaxSends)
	}
	if p.FailuresFree < 0 {
		bad.add("failures_free: %d is negative", p.FailuresFree)
	}
}

func (p Policy) validateWaits(bad *faults) {
	if p.Life < time.Minute || p.Life > time.Hour {
		bad.add("life: %s is not between 1m and 1h", p.Life)
	}
	if p.FreshBelow < 0 || p.FreshBelow >= p.Life {
		bad.add("fresh_below: %s is not between 0 and the life", p.FreshBelow)
	}
	if p.SendTimeout < time.Second || p.SendTimeout > time.Minute {
		bad.add("send_timeout: %s is not between 1s and 1m", p.SendTimeout)
	}
	if p.RetryRate < 1 || p.RetryRate > 10_000 {
		bad.add("retry_rate: %d is not between 1 and 10000", p.RetryRate)
	}
	if p.PollAfter != 0 && (p.PollAfter < time.Second || p.PollAfter > 24*time.Hour) {
		bad.add("poll_after: %s is not 0 or between 1s and 24h", p.PollAfter)
	}
	for name, waits := range map[string][]time.Duration{"resend_waits": p.ResendWaits, "failure_waits": p.FailureWaits} {
		if len(waits) == 0 {
			bad.add("%s: at least one is needed", name)
		}
		for _, w := range waits {
			if w <= 0 || w > 24*time.Hour {
				bad.add("%s: %s is not more than 0 and at most 24h", name, w)
			}
		}
	}
}

func (p Policy) validateLimits(bad *faults) {
	names := map[string]bool{LimitFailures: true, LimitResendWait: true, LimitResendCount: true, LimitOptedOut: true, LimitUnsettled: true}
	for _, l := range p.Limits.Each() {
		if *l == (Limit{}) {
			continue
		}
		if l.Name == "" || names[l.Name] {
			// Names keep the counters apart.
			bad.add("limits: the name %q is empty or stands twice", l.Name)
		}
		names[l.Name] = true
		if l.Burst < 0 || l.Burst > maxLimitBurst {
			bad.add("limits: %s: burst %d is not between 0 and %d", l.Name, l.Burst, maxLimitBurst)
		}
		if l.Every != 0 && (l.Every < time.Microsecond || l.Every > maxLimitEvery) {
			bad.add("limits: %s: every %s is not between 1µs and %s", l.Name, l.Every, maxLimitEvery)
		}
	}
}

func (a AppPolicy) validate(name string, bad *faults) {
	for _, d := range a.Domains {
		if _, err := sms.WithOrigin("", d, "000000"); err != nil {
			bad.add("apps: %s: domains: %q is not a host name without scheme, port or path", name, d)
		}
	}
	if len(a.TestNumbers) > MaxTestNumbers {
		bad.add("apps: %s: test_numbers: %d are more than %d", name, len(a.TestNumbers), MaxTestNumbers)
	}
	seen := map[string]bool{}
	for i, t := range a.TestNumbers {
		if t.Number.IsZero() || seen[t.Number.E164()] {
			bad.add("apps: %s: test_numbers: number %d is missing or stands twice", name, i+1)
		}
		seen[t.Number.E164()] = true
		if n := len(t.Code); n < MinCodeLength || n > MaxCodeLength || strings.Trim(t.Code, "0123456789") != "" {
			bad.add("apps: %s: test_numbers: the code of number %d is not %d to %d digits", name, i+1, MinCodeLength, MaxCodeLength)
		}
		if t.Until.IsZero() {
			bad.add("apps: %s: test_numbers: number %d has no end date", name, i+1)
		}
	}
}

// validateTestEnds holds test numbers to their longest time.
func (p Policy) validateTestEnds(now time.Time) []error {
	var bad faults
	for name, app := range p.Apps {
		for i, t := range app.TestNumbers {
			if t.Until.Sub(now) > MaxTestDuration {
				bad.add("apps: %s: test_numbers: number %d ends more than %d days ahead", name, i+1, MaxTestDuration/(24*time.Hour))
			}
		}
	}
	return bad
}

// testNumber returns an app's entry for a number, or nil. Its end is the
// caller's business: a verification that it began may outlast it.
func (p *Policy) testNumber(app string, to phone.Number) *TestNumber {
	tests := p.Apps[app].TestNumbers
	for i := range tests {
		if tests[i].Number.Equal(to) {
			return &tests[i]
		}
	}
	return nil
}
