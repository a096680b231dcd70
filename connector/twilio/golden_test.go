package twilio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// The golden files are Twilio's side of the wire; their README tells what they
// hold. The simulator answers to the same files in its own package.
const goldens = "../../testdata/twilio"

var (
	goldenAccount   = "AC" + strings.Repeat("0", 32)
	goldenToken     = strings.Repeat("1", 32)
	goldenSecondary = strings.Repeat("2", 32)
	goldenService   = "MG" + strings.Repeat("0", 32)
	goldenKey       = "SK" + strings.Repeat("0", 32)
	goldenKeySecret = strings.Repeat("k", 32)
)

// readGoldens returns the sections of every file that matches, without the line
// end that closes each section.
func readGoldens(t *testing.T, pattern string) map[string]map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(goldens, pattern))
	if err != nil {
		t.Fatal(err)
	}
	const fewest = 20 // a wrong path must not pass as no cases
	if len(paths) < fewest {
		t.Fatalf("%s: %d files, want %d or more", pattern, len(paths), fewest)
	}
	files := map[string]map[string]string{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, f := range archive.Files {
			sections[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		files[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = sections
	}
	return files
}

func decodeGolden(t *testing.T, section string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(section))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("golden section: %v\n%s", err, section)
	}
}

// wantError holds what a golden says of an error; absent fields are not
// compared.
type wantError map[string]any

func (w wantError) diff(err *connector.Error) string {
	all := map[string]any{
		"kind":          string(err.Kind),
		"provider_code": err.ProviderCode,
		"http_status":   float64(err.HTTPStatus),
		"outcome":       string(err.Outcome),
		"actions":       err.Actions.String(),
		"advice":        string(err.Advice),
		"retry_after":   err.RetryAfter.String(),
	}
	got := wantError{}
	for key := range w {
		got[key] = all[key]
	}
	return cmp.Diff(w, got)
}

// placeholder stands for what changes from reply to reply; the connector is
// given the sample.
var placeholder = regexp.MustCompile(`<(?:hex|date|text|secs|int) ([^>]*)>`)

func samples(s string) string { return placeholder.ReplaceAllString(s, "$1") }

// TestGoldenCreate sends each golden form and is given the golden reply.
func TestGoldenCreate(t *testing.T) {
	for name, sections := range readGoldens(t, "create/*.txtar") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenCreate(t, sections)
		})
	}
}

func goldenCreate(t *testing.T, sections map[string]string) {
	want := struct {
		Sends       *bool  `json:"sends"`
		Auth        string `json:"auth"`
		CallbackURL string `json:"callback_url"`
		Receipt     *struct {
			ProviderID string           `json:"provider_id"`
			Status     connector.Status `json:"status"`
		} `json:"receipt"`
		Error wantError `json:"error"`
	}{}
	decodeGolden(t, sections["connector"], &want)
	form := goldenForm(t, sections["form"])
	if want.Sends != nil && !*want.Sends {
		form = url.Values{"To": {"+14155552671"}, "MessagingServiceSid": {goldenService}, "Body": {"Your code is 123456."}, "RiskCheck": {"enable"}}
	}

	server := &replier{t: t, form: form, user: goldenAccount, password: goldenToken}
	server.parseReply(sections)
	cfg, message := fromForm(t, form)
	if want.CallbackURL != "" {
		message.CallbackURL = want.CallbackURL
	}
	if want.Auth == "key" {
		cfg.APIKeySID, cfg.APIKeySecret = goldenKey, secret.New(goldenKeySecret)
		server.user, server.password = goldenKey, goldenKeySecret
	}
	ts := httptest.NewServer(server)
	defer ts.Close()
	cfg.BaseURL = ts.URL
	client := newClient(t, cfg)

	receipt, err := client.Send(t.Context(), message)
	if n := server.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if want.Receipt != nil {
		if err != nil {
			t.Fatalf("Send: %v", err)
		}
		if diff := cmp.Diff(connector.Receipt{ProviderID: want.Receipt.ProviderID, Status: want.Receipt.Status}, receipt); diff != "" {
			t.Error(diff)
		}
		return
	}
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("Send: receipt %v, error %v; want a *connector.Error", receipt, err)
	}
	if diff := want.Error.diff(e); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	carriesNoSecret(t, err, goldenToken, goldenKeySecret, message.Body.Reveal(), strings.TrimPrefix(message.To.E164(), "+"))
}

// goldenForm reads lines of name=value; a value in quotes is JSON.
func goldenForm(t *testing.T, section string) url.Values {
	t.Helper()
	form := url.Values{}
	for line := range strings.Lines(section) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			t.Fatalf("form line %q has no =", line)
		}
		if strings.HasPrefix(value, `"`) {
			decodeGolden(t, value, &value)
		}
		form.Add(name, value)
	}
	return form
}

