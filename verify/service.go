package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// Options are the parts of a Service.
type Options struct {
	Store Store
	// Connectors are tried in this order.
	Connectors []Connector
	Keys       *Keyring
	Policy     Policy
	// CallbackURL makes the URL for a send's status callbacks; nil asks for none.
	CallbackURL func(connectorName, sendID string) string
	Observer    Observer     // nil: nobody counts
	Events      EventHooks   // for apps that have Events
	Log         *slog.Logger // nil: silent
}

// Connector is a sender with the name that the operator gave it. Whatever else
// the sender can do (connector.Finder, connector.FeedbackSender) is used.
type Connector struct {
	Name      string
	Sender    connector.Sender
	Templates *sms.Catalog
	Countries []string // it is for these only, ISO 3166-1 alpha-2; empty is for all
}

// StartRequest asks for a new verification.
type StartRequest struct {
	App        string
	To         phone.Number
	Usage      sms.UsageType
	Locale     string
	Channel    Channel // "" is ChannelSMS
	Domain     string
	ClientIP   netip.Addr
	Session    string // opaque; "" joins nothing
	CodeLength int    // 0 is the policy's
	Metadata   map[string]string
	Idem       *Idem
	Later      Later // nil: the call waits
}

// Started is what Start, Resend and SendMessage come to. The verification must not be
// changed: the store may hold it too.
type Started struct {
	Verification *Verification
	Now          time.Time // the store's time, for states and waits
	Joined       bool      // a pending verification of the same session was used
	Sent         bool      // this call made a send, which for a test number is no text
	Unknown      bool      // it is not known yet whether the provider took the text
	Replayed     bool      // the idempotency key was used before
}

// ResendRequest asks for another text. Without a ClientIP the one of the start
// is charged.
type ResendRequest struct {
	App, ID  string
	Channel  Channel
	ClientIP netip.Addr
	Idem     *Idem
	Later    Later // nil: the call waits
}

// CheckRequest brings the code that a person typed.
type CheckRequest struct {
	App, ID string
	Code    secret.String
	Idem    *Idem
}

// Checked is what Check comes to. Only Valid is proof. The verification must not
// be changed.
type Checked struct {
	Valid        bool
	Counted      bool // the code was compared, which used up a try
	Verification *Verification
	Now          time.Time
}

// Observer counts what happens, for metrics. Its methods must be quick and are
// called by many goroutines.
type Observer interface {
	Started(app string, usage sms.UsageType, country string)
	SendDone(connectorName, country string, status connector.Status, kind connector.Kind, took time.Duration)
	Checked(app string, usage sms.UsageType, country string, valid bool, status Status)
	LimitHit(name string)
	// SendStatus is told of each status that a send comes to, whoever said so.
	SendStatus(connectorName, country string, status connector.Status, kind connector.Kind)
	// Retried is told of each try that another is to follow, and why.
	Retried(connectorName string, kind connector.Kind)
	// Looked is told what a look for a text came to whose answer was lost.
	Looked(connectorName string, result LookResult)
	// ConnectorOpen is told when a connector is taken out of use, and when it is
	// back.
	ConnectorOpen(connectorName string, open bool)
}

// LookResult is what a look at the provider came to.
type LookResult string

// The results.
const (
	LookFound  LookResult = "found"  // the provider has the text
	LookAbsent LookResult = "absent" // two looks agree that it does not
	LookAgain  LookResult = "again"  // nothing there yet
	LookFailed LookResult = "failed" // the provider did not say
)

// Service verifies phone numbers. Its methods may be called by many goroutines
// at once; any number of services may share one store.
type Service struct {
	store       Store
	routes      []*route
	keys        *Keyring
	policy      Policy
	countries   map[string]bool
	callbackURL func(connectorName, sendID string) string
	observer    Observer
	log         *slog.Logger
	flight      flight
	looks       looks
	stuck       stuckRows
	events      *outbox  // nil where no app wants any
	tariffs     sync.Map // of *tariff by app
	everything  MAC      // the place of limits that count all

	now    func() time.Time // for ids, test numbers and Get; decisions have the store's time
	random io.Reader
}

// New makes a service. It reports every fault of its options at once.
func New(opts Options) (*Service, error) {
	s := &Service{
		store: opts.Store, keys: opts.Keys,
		policy: opts.Policy, countries: map[string]bool{},
		callbackURL: opts.CallbackURL, observer: opts.Observer, log: opts.Log,
		flight: flight{closing: make(chan struct{}), sends: map[string]struct{}{}},
		now:    time.Now, random: rand.Reader,
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if opts.Store == nil || opts.Keys == nil {
		errs = append(errs, errors.New("the service needs a store and a keyring"))
	}
	errs = append(errs, s.addRoutes(opts.Connectors)...)
	errs = append(errs, opts.Policy.Validate()...)
	errs = append(errs, opts.Policy.validateTestEnds(s.now())...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("verify: %w", errors.Join(errs...))
	}
	s.everything = s.keys.current.place("")
	if s.events = newOutbox(opts.Store, opts.Keys, opts.Policy.Apps, opts.Events); s.events != nil {
		s.store = s.events
	}
	for _, c := range opts.Policy.Countries {
		s.countries[c] = true
	}
	return s, nil
}

// do runs an operation and tells the operator which limit refused it; whoever
// asks from outside learns the time alone.
func (s *Service) do(ctx context.Context, app string, op Op) (any, error) {
	result, err := s.store.Do(ctx, op)
	var limit *LimitError
	if errors.As(err, &limit) {
		s.observer.LimitHit(limit.Name)
		s.log.LogAttrs(ctx, slog.LevelInfo, "limit reached",
			slog.String("app", app), slog.String("limit", limit.Name), slog.Duration("retry_after", limit.RetryAfter))
	}
	return result, err
}

// nobody is the Observer of a service that nobody counts.
type nobody struct{}

func (nobody) Started(string, sms.UsageType, string) {}
func (nobody) SendDone(string, string, connector.Status, connector.Kind, time.Duration) {
}
func (nobody) Checked(string, sms.UsageType, string, bool, Status)         {}
func (nobody) LimitHit(string)                                             {}
func (nobody) SendStatus(string, string, connector.Status, connector.Kind) {}
func (nobody) Retried(string, connector.Kind)                              {}
func (nobody) Looked(string, LookResult)                                   {}
func (nobody) ConnectorOpen(string, bool)                                  {}
