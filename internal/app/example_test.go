package app_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/app"
)

// The example config loads as it stands, and with every commented default
// switched on it is the same config.
func TestExampleConfig(t *testing.T) {
	t.Parallel()
	const path = "../../sixdigit.example.yaml"
	c, err := app.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	plain, err := c.Effective(now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "# "); ok && (strings.HasPrefix(rest, " ") || strings.Contains(strings.SplitN(rest, "#", 2)[0], ":")) && !strings.Contains(rest, "Check it") {
			line = rest
		}
		lines = append(lines, line)
	}
	file := t.TempDir() + "/sixdigit.yaml"
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	c2, err := app.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	c2.Data, c2.Connector = c.Data, c.Connector // relative to another folder
	spelled, err := c2.Effective(now)
	if err != nil {
		t.Fatal(err)
	}
	if string(plain) != string(spelled) {
		t.Errorf("the commented lines are not the defaults:\n%s\n---\n%s", plain, spelled)
	}
}

// The examples that are no defaults are good as well.
func TestExampleConfigExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../sixdigit.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "connector:") { // connectors stand in its place
			lines = append(lines, strings.TrimPrefix(line, "## "))
		}
	}
	c := readConfig(t, strings.Join(lines, ""))
	c.Apps = nil // their test numbers are masked
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	effective, err := c.Effective(now)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: twilio", "name: spare", "max_concurrent: 20", "public_url: https://verify.example.com", "poll_after: 2m0s"} {
		if !strings.Contains(string(effective), want) {
			t.Errorf("the effective config does not have %s:\n%s", want, effective)
		}
	}
	// What is printed is a config itself, and says the same.
	again, err := readConfig(t, string(effective)).Effective(now)
	if diff := cmp.Diff(string(effective), string(again)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// readConfig reads a config from a folder of its own.
func readConfig(t *testing.T, text string) app.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sixdigit.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := app.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConnectorsOfAConfig(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connector: a.json\nconnectors: [{name: a, file: a.json}]": "write one of the two",
		"connectors: []":                           "name the connector JSON",
		"connectors: [{file: a.json}]":             "connectors[0].name",
		"connectors: [{name: Main, file: a.json}]": "connectors[0].name",
		"connectors: [{name: " + strings.Repeat("a", 33) + ", file: a.json}]":             "connectors[0].name",
		"connectors: [{name: a/b, file: a.json}]":                                         "connectors[0].name",
		"connectors: [{name: test, file: a.json}]":                                        "test numbers",
		"connectors: [{name: a, file: a.json}, {name: a, file: b.json}]":                  "stands twice",
		"connectors: [{name: a}]":                                                         "connectors[0].file",
		"connectors: [{name: a, file: a.json, max_concurrent: -1}]":                       "connectors[0].max_concurrent",
		"connectors: [{name: a, file: a.json, countries: [all]}]":                         "leave countries out",
		"connectors: [{name: a, file: a.json, countries: [UK]}]":                          `"UK" is not`,
		"connectors: [{name: a, file: a.json, countries: [CA]}]":                          "US is served by no connector",
		"connectors: [{name: a, file: a.json, countries: [us]}]":                          "",
		"connectors: [{name: a, file: a.json, countries: [CA]}, {name: b, file: a.json}]": "",
		"connector: a.json\nsend: {retry_rate: 0}":                                        "retry_rate",
		"connector: a.json\nsend: {poll_after: 1ms}":                                      "poll_after",
		"connector: a.json\nsend: {poll_after: 0s, feedback: false, retry_rate: 1}":       "",
		"connector: a.json\npublic_url: ftp://verify.example.com":                         "public_url",
		"connector: a.json\npublic_url: https://my_host.example.com":                      "underscore",
		"connector: a.json\npublic_url: https://user:secret@verify.example.com":           "public_url",
		"connector: a.json\npublic_url: https://verify.example.com/sms":                   "",
	} {
		_, err := readConfig(t, text+"\ncountries: [US]\n").Policy(time.Now())
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		case err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: more than one fault, or a secret: %v", text, err)
		}
	}
}

// Files are found beside the config, and every fault of every file comes at
// once, with those of the config.
func TestFilesOfConnectors(t *testing.T) {
	t.Parallel()
	c := readConfig(t, "connectors: [{name: a, file: a.json}, {name: b, file: /nowhere/b.json}, {name: c, file: \"-\"}]\nlog: {level: loud}\n")
	if file := c.Connectors[0].File; !filepath.IsAbs(file) || filepath.Base(file) != "a.json" || c.Connectors[1].File != "/nowhere/b.json" {
		t.Errorf("files are %+v", c.Connectors)
	}
	c.Data = t.TempDir()
	if err := os.WriteFile(c.Connectors[0].File, []byte(`{"accountSID": "AC0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := app.NewService(t.Context(), c, func(string) string { return "" }, slog.New(slog.DiscardHandler))
	var fault *app.ConfigError
	if !errors.As(err, &fault) {
		t.Fatalf("not a fault of the config: %v", err)
	}
	for _, want := range []string{"a.json", "/accountSID", "/authToken", "/nowhere/b.json", "no such file", "countries", "log.level"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the faults do not name %s:\n%v", want, err)
		}
	}
}

// Every fault of a config comes at once.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/sixdigit.yaml"
	text := "countries: [XX, UK]\ncode: {length: 4, life: 1s}\nlimits: {nope: {burst: 1}, all_daily: {burst: 1, every: 1s}}\nlisten: nonsense\nsend: {retry_rate: -1, poll_after: 1ns}\nlog: {level: loud}\napps: {a: {client_ip: maybe, test_numbers: [{number: 1, code: x}]}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := app.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Policy(time.Now())
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"XX", "UK", "code", "life", "limits.nope", "all_daily", "listen", "log.level", "client_ip", "number", "until", "connector", "retry_rate", "poll_after"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the faults do not name %s:\n%v", want, err)
		}
	}
	for text, want := range map[string]string{
		"listen: 127.0.0.1:1\n---\ncountries: [FR]\n":                              "more than one YAML document",
		"connector: x\ncountries: [US]\napps: {\"Shop App\": {client_ip: none}}\n": "Shop App",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := app.ReadConfig(file)
		if err == nil {
			_, err = c.Policy(time.Now())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	short := app.DefaultConfig()
	short.Connector, short.Countries, short.Code.Life = "x", []string{"US"}, time.Minute
	if _, err := short.Policy(time.Now()); err != nil {
		t.Errorf("a life of a minute: %v", err)
	}
	if err := os.WriteFile(file, []byte("countrys: [US]\nlisten: [1]\ncode: {lengt: 6}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = app.ReadConfig(file)
	for _, want := range []string{"countrys", "line 2", "lengt"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the faults do not name %s: %v", want, err)
		}
	}
}