// fromForm returns the config and the message that make the connector send
// form.
func fromForm(t *testing.T, form url.Values) (twilio.Config, connector.Message) {
	t.Helper()
	to, err := phone.Parse(form.Get("To"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := twilio.Config{
		AccountSID: goldenAccount, AuthToken: secret.New(goldenToken),
		MessagingServiceSID: form.Get("MessagingServiceSid"), From: form.Get("From"),
		SmartEncoded: form.Get("SmartEncoded") == "true", DisableRiskCheck: form.Get("RiskCheck") == "disable",
	}
	message := connector.Message{
		To: to, Body: secret.New(form.Get("Body")),
		CallbackURL: form.Get("StatusCallback"), WantFeedback: form.Get("ProvideFeedback") == "true",
	}
	if s := form.Get("ValidityPeriod"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		message.Validity = time.Duration(n) * time.Second
	}
	return cfg, message
}

func newClient(t *testing.T, cfg twilio.Config) *twilio.Client {
	t.Helper()
	client, err := twilio.New(cfg, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// replier is a Twilio that knows one request and one reply.
type replier struct {
	t              *testing.T
	form           url.Values
	user, password string
	status         int
	header         http.Header
	body           string
	requests       atomic.Int32
}

func (s *replier) parseReply(sections map[string]string) {
	lines := strings.Split(samples(sections["reply"]), "\n")
	if _, err := fmt.Sscanf(lines[0], "HTTP %d", &s.status); err != nil {
		s.t.Fatalf("reply line %q: %v", lines[0], err)
	}
	s.header = http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		s.header.Set(name, value)
	}
	s.body = samples(sections["body"])
}

func (s *replier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("reading the request: %v", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		s.t.Errorf("the request's form: %v", err)
	}
	user, password, _ := r.BasicAuth()
	got := []any{r.Method, r.URL.String(), r.Header.Get("Content-Type"), user, password, form}
	want := []any{
		http.MethodPost, "/2010-04-01/Accounts/" + goldenAccount + "/Messages.json", "application/x-www-form-urlencoded",
		s.user, s.password, s.form,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("request (-want +got):\n%s", diff)
	}
	for name := range s.header {
		w.Header().Set(name, s.header.Get(name))
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// carriesNoSecret proves that no way of printing the error shows a secret.
func carriesNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		shown := fmt.Sprintf("%v %+v %#v %q", e, e, e, e)
		for _, s := range secrets {
			if s != "" && strings.Contains(shown, s) {
				t.Errorf("%T shows a secret of %d characters", e, len(s))
			}
		}
	}
}

// TestGoldenCallback parses each golden callback.
func TestGoldenCallback(t *testing.T) {
	client := newClient(t, twilio.Config{
		AccountSID: goldenAccount, MessagingServiceSID: goldenService,
		AuthToken: secret.New(goldenToken), AuthTokenSecondary: secret.New(goldenSecondary),
	})
	for name, sections := range readGoldens(t, "callback/*.txt") {
		t.Run(name, func(t *testing.T) {
			goldenCallback(t, client, sections)
		})
	}
}

func goldenCallback(t *testing.T, client *twilio.Client, sections map[string]string) {
	want := struct {
		ProviderID string           `json:"provider_id"`
		Status     connector.Status `json:"status"`
		Error      wantError        `json:"error"`
		Refused    string           `json:"refused"`
	}{}
	decodeGolden(t, sections["expect"], &want)
	update, err := client.ParseStatus(signedForm(sections["url"], sections["signature"], sections["body"]))
	if want.Refused != "" {
		sentinel := map[string]error{
			"signature": connector.ErrSignature, "malformed": connector.ErrMalformed, "unknown_status": connector.ErrUnknownStatus,
		}[want.Refused]
		if sentinel == nil || !errors.Is(err, sentinel) {
			t.Errorf("ParseStatus: %v, want %s", err, want.Refused)
		}
		carriesNoSecret(t, err, goldenToken, goldenSecondary, sections["signature"], "14155552671")
		return
	}
	if err != nil {
		t.Fatalf("ParseStatus: %v", err)
	}
	if update.ProviderID != want.ProviderID || update.Status != want.Status {
		t.Errorf("update %q %q, want %q %q", update.ProviderID, update.Status, want.ProviderID, want.Status)
	}
	switch {
	case update.Err == nil && want.Error != nil:
		t.Errorf("no error, want %v", want.Error)
	case update.Err != nil && want.Error == nil:
		t.Errorf("error %v, want none", update.Err)
	case update.Err != nil:
		if diff := want.Error.diff(update.Err); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
}

func signedForm(publicURL, signature, body string) connector.Inbound {
	return connector.Inbound{
		PublicURL: publicURL,
		Header: http.Header{
			"Content-Type":       {"application/x-www-form-urlencoded; charset=utf-8"},
			"X-Twilio-Signature": {signature},
		},
		Body: []byte(body),
	}
}

// TestGoldenSignatures reads each vector as a status callback, once with the
// vector's token as the first and once as the second. Whether the rest of it
// is a callback does not matter: the signature comes first.
func TestGoldenSignatures(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(goldens, "signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Why, Token, URL, Signature string
		Params                           [][2]string
		Signs, SDK, Node                 bool
		Accept                           *bool
	}
	decodeGolden(t, string(data), &vectors)
	for _, v := range vectors {
		for _, place := range []string{"first", "second"} {
			t.Run(v.Name+"/"+place, func(t *testing.T) {
				cfg := twilio.Config{AccountSID: goldenAccount, MessagingServiceSID: goldenService, AuthToken: secret.New(v.Token)}
				if place == "second" {
					cfg.AuthToken, cfg.AuthTokenSecondary = secret.New(strings.Repeat("9", 32)), secret.New(v.Token)
				}
				body := url.Values{}
				for _, p := range v.Params {
					body.Add(p[0], p[1])
				}
				update, err := newClient(t, cfg).ParseStatus(signedForm(v.URL, v.Signature, body.Encode()))
				switch {
				case v.Accept == nil:
					// What is not signed must not be read.
					if err == nil && update.Status != connector.StatusDelivered {
						t.Errorf("read as %v, which nobody signed", update.Status)
					}
				case *v.Accept && errors.Is(err, connector.ErrSignature):
					t.Error("refused, want the signature accepted")
				case *v.Accept && body.Has("AccountSid") && (err != nil || update.Status != connector.StatusDelivered):
					t.Errorf("update %v, error %v; want delivered", update.Status, err)
				case !*v.Accept && !errors.Is(err, connector.ErrSignature):
					t.Errorf("error %v, want ErrSignature", err)
				}
			})
		}
	}
}
