package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// CallbackPath is where the demo takes status callbacks; the send's number
// follows.
const CallbackPath = "/callbacks/demo/"

// person is the demo's phone: 555-0100 to 555-0199 belong to fiction.
const person = "+1 415 555 0134"

const (
	maxCallback = 64 << 10 // a callback is half a kilobyte
	maxWait     = 15 * time.Second
)

// Options says what the demo shows.
type Options struct {
	Sender  connector.Sender
	Parser  connector.StatusParser
	Catalog *sms.Catalog
	URL     string // where this program answers, for callbacks and links
	Out     io.Writer
	Code    func() string                   // makes a code
	Phone   func(e164 string) (text string) // reads the newest text off the phone
}

// Demo is one run. It is the http.Handler of CallbackPath.
type Demo struct {
	o       Options
	updates chan update
}

type update struct {
	send string
	connector.StatusUpdate
}

// New returns a demo that Run starts.
func New(o Options) *Demo {
	return &Demo{o: o, updates: make(chan update, 64)}
}

// ServeHTTP takes one status callback. A callback that is not the provider's
// is refused, as a service on the open internet has to.
func (d *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	// The URL is the one given with the send, not one rebuilt from headers.
	u, err := d.o.Parser.ParseStatus(connector.Inbound{PublicURL: d.o.URL + r.URL.Path, Header: r.Header, Body: body})
	switch {
	case errors.Is(err, connector.ErrSignature):
		http.Error(w, "the signature is wrong", http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, "not a status callback", http.StatusBadRequest)
		return
	}
	select {
	case d.updates <- update{strings.TrimPrefix(r.URL.Path, CallbackPath), u}:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	}
}

// Run sends the texts and writes the transcript. It returns an error when one
// of them was not delivered.
func (d *Demo) Run(ctx context.Context) error {
	to, err := phone.Parse(person)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.printf(opening, d.o.URL, person)
	for n, usage := range []sms.UsageType{sms.UsageRegister, sms.UsageSignIn, sms.UsageTest} {
		if err := d.send(ctx, fmt.Sprint(n+1), usage, to); err != nil {
			return fmt.Errorf("demo: %s: %w", usage, err)
		}
	}
	d.printf(closing)
	return nil
}

const opening = `Three verification texts, no account, nothing leaves this machine.

A simulated Twilio answers on %[1]s. Open %[1]s/sim/ to see
the phone that gets the texts, %[2]s.
`

const closing = `
All three arrived. Next:
  sixdigit connector check FILE           checks your own connector JSON, offline
  sixdigit connector send FILE --to +1…   sends one text with it
  sixdigit twilio-sim                     the simulated Twilio alone
`

func (d *Demo) send(ctx context.Context, id string, usage sms.UsageType, to phone.Number) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	t, err := d.o.Catalog.Choose(usage)
	if err != nil {
		return err
	}
	body := sms.Render(t.Content, map[string]any{"code": d.o.Code()})
	size := sms.Measure(body)

	d.printf("\n%s\n", usage)
	d.printf("  template     %s\n", t.Content)
	start := time.Now()
	receipt, err := d.o.Sender.Send(ctx, connector.Message{
		To:          to,
		Body:        secret.New(body),
		CallbackURL: d.o.URL + CallbackPath + id,
	})
	if err != nil {
		return err
	}
	d.printf("  posted       %s, %d segment (%d units), %s as %s after %s\n",
		size.Encoding, size.Segments, size.Units, receipt.Status, receipt.ProviderID, since(start))
	status := receipt.Status
	for !status.Final() {
		select {
		case u := <-d.updates:
			if u.send != id || u.ProviderID != receipt.ProviderID || u.Status == status {
				continue
			}
			status = u.Status
			d.printf("  callback     %s, signature verified, after %s\n", status, since(start))
		case <-ctx.Done():
			return fmt.Errorf("still %s after %s", status, maxWait)
		}
	}
	if status != connector.StatusDelivered {
		return fmt.Errorf("the text ended as %s", status)
	}
	// What stands on the phone's screen is this demo's whole point, and the phone
	// is a simulated one. Nothing else in this program prints a body.
	shown := d.o.Phone(to.E164())
	d.printf("  on the phone %s\n", shown)
	if shown != body {
		return errors.New("the phone shows something else than was sent")
	}
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func (d *Demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.o.Out, format, args...) }
