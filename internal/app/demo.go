package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/demo"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// DemoOptions says how the demo runs.
type DemoOptions struct {
	Listen string // "" is DefaultListen, or any free port where that is taken
	Exit   bool   // end after the transcript
	Out    io.Writer
}

// Demo runs the simulated Twilio and sends it one text of every usage type of
// the guide's example, through the connector, over HTTP. Without Exit the
// simulator's page stays up until ctx ends. It returns an error when a text
// was not delivered.
func Demo(ctx context.Context, o DemoOptions) error {
	addr, fallback := o.Listen, false
	if addr == "" {
		addr, fallback = DefaultListen, true
	}
	ln, err := listen(ctx, addr, fallback)
	if err != nil {
		return err
	}
	if !loopback(ln.Addr()) {
		return errors.Join(fmt.Errorf("demo: %s is open to the network; name a loopback address, as 127.0.0.1:8010", ln.Addr()), ln.Close())
	}
	url := localURL(ln.Addr())
	cfg := demoConfig(url)
	client, err := twilio.New(cfg, twilio.Options{})
	if err != nil {
		return errors.Join(fmt.Errorf("demo: %w", err), ln.Close())
	}
	defer client.Close()
	catalog, err := sms.NewCatalog(cfg.Templates)
	if err != nil {
		return errors.Join(fmt.Errorf("demo: %w", err), ln.Close())
	}
	sim := twiliosim.New(twiliosim.Options{})
	show := demo.New(demo.Options{
		Sender: client, Parser: client, Catalog: catalog, URL: url, Out: o.Out, Code: randomCode,
		Phone: func(to string) string {
			if texts := sim.Messages(to); len(texts) > 0 {
				return texts[0].Body
			}
			return ""
		},
	})
	mux := http.NewServeMux()
	mux.Handle(demo.CallbackPath, show)
	mux.Handle("/", sim)

	parent := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, ln, mux, func() { _ = sim.Close() }) }()
	err = show.Run(ctx)
	if parent.Err() != nil {
		err = nil // Ctrl-C ends the demo, it does not fail it
	}
	if err == nil && !o.Exit {
		_, _ = fmt.Fprintf(o.Out, "\nThe phone stays at %s/sim/ until you press Ctrl-C.\n", url)
		<-ctx.Done()
	}
	stop()
	return errors.Join(err, <-served)
}

// demoConfig is the guide's example with its three credentials filled in: those
// of the simulator.
func demoConfig(url string) twilio.Config {
	return twilio.Config{
		AccountSID:          twiliosim.DefaultAccountSID,
		AuthToken:           secret.New(twiliosim.DefaultAuthToken),
		MessagingServiceSID: twiliosim.DefaultMessagingServiceSID,
		BaseURL:             url,
		Templates: []sms.Template{
			{Usage: sms.UsageRegister, Content: "Your sign-up code is {{code}}."},
			{Usage: sms.UsageSignIn, Content: "Your sign-in code is {{code}}."},
			{Usage: sms.UsageTest, Content: "A test: {{code}}."},
		},
	}
}
