package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// AnyUsage is the entry of Hook.Usages for what no other entry names.
const AnyUsage = "*"

// Hook is one auth server that may ask for texts.
type Hook struct {
	// Name stands in the path, /hooks/Name: lower-case letters, digits and -.
	Name string
	// Kind is what sends; Kinds lists them. "" is the kind that is called as the hook.
	Kind string
	// App is whose texts these are, for limits, idempotency and reading them.
	App string
	// NoClientIP lets its orders have no address, whatever the app's policy says.
	NoClientIP bool
	// Secrets are all good at once, so that one can be replaced while both are in use.
	Secrets []secret.String
	// Usages are what the server's words for its texts mean here, over the kind's
	// own. The entry of AnyUsage is for the rest, which else is Generic.
	Usages map[string]sms.UsageType
	// AnswerWithin bounds the wait for the provider; 0 is the kind's.
	AnswerWithin time.Duration
	// SameWithin is for how long an order that says the same is the same one, where
	// the server gives its orders no ids; 0 is the kind's.
	SameWithin time.Duration
	// Header is where a generic server has the secret; "" is Authorization.
	Header string
	// Fields are a generic server's names for things.
	Fields Fields
}

// Fields are names of JSON members, as dotted paths, or of form fields. To and
// Code are needed, the others may be empty.
type Fields struct {
	To, Code, Usage, Locale, ClientIP, ID, Channel string
}

// Messenger is the domain; *verify.Service is one.
type Messenger interface {
	SendMessage(ctx context.Context, r verify.MessageRequest) (verify.Started, error)
}

var _ Messenger = (*verify.Service)(nil)

// Options are the parts of Hooks.
type Options struct {
	Hooks     []Hook
	Messenger Messenger
	// Idem hides an idempotency key and a body; it is verify.Keyring.Idem.
	Idem func(app, route, key string, body []byte) *verify.Idem
	// Observe is told of every request when it is over; nil is nobody.
	Observe func(hook string, result Result)
	Log     *slog.Logger // nil: silent
}

// Hooks answers auth servers. Its methods may be called by many goroutines.
type Hooks struct {
	handlers []*handler
}

// kind is what a server of one make does in its own way.
type kind struct {
	// proof makes what tells whether a request is from who has one of the secrets.
	// Its error says how a secret has to look.
	proof func(h *Hook) (proof, error)
	// read makes an order of a body.
	read func(h *Hook, body []byte, form bool) (order, error)
	// reply puts what became of an order into the server's words.
	reply func(o outcome) reply
	// usages are what its words for its texts mean here.
	usages map[string]sms.UsageType
	// answerWithin keeps a second or more of the time that the server waits for
	// the way there and back.
	answerWithin time.Duration
	// tellsIP says that it may name the person's address.
	tellsIP bool
	// late is the answer where the store has not answered in time either, so that
	// nobody knows whether the order is written down.
	late Result
}

// Kinds of servers.
const (
	KindLogto    = "logto"
	KindSupabase = "supabase"
	KindKratos   = "kratos"
	KindZitadel  = "zitadel"
	KindAuthgear = "authgear"
	KindOkta     = "okta"
	KindGeneric  = "generic"
)

// kinds is the table of all kinds.
func kinds() map[string]kind {
	return map[string]kind{
		KindLogto:    {headerProof, readLogto, replyLogto, nil, 8 * time.Second, true, ResultUnavailable},
		KindSupabase: {standardProof, readSupabase, replySupabase, supabaseUsages(), 3500 * time.Millisecond, true, ResultUnavailable},
		KindKratos:   {headerProof, readKratos, replyKratos, kratosUsages(), 8 * time.Second, false, ResultUnavailable},
		KindZitadel:  {zitadelProof, readZitadel, replyZitadel, zitadelUsages(), 3500 * time.Millisecond, false, ResultUnavailable},
		KindAuthgear: {authgearProof, readAuthgear, replyAuthgear, authgearUsages(), 8 * time.Second, false, ResultUnavailable},
		KindOkta:     {headerProof, readOkta, replyOkta, oktaUsages(), 2 * time.Second, true, ResultPending},
		KindGeneric:  {headerProof, readGeneric, replyGeneric, nil, 4 * time.Second, true, ResultUnavailable},
	}
}

// Kinds returns the names of all kinds, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds())) }

// sameWithin is longer than any server of ours goes on with one order, and as
// long as most codes live. Each of them makes a new code for a new text.
const sameWithin = 10 * time.Minute

// sameWithinGeneric is for a server of which nobody knows whether it sends one
// code twice when a person asks twice: nobody asks that soon.
const sameWithinGeneric = 30 * time.Second

