package app_test

import (
	"os"
	"strings"
	"testing"
	"time"

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

// Every fault of a config comes at once.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/sixdigit.yaml"
	text := "countries: [XX, UK]\ncode: {length: 4, life: 1s}\nlimits: {nope: {burst: 1}, all_daily: {burst: 1, every: 1s}}\nlisten: nonsense\nlog: {level: loud}\napps: {a: {client_ip: maybe, test_numbers: [{number: 1, code: x}]}}\n"
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
	for _, want := range []string{"XX", "UK", "code", "life", "limits.nope", "all_daily", "listen", "log.level", "client_ip", "number", "until", "connector"} {
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
