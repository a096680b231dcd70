package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/sixdigit/sixdigit/internal/app"
)

type demoCmd struct {
	Exit   bool   `help:"Make one verification without a browser, print every step and end; status 0 when it was approved."`
	Listen string `placeholder:"ADDR" help:"Where the page answers; 127.0.0.1:8010 by default, or any free port where that is taken."`
}

func (demoCmd) Help() string {
	return `It runs the service on a temporary folder, a simulated Twilio, and a page with a
sign-in form beside a phone. Nothing leaves this machine and no account is needed.

Examples:
  sixdigit demo
  sixdigit demo --exit`
}

func (c demoCmd) Run(ctx context.Context, s streams) error {
	log := newLogger(s, app.LogConfig{Level: "error"})
	return app.Demo(ctx, app.DemoOptions{Listen: c.Listen, Exit: c.Exit, Out: s.out, Log: log})
}

type simCmd struct {
	Listen string `default:"127.0.0.1:8010" placeholder:"ADDR" help:"Where to answer; port 0 takes a free one."`
}

func (simCmd) Help() string {
	return `It answers the parts of Twilio's API that sending texts needs, moves each text
from accepted to delivered, calls back with signatures, and fails on demand:

  curl -X PUT localhost:8010/sim/faults -d '{"status":429,"code":20429,"retry_after":2,"count":1}'

Examples:
  sixdigit twilio-sim
  sixdigit twilio-sim --listen 127.0.0.1:0`
}

func (c simCmd) Run(ctx context.Context, s streams) error {
	return app.Simulate(ctx, c.Listen, s.out, s.err)
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
	}
	_, err := fmt.Fprintf(s.out, "sixdigit %s%s %s %s/%s\n", app.Version(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
