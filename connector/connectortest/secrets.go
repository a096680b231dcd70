package connectortest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// shortest is the length under which a secret is found in a text by chance.
const shortest = 6

// NoSecrets fails t when v shows one of the secrets: printed with any verb of
// fmt, as JSON, or logged. An error is looked at together with everything that
// it wraps, a pointer together with what it points to. A secret also counts
// when it is written in base64 (as in a Basic header), in hex, or escaped as in
// a URL. Give the parts of a secret that no encoding cuts: a phone number
// without its plus sign.
func NoSecrets(t testing.TB, v any, secrets ...string) {
	t.Helper()
	if v == nil || len(secrets) == 0 {
		t.Fatalf("connectortest: NoSecrets was given nothing to look at or to look for")
	}
	for i, s := range secrets {
		if len(s) < shortest {
			t.Fatalf("connectortest: secret %d has %d characters, too few to be told from chance", i, len(s))
		}
	}
	all := shows(v)
	for i, s := range secrets {
		forms := writings(s)
		for _, shown := range all {
			if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(shown.text, form) }) {
				t.Errorf("connectortest: %s shows secret %d (%d characters)", shown.how, i, len(s))
			}
		}
	}
}

type shown struct{ how, text string }

// shows writes v, and all that hangs on it, in every way.
func shows(v any) []shown {
	var all []shown
	add := func(how, text string) { all = append(all, shown{how, text}) }
	for _, x := range parts(v) {
		name := fmt.Sprintf("%T", x)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			add(name+" printed with "+verb, fmt.Sprintf(verb, x))
		}
		if b, err := json.Marshal(x); err == nil {
			add(name+" as JSON", string(b))
		} else {
			add("the error of "+name+" as JSON", err.Error())
		}
		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", x)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "v", x)
		add(name+" logged as text", text.String())
		add(name+" logged as JSON", js.String())
	}
	return all
}

// parts returns v, what it points to, and the same of all errors it wraps.
func parts(v any) []any {
	all := []any{v}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && !r.IsNil() {
		all = append(all, r.Elem().Interface())
	}
	err, ok := v.(error)
	if !ok {
		return all
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			all = append(all, parts(e)...)
		}
	} else if e := errors.Unwrap(err); e != nil {
		all = append(all, parts(e)...)
	}
	return all
}

// writings are the forms in which s may be shown.
func writings(s string) []string {
	forms := []string{
		s, url.QueryEscape(s), url.PathEscape(s),
		hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))),
	}
	// Inside a longer text, base64 depends on where in three bytes s begins.
	// Its first and last characters depend on the neighbours as well.
	for before := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			b := e.EncodeToString([]byte(strings.Repeat("\x00", before) + s))
			b = b[(before*8+5)/6:]
			if (before+len(s))%3 != 0 {
				b = b[:len(b)-1]
			}
			forms = append(forms, b)
		}
	}
	return forms
}
