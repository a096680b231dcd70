// Command sixdigit sends verification codes by text message through Twilio.
//
// Exit status: 0 done, 1 the operation failed, 2 the command line or a
// configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sixdigit/sixdigit/internal/app"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

type cli struct {
	Demo      demoCmd      `cmd:"" help:"A whole verification on this machine: service, simulated Twilio, a page with a phone. No account needed."`
	Serve     serveCmd     `cmd:"" help:"Run the verification service."`
	Connector connectorCmd `cmd:"" help:"Check and try a connector JSON."`
	Keys      keysCmd      `cmd:"" help:"Make, list and revoke API keys."`
	Limits    limitsCmd    `cmd:"" help:"Clear limits."`
	Config    configCmd    `cmd:"" help:"Check the server config."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the tables of the store up to date."`
	Copy      copyCmd      `cmd:"" help:"Copy everything of one store into another one that is empty."`
	TwilioSim simCmd       `cmd:"" name:"twilio-sim" help:"Run the simulated Twilio alone."`
	OpenAPI   openapiCmd   `cmd:"" name:"openapi" help:"Print the API's OpenAPI 3.1 document."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// streams are where a command reads and writes, so that no command names os.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exitError ends the program with a status of its own. With no error inside,
// everything was said already.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(status)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, s streams) (status int) {
	helped := false
	var root cli
	parser, err := kong.New(&root,
		kong.Name("sixdigit"),
		kong.Description("Verification codes by text message, through Twilio.\n\nStart with: sixdigit demo"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { helped = true }), // kong exits only after --help
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err != nil {
		return complain(s, &exitError{exitUsage, err})
	}
	// What people try first.
	switch {
	case len(args) == 0, args[0] == "help":
		args = []string{"--help"}
	case args[0] == "--version":
		args = []string{"version"}
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return 0
	case err != nil:
		return complain(s, &exitError{exitUsage, fmt.Errorf("%w; see sixdigit --help", err)})
	}
	return complain(s, command.Run())
}

// complain writes the error for a person and returns the exit status.
func complain(s streams, err error) int {
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintln(s.err, "sixdigit: "+text)
	}
	var e *exitError
	var fault *app.ConfigError
	switch {
	case errors.As(err, &e):
		return e.status
	case errors.As(err, &fault):
		return exitUsage
	}
	return exitFailed
}
