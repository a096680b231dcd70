package connector

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a configuration. It quotes no values: a token
// pasted into the wrong field must not end in a log.
type Fault struct {
	Path    string `json:"path"`    // JSON Pointer (RFC 6901); "" is the whole file
	Message string `json:"message"` // what is wrong
	Fix     string `json:"fix"`     // what to do
}

// Warning is something that works and is probably not meant.
type Warning struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// ConfigError holds every fault of a configuration, so that one look mends all.
type ConfigError struct {
	Faults []Fault
}

// Error lists the faults, one a line.
func (e *ConfigError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "connector: %s in the config", plural(len(e.Faults), "fault"))
	for _, f := range e.Faults {
		path := f.Path
		if path == "" {
			path = "(file)"
		}
		fmt.Fprintf(&b, "\n  %s: %s; %s", path, f.Message, f.Fix)
	}
	return b.String()
}
