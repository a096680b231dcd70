package twiliosim

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// The default account, for who points a client at a simulator. The sids and
// the token are public and of no use at Twilio.
const (
	DefaultAccountSID          = "AC00000000000000000000000000000000"
	DefaultAuthToken           = "11111111111111111111111111111111"
	DefaultMessagingServiceSID = "MG00000000000000000000000000000000"
)

// Options configures a simulator; the zero value is a good default.
type Options struct {
	// AccountSID, AuthToken and MessagingServiceSID name the default account.
	// They default to the constants above. Twilio's SDKs refuse a token that is
	// not alphanumeric.
	AccountSID, AuthToken, MessagingServiceSID string

	// PhoneNumber is the one number that the default service owns from the
	// start; default +12025550100, which is reserved for fiction.
	PhoneNumber string

	// InboundRequestURL is where the default service hands on what people text to
	// its number (see Server.Reply); empty for nowhere. The service's API changes
	// it.
	InboundRequestURL string

	// TestAccountSID and TestAuthToken are the test credentials: a second
	// account that takes only creates of messages and numbers, keeps nothing
	// and calls nobody back. They default to AC and 32 twos, and 32 threes.
	TestAccountSID, TestAuthToken string

	// Trial makes the account one of type Trial: bodies get Twilio's prefix,
	// and only VerifiedNumbers can be texted (21608).
	Trial           bool
	VerifiedNumbers []string

	// Step is the pace of the statuses: each one lasts about one Step. The
	// default is 400 ms; the finest pace is about 1 ms.
	Step time.Duration

	// Logger receives what a newcomer needs to see: callbacks that failed,
	// faults that were set. Bodies and numbers are never logged. Nil is silent.
	Logger *slog.Logger

	// CallbackClient posts the status callbacks; nil means a client that dials
	// loopback addresses only, so that a test can reach nobody. Redirects are
	// never followed, whatever the client says.
	CallbackClient *http.Client
	// CallbackWorkers is how many callbacks are in flight at once; default 64.
	CallbackWorkers int
	// MaxCallbacks bounds the callbacks that wait for a worker; default
	// 100,000. Beyond it a callback is dropped, counted and logged.
	MaxCallbacks int

	// MaxConcurrent is the account's limit of API requests in flight; a request
	// beyond it is answered 429/20429. Zero means no limit.
	MaxConcurrent int

	// MaxMessages bounds the messages and the ledger entries that are kept, each
	// by itself; default 100,000, about 150 MB when full of short texts with
	// callbacks. The oldest make room: an evicted message is gone, moves no
	// further and calls nobody back.
	MaxMessages int

	// AllowedHosts are host names under which the page and the control API may
	// be asked for, besides loopback ones. See the Host check in control.go.
	AllowedHosts []string

	// RefuseEmptyPool makes a create through a service without numbers fail at
	// once with 21704. By default it is accepted and fails a step later, as
	// Twilio's guides suggest; which of the two happens is not documented.
	RefuseEmptyPool bool

	// Seed makes sids and secrets repeatable; zero means random ones.
	Seed uint64
}

// trialPrefix is what Twilio puts before every text of a trial account.
const trialPrefix = "Sent from your Twilio trial account - "

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o Options) withDefaults() Options {
	orDefault(&o.AccountSID, DefaultAccountSID)
	orDefault(&o.AuthToken, DefaultAuthToken)
	orDefault(&o.MessagingServiceSID, DefaultMessagingServiceSID)
	orDefault(&o.PhoneNumber, "+12025550100")
	orDefault(&o.TestAccountSID, "AC"+strings.Repeat("2", 32))
	orDefault(&o.TestAuthToken, strings.Repeat("3", 32))
	if o.Step <= 0 {
		o.Step = 400 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CallbackWorkers <= 0 {
		o.CallbackWorkers = 64
	}
	if o.MaxCallbacks <= 0 {
		o.MaxCallbacks = 100_000
	}
	if o.MaxMessages <= 0 {
		o.MaxMessages = 100_000
	}
	return o
}
