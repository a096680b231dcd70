package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// Options are the parts of a Service.
type Options struct {
	Store     Store
	Connector Connector
	Templates *sms.Catalog
	Keys      *Keyring
	Policy    Policy
	// CallbackURL makes the URL for a send's status callbacks; nil asks for none.
	CallbackURL func(connectorName, sendID string) string
	Observer    Observer     // nil: nobody counts
	Log         *slog.Logger // nil: silent
}

// Connector is a sender with the name that the operator gave it.
type Connector struct {
	Name   string
	Sender connector.Sender
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
}

// Started is what Start and Resend come to. The verification must not be
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
}

// CheckRequest brings the code that a person typed.
type CheckRequest struct {
	App, ID string
	Code    secret.String
	Idem    *Idem
}

// Checked is what Check comes to. Only Valid is proof.
type Checked struct {
	Valid        bool
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
}

// Service verifies phone numbers. Its methods may be called by many goroutines
// at once; any number of services may share one store.
type Service struct {
	store       Store
	connector   Connector
	templates   *sms.Catalog
	keys        *Keyring
	policy      Policy
	countries   map[string]bool
	callbackURL func(connectorName, sendID string) string
	observer    Observer
	log         *slog.Logger
	flight      flight

	now    func() time.Time // for ids, test numbers and Get; decisions have the store's time
	random io.Reader
}

// New makes a service. It reports every fault of its options at once.
func New(opts Options) (*Service, error) {
	s := &Service{
		store: opts.Store, connector: opts.Connector, templates: opts.Templates, keys: opts.Keys,
		policy: opts.Policy, countries: map[string]bool{},
		callbackURL: opts.CallbackURL, observer: opts.Observer, log: opts.Log,
		now: time.Now, random: rand.Reader,
	}
	var errs []error
	for name, missing := range map[string]bool{
		"a store": opts.Store == nil, "a connector's sender": opts.Connector.Sender == nil,
		"a connector's name": opts.Connector.Name == "", "templates": opts.Templates == nil, "a keyring": opts.Keys == nil,
	} {
		if missing {
			errs = append(errs, errors.New("the service needs "+name))
		}
	}
	errs = append(errs, opts.Policy.Validate()...)
	errs = append(errs, opts.Policy.validateTestEnds(s.now())...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("verify: %w", errors.Join(errs...))
	}
	for _, c := range opts.Policy.Countries {
		s.countries[c] = true
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
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
func (nobody) Checked(string, sms.UsageType, string, bool, Status) {}
func (nobody) LimitHit(string)                                     {}
