package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/hooks"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// HookConfig is an auth server that may have texts sent at /hooks/NAME.
type HookConfig struct {
	Kind         string            `yaml:"kind,omitempty"` // "" is the hook's name
	App          string            `yaml:"app,omitempty"`  // whose texts these are; "" is the hook's name
	Secrets      Secrets           `yaml:"secrets,omitempty"`
	UsageTypes   map[string]string `yaml:"usage_types,omitempty"`   // theirs to ours; "*" is the rest
	AnswerWithin time.Duration     `yaml:"answer_within,omitempty"` // 0 is the kind's
	SameWithin   time.Duration     `yaml:"same_within,omitempty"`   // 0 is the kind's
	Header       string            `yaml:"header,omitempty"`        // of kind generic
	Fields       FieldsConfig      `yaml:"fields,omitempty"`        // of kind generic
}

// FieldsConfig are a generic server's names for things.
type FieldsConfig struct {
	To       string `yaml:"to,omitempty"`
	Code     string `yaml:"code,omitempty"`
	Usage    string `yaml:"usage_type,omitempty"`
	Locale   string `yaml:"locale,omitempty"`
	ClientIP string `yaml:"client_ip,omitempty"`
	ID       string `yaml:"id,omitempty"`
	Channel  string `yaml:"channel,omitempty"`
}

// Secrets are one or several. In YAML they are a text or a list of texts; faults
// never quote them, and what is written out is redacted.
type Secrets []secret.String

// UnmarshalYAML reads a text or a list of texts.
func (s *Secrets) UnmarshalYAML(node *yaml.Node) error {
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	*s = nil
	for _, n := range nodes {
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			return fmt.Errorf("line %d: secrets: write a text or a list of texts", n.Line)
		}
		*s = append(*s, secret.New(n.Value))
	}
	return nil
}

// hookNames are the configured hooks, sorted.
func (c Config) hookNames() []string { return slices.Sorted(maps.Keys(c.Hooks)) }

// hook is a hook as the package hooks has it.
func (h HookConfig) hook(name string) hooks.Hook {
	out := hooks.Hook{
		Name: name, Kind: h.Kind, App: h.app(name), Secrets: h.Secrets, AnswerWithin: h.AnswerWithin, SameWithin: h.SameWithin,
		Header: h.Header, Fields: hooks.Fields(h.Fields), Usages: map[string]sms.UsageType{},
	}
	for theirs, ours := range h.UsageTypes {
		out.Usages[theirs] = sms.UsageType(ours)
	}
	return out
}

// app is whose texts a hook's are.
func (h HookConfig) app(name string) string {
	if h.App == "" {
		return name
	}
	return h.App
}

// hookFaults names everything that is wrong with the hooks.
func (c Config) hookFaults() []error {
	var errs []error
	for _, name := range c.hookNames() {
		config := c.Hooks[name]
		h := config.hook(name)
		faults := h.Faults()
		app, named := c.Apps[h.App]
		switch {
		case !access.ValidApp(h.App):
			faults = append(faults, errors.New("app: write lower-case letters, digits, - and _"))
		case !named: // see openHooks
		case app.ClientIP == "":
			faults = append(faults, fmt.Errorf("apps.%s.client_ip: write none, or required if whoever asks for this app's texts always has one", h.App))
		case app.ClientIP != "none" && !h.MayTellIP():
			faults = append(faults, fmt.Errorf("apps.%s.client_ip: required, but this hook has none; give the hook an app of its own", h.App))
		}
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("hooks.%s: %w", name, f))
		}
	}
	return errs
}

// hookSecretsPrefix and the hook's name, in capitals and with _ for -, name the
// environment variable that holds its secrets, parted by white space.
const hookSecretsPrefix = "SIXDIGIT_HOOK_"

func hookVariable(name string) string {
	return hookSecretsPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// openHooks makes the hooks, with the secrets of the environment beside those of
// the config.
func (s *Service) openHooks(getenv func(string) string, idem func(app, route, key string, body []byte) *verify.Idem) error {
	if len(s.config.Hooks) == 0 {
		return nil
	}
	o := hooks.Options{Messenger: s.verify, Idem: idem, Observe: s.metrics.hook, Log: s.log}
	var errs []error
	for _, name := range s.config.hookNames() {
		h := s.config.Hooks[name].hook(name)
		h.Secrets = slices.Clone(h.Secrets)
		// Most auth servers have no address to pass on: where the config does not name
		// the app, the hook's orders need none. Other callers of the app need theirs.
		_, named := s.config.Apps[h.App]
		h.NoClientIP = !named
		for one := range strings.FieldsSeq(getenv(hookVariable(name))) {
			h.Secrets = append(h.Secrets, secret.New(one))
		}
		if len(h.Secrets) == 0 {
			errs = append(errs, fmt.Errorf("hooks.%s: it has no secret; write secrets: into the config, or set %s", name, hookVariable(name)))
		}
		o.Hooks = append(o.Hooks, h)
	}
	if len(errs) > 0 {
		return &ConfigError{errors.Join(errs...)}
	}
	var err error
	if s.hooks, err = hooks.New(o); err != nil {
		return &ConfigError{err}
	}
	return nil
}

func (m *metrics) hook(name string, result hooks.Result) {
	m.hooks.WithLabelValues(name, string(result)).Inc()
}