// kindName is the hook's kind, also where it is not written.
func (h *Hook) kindName() string {
	if h.Kind == "" {
		return h.Name
	}
	return h.Kind
}

// MayTellIP reports whether the hook's server may name the person's address.
func (h *Hook) MayTellIP() bool {
	if h.kindName() == KindGeneric {
		return h.Fields.ClientIP != ""
	}
	return kinds()[h.kindName()].tellsIP
}

var (
	hookName   = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// Faults are everything that is wrong with a hook, but for a lack of secrets.
// They quote no secret.
func (h *Hook) Faults() []error {
	var errs []error
	if !hookName.MatchString(h.Name) {
		errs = append(errs, errors.New("the name is written in 1 to 32 lower-case letters, digits and -"))
	}
	k, ok := kinds()[h.kindName()]
	if !ok {
		return append(errs, fmt.Errorf("kind: write one of %s", strings.Join(Kinds(), ", ")))
	}
	p, err := k.proof(h)
	if err != nil {
		errs = append(errs, fmt.Errorf("secrets: %w", err))
	}
	if p.signed && h.SameWithin > 0 && h.SameWithin < 2*replayWindow {
		errs = append(errs, fmt.Errorf("same_within is at least %s here: for so long the server's signature is good, and what somebody recorded must be the same order", 2*replayWindow))
	}
	if h.AnswerWithin < 0 || h.AnswerWithin > time.Minute || h.SameWithin < 0 || h.SameWithin > 12*time.Hour {
		errs = append(errs, errors.New("answer_within is at most 1m, same_within at most 12h"))
	}
	for _, theirs := range slices.Sorted(maps.Keys(h.Usages)) {
		if !h.Usages[theirs].Known() {
			errs = append(errs, fmt.Errorf("usage_types: %q is no usage type, such as SignIn, Register or Generic", h.Usages[theirs]))
		}
	}
	generic := h.kindName() == KindGeneric
	switch {
	case generic && (h.Fields.To == "" || h.Fields.Code == ""):
		errs = append(errs, errors.New("fields: name at least to and code"))
	case !generic && (h.Fields != Fields{} || h.Header != ""):
		errs = append(errs, errors.New("fields, header: only a hook of the kind generic has them"))
	case h.Header != "" && !headerName.MatchString(h.Header):
		errs = append(errs, errors.New("header: name one, such as X-Api-Key"))
	}
	return errs
}

// bodyCap bounds the hook's requests in bytes. A body that is signed is read before
// anybody knows who it is from.
func (h *handler) bodyCap() int64 {
	if h.proof.signed && h.kindName() != KindSupabase {
		return maxSigned
	}
	return maxBody
}

// New makes Hooks. It reports every fault of its options at once.
func New(o Options) (*Hooks, error) {
	var errs []error
	if o.Messenger == nil || o.Idem == nil {
		errs = append(errs, errors.New("a messenger and idem are needed"))
	}
	if o.Observe == nil {
		o.Observe = func(string, Result) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	all := &Hooks{}
	seen := map[string]bool{}
	for _, h := range o.Hooks {
		faults := h.Faults()
		if len(h.Secrets) == 0 {
			faults = append(faults, errors.New("secrets: none; without one anybody could have texts sent"))
		}
		if h.App == "" {
			faults = append(faults, errors.New("app: none"))
		}
		if seen[h.Name] {
			faults = append(faults, errors.New("the name stands twice"))
		}
		seen[h.Name] = true
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("%s: %w", h.Name, f))
		}
		if len(faults) == 0 {
			all.handlers = append(all.handlers, newHandler(h, &o))
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("hooks: %w", errors.Join(errs...))
	}
	return all, nil
}

func newHandler(h Hook, o *Options) *handler {
	k := kinds()[h.kindName()]
	p, _ := k.proof(&h) // Faults has asked
	if h.AnswerWithin == 0 {
		h.AnswerWithin = k.answerWithin
	}
	if h.SameWithin == 0 {
		h.SameWithin = sameWithin
		if h.kindName() == KindGeneric {
			h.SameWithin = sameWithinGeneric
		}
	}
	usages := map[string]sms.UsageType{}
	maps.Copy(usages, k.usages)
	maps.Copy(usages, h.Usages)
	h.Usages = usages
	return &handler{Hook: h, kind: k, proof: p, options: o, now: time.Now}
}

// Mux is what routes are mounted on; *http.ServeMux is one.
type Mux interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Routes mounts every hook. They are meant for edge.Wrap, which answers what no
// route matches, and panics.
func (a *Hooks) Routes(mux Mux) {
	for _, h := range a.handlers {
		mux.HandleFunc(h.route(), h.serve)
	}
}
