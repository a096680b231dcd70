package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/twiliosim"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"sixdigit": main})
}

// tidy removes what the tests built.
type tidy struct{ m *testing.M }

// Run implements testscript.TestingM.
func (t tidy) Run() int {
	defer func() {
		if dir, err := buildFolder(); err == nil {
			_ = os.RemoveAll(dir)
		}
	}()
	return t.m.Run()
}

// TestScripts runs each file of testdata/script as a session at a shell. In
// them, "expand FILE" replaces $SIM by the URL of a simulated Twilio that the
// script has to itself, and "fault JSON" makes that Twilio fail.
func TestScripts(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			sim := twiliosim.New(twiliosim.Options{Step: time.Millisecond})
			srv := httptest.NewServer(sim)
			env.Defer(func() {
				srv.Close()
				_ = sim.Close()
			})
			env.Setenv("SIM", srv.URL)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"expand": expand,
			"fault":  fault,
		},
	})
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), "$SIM", ts.Getenv("SIM"))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func fault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fault JSON")
	}
	ts.Check(putFaults(ts.Getenv("SIM"), args[0]))
}

// putFaults tells the simulated Twilio at url how to fail.
func putFaults(url, faults string) error {
	req, err := http.NewRequest(http.MethodPut, url+"/sim/faults", strings.NewReader(faults))
	if err != nil {
		return err
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("PUT /sim/faults: %s", resp.Status)
	}
	return nil
}
