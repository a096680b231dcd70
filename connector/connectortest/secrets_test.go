package connectortest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/secret"
)

// fake is a testing.TB that remembers whether it was failed.
type fake struct {
	testing.TB
	failed bool
	said   string
}

func (f *fake) Helper() {}

func (f *fake) Errorf(format string, args ...any) {
	f.failed = true
	f.said += fmt.Sprintf(format, args...)
}

func (f *fake) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f) // the real one does not return either
}

func looksAt(v any, secrets ...string) (f *fake) {
	f = &fake{}
	defer func() { _ = recover() }()
	NoSecrets(f, v, secrets...)
	return f
}

type holder struct {
	name   string
	hidden any
}

type jsonError struct{ s string }

func (jsonError) Error() string                  { return "json" }
func (jsonError) Format(s fmt.State, _ rune)     { _, _ = s.Write([]byte("json")) }
func (j jsonError) MarshalJSON() ([]byte, error) { return []byte(`"` + j.s + `"`), nil }

func TestNoSecretsFinds(t *testing.T) {
	t.Parallel()
	const s = "p4ss/w0rd+1"
	for name, v := range map[string]any{
		"text":            errors.New("got " + s),
		"wrapped":         fmt.Errorf("a: %w", &url.Error{Op: "Get", URL: "http://h/?q=" + url.QueryEscape(s), Err: errors.New("x")}),
		"behind a cover":  covered{errors.New(s)},
		"joined":          errors.Join(errors.New("x"), covered{errors.New(s)}),
		"field":           holder{name: s},
		"pointer":         &holder{name: s},
		"a map":           holder{hidden: http.Header{"Authorization": {s}}},
		"bytes":           holder{hidden: []byte(s)},
		"JSON alone":      jsonError{s},
		"path escaped":    errors.New(url.PathEscape(s)),
		"hex":             fmt.Errorf("%x", s),
		"upper hex":       fmt.Errorf("%X", s),
		"base64":          errors.New(base64.StdEncoding.EncodeToString([]byte(s))),
		"Basic":           errors.New(base64.StdEncoding.EncodeToString([]byte("u:" + s))),
		"Basic, longer":   errors.New(base64.StdEncoding.EncodeToString([]byte("us:" + s + "!"))),
		"base64 for URLs": errors.New(base64.RawURLEncoding.EncodeToString([]byte("use:" + s + "??"))),
	} {
		if f := looksAt(v, "another", s); !f.failed {
			t.Errorf("%s: not found", name)
		} else if strings.Contains(f.said, s) {
			t.Errorf("%s: the failure itself shows the secret: %s", name, f.said)
		}
	}
}

// covered hides in its text what it wraps.
type covered struct{ err error }

func (covered) Error() string   { return "covered" }
func (c covered) Unwrap() error { return c.err }

func TestNoSecretsPasses(t *testing.T) {
	t.Parallel()
	const s = "p4ss/w0rd+1"
	for name, v := range map[string]any{
		"an error":    fmt.Errorf("a: %w", errors.New("b")),
		"a wrapper":   holder{hidden: secret.New(s)},
		"and pointer": &holder{hidden: secret.New(s)},
	} {
		if f := looksAt(v, s); f.failed {
			t.Errorf("%s: %s", name, f.said)
		}
	}
}

// TestNoSecretsRefusesNothing: a check of nothing would pass for ever.
func TestNoSecretsRefusesNothing(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{
		"no value": looksAt(nil, "secret"), "no secrets": looksAt(errors.New("x")),
		"an empty one": looksAt(errors.New("x"), "secret", ""), "a short one": looksAt(errors.New("x"), "12345"),
	} {
		if !f.failed {
			t.Errorf("%s: passes", name)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"http://192.0.2.1/", "https://api.twilio.com/", "http://localhost.example.com/", "http://[2001:db8::1]/", "http://0.0.0.0/", "http://127.0.0.1.example.com/"} {
		if err := posts(t, host); !errors.Is(err, errElsewhere) {
			t.Errorf("%s: %v", host, err)
		}
	}
	url := nettest.Refused(t)
	for _, host := range []string{url, strings.Replace(url, "127.0.0.1", "localhost", 1), strings.Replace(url, "127.0.0.1", "127.1.2.3", 1)} {
		if err := posts(t, host); err == nil || errors.Is(err, errElsewhere) {
			t.Errorf("%s: %v, want a refused connection", host, err)
		}
	}
}

// posts makes a request by way of LoopbackOnly.
func posts(t *testing.T, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := LoopbackOnly().RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
