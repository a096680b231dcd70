package verify

import (
	"time"

	"github.com/sixdigit/sixdigit/phone"
)

// Policy is what a service allows. DefaultPolicy is safe on the open internet.
type Policy struct {
	// Countries lists the ISO 3166-1 alpha-2 codes that may be texted; empty
	// means none, and AllCountries every one.
	Countries    []string
	AllCountries bool
	// RefusedLines are the kinds of number that get no text.
	RefusedLines []phone.LineType

	CodeLength  int             // digits, 6 to 10; a request may ask for more, not for fewer
	Life        time.Duration   // of a code
	MaxChecks   int             // of a verification, whatever its generation
	MaxSends    int             // of a verification, the first included
	ResendWaits []time.Duration // before the second, third … send; the last one repeats

	// FreshBelow is the life that a code must have left to be sent again; with
	// less, a resend makes a new code with a new life.
	FreshBelow time.Duration

	// FailureWaits are the waits after wrong checks of one subject, from
	// FailuresFree+1 failures in a row on; the last one repeats.
	FailuresFree int
	FailureWaits []time.Duration

	Limits Limits

	// SendTimeout is how long a caller waits for a text to be taken. A send may
	// use twice as long, so that it can wait for its turn at the connector; its
	// lease is LeaseSlack longer.
	SendTimeout time.Duration

	// RetryRate is how many texts a second a connector is handed that were not
	// taken at first, at most. What piled up while it was out of order must not
	// be the next thing that breaks it. Its reads have ten times that rate.
	RetryRate int
	// PollAfter is how long a text may be without a final status before the
	// provider is asked; after five times as long it is asked again, and once
	// more after five times that. Zero asks never.
	PollAfter time.Duration
	// Feedback tells the provider when a code was used.
	Feedback bool

	Apps map[string]AppPolicy
}

// LeaseSlack is how much longer a send's lease is than its deadline.
const LeaseSlack = 20 * time.Second

// ClockSlack is how far a clock may step back, or the clocks of several servers
// lie apart, unnoticed. What is dated further ahead was written by a clock that
// was wrong: its waits are void, and its codes have expired.
const ClockSlack = time.Minute

// FailureMemory is for how long failures are remembered: a subject whose last
// wrong check is that long ago starts anew.
const FailureMemory = 24 * time.Hour

// Limits are what is counted. Those of an app count each app for itself; the
// others count over all apps.
type Limits struct {
	AppNumber, AppNumberDaily   Limit
	AppIP, AppIPDaily           Limit // IPv6 by /64
	AppPrefix, AppPrefixDaily   Limit // the number without its last four digits
	AppCountry, AppCountryDaily Limit

	Number, NumberDaily Limit
	IP                  Limit
	Prefix              Limit
	All, AllDaily       Limit
}

// AppPolicy is what one app has of its own. An app that the config does not
// name has the zero AppPolicy.
type AppPolicy struct {
	// NoClientIP is set by a back end that has no client's address to pass on;
	// otherwise a start without client_ip is refused.
	NoClientIP bool
	// Domains are the ones that may stand in a text's last line for autofill.
	Domains []string
	// TestNumbers get a fixed code and no text.
	TestNumbers []TestNumber
	// Events are what the app is told of by its webhook; none are none.
	Events []EventType
}

// TestNumber is a number for app reviews and automated tests.
type TestNumber struct {
	Number phone.Number
	Code   string
	Until  time.Time // at most 90 days ahead when it is configured
}

// Bounds of a policy.
const (
	MinCodeLength   = 6
	MaxCodeLength   = 10
	MaxTestNumbers  = 20
	MaxTestDuration = 90 * 24 * time.Hour
)

// DefaultPolicy returns the policy of a service that its operator told nothing
// but the countries.
func DefaultPolicy() Policy {
	daily := func(name string, n int) Limit { return Limit{Name: name, Burst: n} }
	every := func(name string, burst int, d time.Duration) Limit { return Limit{Name: name, Burst: burst, Every: d} }
	return Policy{
		RefusedLines: []phone.LineType{
			phone.TypePremium, phone.TypeSharedCost, phone.TypeTollFree, phone.TypeUAN, phone.TypeVoicemail, phone.TypeFixed,
		},
		CodeLength:   6,
		Life:         10 * time.Minute, // NIST SP 800-63B and OWASP ASVS 6.5.5 allow no more
		MaxChecks:    5,
		MaxSends:     5,
		ResendWaits:  []time.Duration{30 * time.Second, 40 * time.Second, 60 * time.Second, 90 * time.Second},
		FreshBelow:   time.Minute,
		FailuresFree: 10,
		// NIST SP 800-63B section 3.2.2: delays from 30 s up to an hour.
		FailureWaits: []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour},
		Limits: Limits{
			AppNumber: every("app_number", 5, 2*time.Minute), AppNumberDaily: daily("app_number_daily", 20),
			AppIP: every("app_ip", 20, 30*time.Second), AppIPDaily: daily("app_ip_daily", 200),
			AppPrefix: every("app_prefix", 30, 10*time.Second), AppPrefixDaily: daily("app_prefix_daily", 1000),
			AppCountry: every("app_country", 600, 200*time.Millisecond), AppCountryDaily: daily("app_country_daily", 100_000),
			Number: every("number", 10, time.Minute), NumberDaily: daily("number_daily", 40),
			IP:     every("ip", 40, 15*time.Second),
			Prefix: every("prefix", 60, 5*time.Second),
			All:    every("all", 1000, 20*time.Millisecond), AllDaily: daily("all_daily", 500_000),
		},
		SendTimeout: 10 * time.Second,
		RetryRate:   20,
		PollAfter:   2 * time.Minute,
		Feedback:    true,
	}
}
