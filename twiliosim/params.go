package twiliosim

import (
	"strconv"
	"strings"
	"time"
)

// params are the posted form fields, still as text.
type params map[string][]string

func (p params) get(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (p params) has(name string) bool { return len(p[name]) > 0 }

// flag reads a boolean; absent and empty mean the default.
func (p params) flag(name string, def bool) (bool, *apiError) {
	switch strings.ToLower(p.get(name)) {
	case "":
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return def, refuse(20422, name)
}

// among checks an enumeration; absent and empty are fine.
func (p params) among(name string, allowed ...string) *apiError {
	v := p.get(name)
	if v == "" {
		return nil
	}
	for _, a := range allowed {
		if v == a {
			return nil
		}
	}
	return refuse(20422, name)
}

// Rendering, shared by all resources.

func rfc2822(ns int64) string {
	return unixTime(ns).Format("Mon, 02 Jan 2006 15:04:05 +0000")
}

func rfc2822Time(t time.Time) string { return rfc2822(t.UnixNano()) }

func iso8601(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func itoa(n int) string { return strconv.Itoa(n) }

// orNull is nil for the empty string, so that JSON shows null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
