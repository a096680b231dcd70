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

// ConfigFault returns a *ConfigError of the faults, or nil when there are none.
func ConfigFault(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &ConfigError{Faults: faults}
}

// Nearest returns the known name that word was probably meant to be, or "".
func Nearest(word string, known []string) string {
	best, bestDistance := "", 1+max(2, len(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is Levenshtein's, over bytes: names are ASCII.
func distance(a, b string) int {
	// A name ten times as long as any of ours is no slip of the finger.
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
