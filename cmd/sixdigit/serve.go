package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/httpapi"
	"github.com/sixdigit/sixdigit/phone"
)

// configFlags are the flags that stand over the config file.
type configFlags struct {
	Config        string   `placeholder:"FILE" env:"SIXDIGIT_CONFIG" help:"The server config, a YAML file."`
	Connector     string   `placeholder:"FILE" env:"SIXDIGIT_CONNECTOR" help:"The connector JSON, in place of all that the config names."`
	Countries     []string `placeholder:"US,CA" env:"SIXDIGIT_COUNTRIES" help:"The countries that may be texted, ISO 3166-1 codes; all allows every one."`
	Listen        string   `placeholder:"ADDR" env:"SIXDIGIT_LISTEN" help:"Where the API answers; 127.0.0.1:8080 by default."`
	PrivateListen string   `placeholder:"ADDR" env:"SIXDIGIT_PRIVATE_LISTEN" help:"Where health and metrics answer; 127.0.0.1:8081 by default."`
	PublicURL     string   `name:"public-url" placeholder:"URL" env:"SIXDIGIT_PUBLIC_URL" help:"Where providers reach the API, for status callbacks; without it texts are asked after instead."`
	Data          string   `placeholder:"DIR" env:"SIXDIGIT_DATA" help:"The data folder; sixdigit-data by default."`
	Store         string   `placeholder:"URL" help:"A PostgreSQL database, without its password, in place of the one in the data folder ($SIXDIGIT_STORE may hold a password)."`
}

func (f configFlags) load() (app.Config, error) {
	c := app.DefaultConfig()
	if f.Config != "" {
		var err error
		if c, err = app.ReadConfig(f.Config); err != nil {
			return c, &exitError{exitUsage, err}
		}
	}
	for _, over := range []struct {
		flag string
		to   *string
	}{
		{f.Connector, &c.Connector},
		{f.Listen, &c.Listen},
		{f.PrivateListen, &c.PrivateListen},
		{f.PublicURL, &c.PublicURL},
		{f.Data, &c.Data},
	} {
		if over.flag != "" {
			*over.to = over.flag
		}
	}
	if f.Connector != "" {
		c.Connectors = nil // one stands over several
	}
	if len(f.Countries) > 0 {
		c.Countries = f.Countries
	}
	store, err := storeFlag("store", f.Store)
	if !store.IsEmpty() {
		c.Store = app.Store{String: store}
	}
	return c, err
}

type serveCmd struct {
	configFlags
}

func (serveCmd) Help() string {
	return `A connector JSON and the countries are enough to start on an empty folder:

  sixdigit serve --connector twilio.json --countries US,CA
  sixdigit keys create --name shop

The server's own key comes from DATA/key/server.key, made on the first start, or
from the environment (` + app.KeyEnv + `). Keep it apart from backups of the database:
with both, codes can be computed.`
}

func (c serveCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	log := newLogger(s, config.Log)
	service, err := app.NewService(ctx, config, os.Getenv, log)
	var fault *app.ConfigError
	switch {
	case errors.As(err, &fault):
		return &exitError{exitUsage, fmt.Errorf("nothing was started:\n%s", indent(err.Error()))}
	case err != nil:
		return err
	}
	_, _ = fmt.Fprintf(s.out, "sixdigit answers on %s; health and metrics on %s\n", service.URL(), service.PrivateURL())
	return service.Run(ctx)
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

func newLogger(s streams, c app.LogConfig) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // a wrong one is a fault that the policy names
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(s.err, o))
	}
	return slog.New(slog.NewTextHandler(s.err, o))
}

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Print the effective server config, or everything that is wrong with it."`
}

type configCheckCmd struct {
	File string `arg:"" help:"The server config, a YAML file."`
}

func (c configCheckCmd) Run(s streams) error {
	config, err := app.ReadConfig(c.File)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	text, err := config.Effective(time.Now())
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%s:\n%s", c.File, indent(err.Error()))}
	}
	_, err = s.out.Write(text)
	return err
}

type openapiCmd struct{}

func (openapiCmd) Run(s streams) error {
	document, err := httpapi.OpenAPI(app.Version())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", document)
	return err
}

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make an API key. It is shown once."`
	List   keysListCmd   `cmd:"" help:"List the API keys."`
	Revoke keysRevokeCmd `cmd:"" help:"End an API key for good."`
}

