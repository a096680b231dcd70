package app

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/callback"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// ConnectorConfig is one of several connectors, which are tried in their order.
type ConnectorConfig struct {
	// Name is what answers, log and metrics call it. It stands in the URLs that
	// the provider is given, so that it must stay while texts are on their way.
	Name string `yaml:"name"`
	File string `yaml:"file"` // the connector JSON
	// Countries are the only ones that it serves; none are all that are allowed.
	Countries     []string `yaml:"countries,omitempty"`
	MaxConcurrent int      `yaml:"max_concurrent"` // 0 is the config's
}

// onlyConnector is the name of the connector where there is one.
const onlyConnector = "twilio"

// testName is what the texts of test numbers, which go nowhere, have as their
// connector.
const testName = "test"

var connectorName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// connectors are the connectors in their order, with all that they leave out.
func (c Config) connectors() []ConnectorConfig {
	if c.Connector != "" {
		return []ConnectorConfig{{Name: onlyConnector, File: c.Connector, MaxConcurrent: c.MaxConcurrent}}
	}
	all := slices.Clone(c.Connectors)
	for i := range all {
		if all[i].MaxConcurrent == 0 {
			all[i].MaxConcurrent = c.MaxConcurrent
		}
	}
	return all
}

// validateConnectors names everything that is wrong with the connectors.
// allowed are the countries that may be texted, as far as they are listed.
func (c Config) validateConnectors(allowed []string) []error {
	switch {
	case c.Connector != "" && len(c.Connectors) > 0:
		return []error{errors.New("connector, connectors: write one of the two")}
	case c.Connector == "" && len(c.Connectors) == 0:
		return []error{errors.New("connector: name the connector JSON, as connector: twilio.json (or --connector FILE)")}
	}
	var errs []error
	seen := map[string]bool{}
	served, everywhere := map[string]bool{}, c.Connector != ""
	for i, one := range c.Connectors {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("connectors[%d].%w", i, fmt.Errorf(format, args...)))
		}
		switch {
		case !connectorName.MatchString(one.Name):
			bad("name: write 1 to 32 lower-case letters, digits and -")
		case one.Name == testName:
			bad("name: %q is the name of what test numbers get", testName)
		case seen[one.Name]:
			bad("name: %q stands twice", one.Name)
		}
		seen[one.Name] = true
		if one.File == "" {
			bad("file: name the connector JSON, as file: twilio.json")
		}
		if one.MaxConcurrent < 0 {
			bad("max_concurrent: write 1 or more, or leave it out")
		}
		everywhere = everywhere || len(one.Countries) == 0
		for _, name := range one.Countries {
			country, ok := parseCountry(name)
			if !ok {
				everywhere = true // nobody can tell: one fault is one line
				bad("countries: %q is not an ISO 3166-1 code such as US; leave countries out where all are meant", name)
			}
			served[country] = true
		}
	}
	if !everywhere {
		for _, country := range allowed {
			if !served[country] {
				errs = append(errs, fmt.Errorf("countries: %s is served by no connector; add it to one, or leave one without countries", country))
			}
		}
	}
	return errs
}

// source is a connector's file, read.
type source struct {
	ConnectorConfig
	config  twilio.Config
	catalog *sms.Catalog
}

// readConnectors reads every connector's file. Its error has all their faults.
func readConnectors(c Config, log *slog.Logger) ([]source, error) {
	var all []source
	var errs []error
	for _, one := range c.connectors() {
		if one.File == "" {
			continue // which is a fault already
		}
		cfg, report := ReadConnector(one.File, nil)
		if !report.OK {
			errs = append(errs, fmt.Errorf("connector %s: %w", one.File, &connector.ConfigError{Faults: report.Faults}))
			continue
		}
		for _, w := range report.Warnings {
			log.Warn("connector file", "connector", one.Name, "path", w.Path, "warning", w.Message)
		}
		catalog, err := sms.NewCatalog(cfg.Templates)
		if err != nil {
			errs = append(errs, fmt.Errorf("connector %s: %w", one.File, err))
			continue
		}
		all = append(all, source{one, cfg, catalog})
	}
	return all, errors.Join(errs...)
}

// openClients makes the connectors.
func (s *Service) openClients(sources []source) ([]verify.Connector, error) {
	all := make([]verify.Connector, 0, len(sources))
	for _, one := range sources {
		// A send's own deadline rules; the client's ceiling must not be below it.
		client, err := twilio.New(one.config, twilio.Options{MaxConcurrent: one.MaxConcurrent, Timeout: 2 * s.config.Send.Timeout})
		if err != nil {
			return nil, fmt.Errorf("connector %s: %w", one.Name, err)
		}
		s.clients = append(s.clients, client)
		s.sources[one.Name] = callback.Source{Status: client, Replies: client}
		s.metrics.ConnectorOpen(one.Name, false) // an alert needs the figure from the start
		countries := make([]string, len(one.Countries))
		for i, name := range one.Countries {
			countries[i] = strings.ToUpper(name)
		}
		all = append(all, verify.Connector{Name: one.Name, Sender: client, Templates: one.catalog, Countries: countries})
	}
	return all, nil
}
