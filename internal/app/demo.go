package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/demo"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// DemoOptions says how the demo runs.
type DemoOptions struct {
	Listen string       // "" is DefaultListen, or any free port where that is taken
	Exit   bool         // print a transcript and end
	Out    io.Writer    // for people
	Log    *slog.Logger // the service's; nil is silent
}

// transcriptStep is the simulated Twilio's pace where nobody watches.
const transcriptStep = 100 * time.Millisecond

// demoGrace is how long a request may go on when the demo is told to end. A
// browser keeps connections open on which it asks nothing.
const demoGrace = time.Second

// Demo runs a service with a store in a temporary folder, a simulated Twilio,
// and an app with a page to sign in on, until ctx ends. With Exit it makes a
// verification by itself, prints it and ends; its error says that the
// verification was not approved.
func Demo(ctx context.Context, o DemoOptions) error {
	d, err := openDemo(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil && !o.Exit:
		return nil // Ctrl-C while it starts is as good as later
	case err != nil:
		return err
	}
	return d.run(ctx, o)
}

// demoParts are a demo's parts, in the order in which they are opened.
type demoParts struct {
	listener net.Listener
	folder   string // of the store and the connector JSON
	twilio   *twiliosim.Server
	service  *Service
	app      *demo.Demo
	url      string
}

// openDemo opens the parts. The service runs first when run is called.
func openDemo(ctx context.Context, o DemoOptions) (d *demoParts, err error) {
	opened := &demoParts{}
	defer func() {
		if err != nil {
			if opened.service != nil {
				opened.service.close()
			}
			err = errors.Join(err, opened.close())
		}
	}()
	addr, fallback := o.Listen, false
	if addr == "" {
		addr, fallback = DefaultListen, true
	}
	if opened.listener, err = listen(ctx, addr, fallback); err != nil {
		return nil, err
	}
	if at := opened.listener.Addr(); !loopback(at) { // it shows codes to whoever asks
		return nil, fmt.Errorf("demo: %s is open to the network; name a loopback address, as 127.0.0.1:8010", at)
	}
	opened.url = localURL(opened.listener.Addr())
	if opened.folder, err = os.MkdirTemp("", "sixdigit-demo-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", cause(err))
	}
	// Twilio and the service are told where the other one is.
	public, err := listen(ctx, "127.0.0.1:0", false)
	if err != nil {
		return nil, err
	}
	sim := twiliosim.Options{InboundRequestURL: localURL(public.Addr()) + "/inbound/" + onlyConnector}
	if o.Exit {
		sim.Step = transcriptStep
	}
	opened.twilio = twiliosim.New(sim)
	if opened.service, err = demoService(ctx, opened.folder, opened.url, public, o.Log); err != nil {
		return nil, err
	}
	_, key, err := access.Create(ctx, opened.service.Keys(), access.Spec{Name: "demo", App: "demo"}, time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	opened.app, err = demo.New(demo.Options{API: opened.service.URL(), Key: key, Simulator: opened.twilio})
	return opened, err
}

// run serves until ctx ends or, with Exit, until the transcript does. The
// service closes itself.
func (d *demoParts) run(ctx context.Context, o DemoOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() {
		defer stop() // a demo with half its parts is none
		ended <- d.service.Run(ctx)
	}()
	server := edge.NewServer(d.app.Handler(), edge.Timeouts{Grace: demoGrace}, o.Log)
	server.OnStop(func() { // what would go on by itself: streams, and requests that wait for the simulator
		d.app.Close()
		_ = d.twilio.Close()
	})
	go func() {
		defer stop()
		err := server.Serve(ctx, d.listener)
		if errors.Is(err, edge.ErrUnfinished) {
			err = nil
		}
		ended <- err
	}()
	var err error
	if o.Exit {
		err = d.app.Transcript(ctx, o.Out)
	} else if _, err = fmt.Fprintf(o.Out, demoText, d.url); err == nil {
		<-ctx.Done()
	}
	stop()
	return errors.Join(err, <-ended, <-ended, d.close())
}

// close closes all parts but the service, the last one first.
func (d *demoParts) close() error {
	if d.app != nil {
		d.app.Close()
	}
	if d.twilio != nil {
		_ = d.twilio.Close()
	}
	if d.listener != nil {
		_ = d.listener.Close() // it may be closed already
	}
	if d.folder == "" {
		return nil
	}
	return os.RemoveAll(d.folder)
}

const demoText = `A sign-in by text message, all of it on this machine; no account needed.

  Open %s

Type a phone number there, for instance +1 415 555 0134, which belongs to
fiction. The text arrives on the phone beside the form: type its code. Every
request and answer is shown below. Stop it with Ctrl-C.
`

// demoService is the service as an operator runs it, with the simulated Twilio
// at url, which calls back on the public listener. Every country is allowed: no
// text leaves this machine.
func demoService(ctx context.Context, folder, url string, public net.Listener, log *slog.Logger) (*Service, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := DefaultConfig()
	c.Listen, c.PrivateListen, c.PublicURL = public.Addr().String(), "127.0.0.1:0", localURL(public.Addr())
	c.Data, c.Countries = filepath.Join(folder, "data"), []string{AllCountries}
	c.Connector = filepath.Join(folder, "twilio.json")
	text := fmt.Sprintf(demoConnector, twiliosim.DefaultAccountSID, twiliosim.DefaultAuthToken, twiliosim.DefaultMessagingServiceSID, url)
	if err := os.WriteFile(c.Connector, []byte(text), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the demo's connector JSON: %w", cause(err)), public.Close())
	}
	// The environment is this person's own service's, not the demo's.
	return newService(ctx, c, func(string) string { return "" }, log, public)
}

// demoConnector is the guide's example with its three credentials filled in:
// those of the simulator.
const demoConnector = `{
  "accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
  "templates": [
    { "usageType": "Register", "content": "Your sign-up code is {{code}}." },
    { "usageType": "SignIn",   "content": "Your sign-in code is {{code}}." },
    { "usageType": "Test",     "content": "A test: {{code}}." }
  ]
}
`