type keysCreateCmd struct {
	configFlags
	Name   string        `required:"" help:"What the key is called, and the app it belongs to unless --app names one."`
	App    string        `help:"The app that the key belongs to; an app sees its own verifications only."`
	Scopes []string      `enum:"verify,messages,read" placeholder:"verify,messages,read" help:"What the key may do in the JSON API; everything by default, and nothing with --twilio."`
	Life   time.Duration `placeholder:"720h" help:"How long the key works; for ever by default."`
	Twilio bool          `help:"Show the key as an account sid and a token, for clients of Twilio Verify. Only such a key opens that API."`
	JSON   bool          `name:"json" help:"Print one JSON document."`
}

func (keysCreateCmd) Help() string {
	return `The service may be running: the key works at once.

Examples:
  sixdigit keys create --name shop
  sixdigit keys create --name shop --twilio
  sixdigit keys create --name shop-reports --app shop --scopes read --json`
}

type createdKey struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Key  string `json:"key"`
}

func (c keysCreateCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	folder, fresh := config.Folder()
	if c.Twilio {
		c.Scopes = append(c.Scopes, string(access.ScopeTwilio))
	}
	key, shown, err := app.CreateKey(ctx, config, app.KeySpec{Name: c.Name, App: c.App, Scopes: c.Scopes, Life: c.Life})
	switch {
	case errors.Is(err, access.ErrSpec):
		return &exitError{exitUsage, err}
	case err != nil:
		return err
	}
	_, _ = fmt.Fprintf(s.err, "for the app %s, in %s\n", key.App, folder)
	if fresh {
		_, _ = fmt.Fprintln(s.err, "This folder is new and empty: the key is only for a service that runs on it. Is yours elsewhere, name its folder with --data.")
	}
	if c.Twilio {
		return c.showAccount(s, config, key, shown)
	}
	// Here and there a key is shown: whoever asked for it has to see it.
	if c.JSON {
		return writeJSON(s.out, createdKey{key.ID, key.Name, shown.Reveal()})
	}
	_, _ = fmt.Fprintf(s.err, "Keep this key: it is not shown again. Send it as Authorization: Bearer KEY\n")
	_, err = fmt.Fprintln(s.out, shown.Reveal())
	return err
}

type keysListCmd struct {
	configFlags
	JSON bool `name:"json" help:"Print one JSON document."`
}

type listedKey struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	App       string         `json:"app"`
	Scopes    []access.Scope `json:"scopes"`
	CreatedAt time.Time      `json:"created_at"`
	UsedOn    time.Time      `json:"used_on,omitzero"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	RevokedAt time.Time      `json:"revoked_at,omitzero"`
}

func (c keysListCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	keys, err := app.ListKeys(ctx, config)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		folder, _ := config.Folder()
		_, _ = fmt.Fprintf(s.err, "no keys in %s\n", folder)
	}
	list := make([]listedKey, 0, len(keys))
	for _, k := range keys {
		list = append(list, listedKey{k.ID, k.Name, k.App, k.Scopes, k.CreatedAt, k.UsedOn, k.ExpiresAt, k.RevokedAt})
	}
	if c.JSON {
		return writeJSON(s.out, map[string]any{"keys": list})
	}
	for _, k := range list {
		state := "works"
		if !k.RevokedAt.IsZero() {
			state = "revoked " + k.RevokedAt.Format(time.DateOnly)
		} else if !k.ExpiresAt.IsZero() {
			state = "until " + k.ExpiresAt.Format(time.DateOnly)
		}
		if _, err := fmt.Fprintf(s.out, "%s  app %s  name %s  %v  %s\n", k.ID, k.App, k.Name, k.Scopes, state); err != nil {
			return err
		}
	}
	return nil
}

type keysRevokeCmd struct {
	configFlags
	ID string `arg:"" help:"The key's id, as keys list shows it."`
}

func (c keysRevokeCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	if err := app.RevokeKey(ctx, config, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.err, "%s is revoked; a running service refuses it within seconds\n", c.ID)
	return err
}

type limitsCmd struct {
	Clear limitsClearCmd `cmd:"" help:"Give a locked-out person back their tries."`
}

type limitsClearCmd struct {
	configFlags
	To  string `required:"" placeholder:"+1…" help:"The person's number, in E.164 form."`
	App string `required:"" help:"The app at which they are locked out."`
}

func (limitsClearCmd) Help() string {
	return `Limits are found by the server key: name the service's config or data folder, or set
` + app.KeyEnv + `. With another key nothing is found, nothing cleared, and this
command cannot tell.

Examples:
  sixdigit limits clear --app shop --to +14155550134`
}

func (c limitsClearCmd) Run(ctx context.Context, s streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	to, err := phone.Parse(c.To)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--to: %w", err)}
	}
	if err := app.ClearLimits(ctx, config, os.Getenv, c.App, to); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.err, "the limits of %s at %s are cleared\n", to, c.App)
	return err
}
