package twilioverify

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// Verifier is the domain; *verify.Service is one.
type Verifier interface {
	Join(ctx context.Context, r verify.JoinRequest) (verify.Started, error)
	CheckAt(ctx context.Context, h verify.Handle, code secret.String) (verify.Checked, error)
	FindAt(ctx context.Context, h verify.Handle) (*verify.Verification, time.Time, error)
	CancelAt(ctx context.Context, h verify.Handle) (verify.Ended, error)
	ApproveAt(ctx context.Context, h verify.Handle) (verify.Ended, error)
	List(ctx context.Context, r verify.ListRequest) (verify.Listed, error)
}

var _ Verifier = (*verify.Service)(nil)

// Authenticator says who calls; *access.Authenticator is one.
type Authenticator interface {
	AuthenticateAccount(ctx context.Context, account string, token secret.String) (access.Caller, error)
}

var _ Authenticator = (*access.Authenticator)(nil)

// Options are the parts of an API.
type Options struct {
	Verifier      Verifier
	Authenticator Authenticator
	Services      access.ServiceStore
	// Usage is the usage type whose templates make the texts.
	Usage sms.UsageType
	// CodeLength is the operator's: the shortest that a service may have.
	CodeLength int
	// RateLimits are the counters that RateLimits may name.
	RateLimits map[string]verify.Limit
	// PublicURL is where clients reach this surface, for the links in answers;
	// where it is empty they have the host that the client named.
	PublicURL string
}

// API answers Twilio Verify's calls. Its routes are meant for edge.Wrap.
type API struct {
	Options
	now        func() time.Time
	random     io.Reader
	operations map[string]operation
	readers    chan struct{} // one token for each list of attempts or summary under way
}

// New makes the API.
func New(o Options) (*API, error) {
	if o.Verifier == nil || o.Authenticator == nil || o.Services == nil || !o.Usage.Known() {
		return nil, errors.New("twilioverify: a verifier, an authenticator, services and a usage type are needed")
	}
	a := &API{Options: o, now: time.Now, random: rand.Reader, operations: map[string]operation{}, readers: make(chan struct{}, maxReaders)}
	for _, op := range operations() {
		a.operations[op.name] = op
	}
	return a, nil
}

// Mux is what routes are mounted on; *http.ServeMux is one.
type Mux interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// call is one request on its way to the domain.
type call struct {
	caller  access.Caller
	service access.Service // of the path, where that names one
	form    form
	r       *http.Request
	base    string // what links begin with
}

// handler makes the answer of a call.
type handler func(ctx context.Context, c *call) (status int, answer any, err error)

// Routes mounts every route. Whatever else is below /v2/ answers as Twilio does
// for what is not there.
func (a *API) Routes(mux Mux) {
	const services, one = "/v2/Services", "/v2/Services/{service}"
	const verifications = one + "/Verifications"
	for _, route := range []struct {
		method, path, operation string
		handle                  handler
	}{
		{http.MethodPost, services, "Create a service", a.createService},
		{http.MethodGet, services, "List services", a.listServices},
		{http.MethodGet, one, "", a.fetchService},
		{http.MethodPost, one, "Update a service", a.updateService},
		{http.MethodGet, verifications + "/{sid}", "", a.fetch},
		{http.MethodPost, verifications + "/{sid}", "Update a verification", a.update},
		{http.MethodPost, one + "/VerificationCheck", "Check a code", a.check},
		{http.MethodGet, "/v2/Attempts", "List attempts", a.atMost(a.listAttempts)},
		{http.MethodGet, "/v2/Attempts/Summary", "Summarize attempts", a.atMost(a.summarize)},
		{http.MethodGet, "/v2/Attempts/{sid}", "", a.fetchAttempt},
	} {
		mux.HandleFunc(route.method+" "+route.path, a.serve(a.operations[route.operation], route.handle))
	}
	mux.HandleFunc(http.MethodPost+" "+verifications, a.serveStart)
	for _, path := range []string{services, one, verifications, verifications + "/{sid}", one + "/VerificationCheck", "/v2/Attempts", "/v2/Attempts/{sid}"} {
		mux.HandleFunc(path, a.serve(operation{}, func(context.Context, *call) (int, any, error) { return 0, nil, fault(codeMethod) }))
	}
	mux.HandleFunc("/v2/", a.serve(operation{}, func(_ context.Context, c *call) (int, any, error) {
		return 0, nil, missing(c.r.URL.Path)
	}))
}

// serve is the funnel of every call but a start.
func (a *API) serve(o operation, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := a.receive(r, o)
		var status int
		var answer any
		if err == nil {
			status, answer, err = handle(r.Context(), c)
		}
		a.answer(w, r, r.URL.Path, status, answer, err)
	}
}

// answer writes what a call came to. path is the resource's: a detached request
// has none of its own.
func (a *API) answer(w http.ResponseWriter, r *http.Request, path string, status int, answer any, err error) {
	if err != nil {
		errorOf(err, path).write(w, r)
		return
	}
	edge.WriteJSON(w, status, "application/json", answer)
}

// receive says who calls, and reads what they want.
func (a *API) receive(r *http.Request, o operation) (*call, error) {
	c := &call{r: r, base: a.base(r)}
	account, token, ok := r.BasicAuth()
	if !ok {
		return nil, access.ErrUnknownKey
	}
	var err error
	if c.caller, err = a.Authenticator.AuthenticateAccount(r.Context(), account, secret.New(token)); err != nil {
		return nil, err
	}
	edge.Note(r.Context(), slog.String("app", c.caller.App), slog.String("key", c.caller.KeyID))
	if !c.caller.May(access.ScopeTwilio) {
		return nil, forbidden()
	}
	if sid := r.PathValue("service"); sid != "" {
		if c.service, err = a.serviceOf(r.Context(), c.caller.App, sid); err != nil {
			return nil, errorOf(err, "/Services/"+sid)
		}
	}
	if o.name == "" {
		return c, nil
	}
	c.form, err = readForm(r, o)
	return c, err
}

// base is what links begin with. Clients follow a list's links and send their token
// along: so it is https, but for a client that is on this machine.
func (a *API) base(r *http.Request) string {
	if a.PublicURL != "" {
		return strings.TrimRight(a.PublicURL, "/")
	}
	if onThisMachine(r.Host) {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// onThisMachine reports whether a host, with a port or without, is a loopback one.
func onThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
