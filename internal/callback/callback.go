package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/verify"
)

// Source is what a connector can read. A nil parser is a path that is not there.
type Source struct {
	Status  connector.StatusParser
	Replies connector.ReplyParser
}

// Recorder is the domain; *verify.Service is one.
type Recorder interface {
	// RecordDelivery takes a status of a send. verify.ErrNotFound is for a send
	// that does not exist or that another connector carried.
	RecordDelivery(ctx context.Context, connectorName, sendID string, u connector.StatusUpdate) error
	// RecordReply takes what a person texted back.
	RecordReply(ctx context.Context, connectorName string, r connector.Reply) error
}

var _ Recorder = (*verify.Service)(nil)

// Kinds of requests, for Options.Observe.
const (
	KindStatus = "status"
	KindReply  = "reply"
)

// Results of requests, for Options.Observe.
const (
	ResultOK            = "ok"             // taken, or nothing new
	ResultSignature     = "signature"      // not from the provider
	ResultMalformed     = "malformed"      // not what the provider sends
	ResultUnknownStatus = "unknown_status" // from the provider, with a word that we do not know
	ResultNotFound      = "not_found"      // no such connector or send
	ResultUnavailable   = "unavailable"    // the store could not take it
	ResultTooLarge      = "too_large"
)

// maxBody bounds a request in bytes. Callbacks have some 500, replies at most
// about 20,000: a text of 1,600 characters, each escaped.
const maxBody = 64 << 10

// deadline is how long the store may take. Twilio waits 15 seconds, its own
// repetitions included.
const deadline = 5 * time.Second

// Options are the parts of Callbacks.
type Options struct {
	// PublicURL is where providers reach this handler: http or https, a host, and
	// a port and path where there are any. A proxy in front takes the path away.
	PublicURL string
	// Sources are the connectors by their configured names.
	Sources  map[string]Source
	Recorder Recorder
	// Observe is told of every request when it is over; nil is nobody. All words
	// are ours: a request for a connector that does not exist counts under "".
	Observe func(connectorName, kind, result string)
	Log     *slog.Logger // nil: silent
}

// Callbacks answers providers' requests. Its methods may be called by many
// goroutines at once.
type Callbacks struct {
	options Options
}

// New makes Callbacks. It reports every fault of its options at once.
func New(o Options) (*Callbacks, error) {
	var errs []error
	if err := checkPublicURL(o.PublicURL); err != nil {
		errs = append(errs, err)
	}
	if o.Recorder == nil {
		errs = append(errs, errors.New("a recorder is needed"))
	}
	for name := range o.Sources {
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			errs = append(errs, fmt.Errorf("the connector's name %q cannot stand in a path", name))
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("callback: %w", errors.Join(errs...))
	}
	o.PublicURL, o.Sources = strings.TrimRight(o.PublicURL, "/"), maps.Clone(o.Sources)
	if o.Observe == nil {
		o.Observe = func(string, string, string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Callbacks{o}, nil
}

// checkPublicURL does not quote the URL: it may hold a password.
func checkPublicURL(s string) error {
	u, err := url.Parse(s)
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '?' || r == '#' }
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsFunc(s, odd) {
		return errors.New("the public URL is not http or https with a host, in ASCII, without query and fragment")
	}
	return nil
}

// URL is where the provider reports on a send. It is for
// verify.Options.CallbackURL.
func (c *Callbacks) URL(connectorName, sendID string) string {
	return URL(c.options.PublicURL, connectorName, sendID)
}

// URL is Callbacks.URL before there are any: a verify.Service wants to know it,
// and Callbacks want the service.
func URL(publicURL, connectorName, sendID string) string {
	return strings.TrimRight(publicURL, "/") + "/callbacks/" + url.PathEscape(connectorName) + "/" + url.PathEscape(sendID)
}

// Mux is what routes are mounted on; *http.ServeMux is one.
type Mux interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Routes mounts every route. They are meant for edge.Wrap, which answers what
// no route matches, and panics.
func (c *Callbacks) Routes(mux Mux) {
	mux.HandleFunc("POST /callbacks/{connector}/{send}", c.status)
	mux.HandleFunc("POST /inbound/{connector}", c.reply)
}
