package twilioverify

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

var update = flag.Bool("update", false, "write the golden files and the tables anew")

// story is one golden file: requests, one after the other, and their raw answers.
type story struct {
	w     *world
	text  strings.Builder
	names map[string]string // of sids, in the order in which they come
}

// ask makes a request and writes down what was answered; what differs from run to
// run has a name in its place. It returns the answer as it came.
func (s *story) ask(method, path string, form ...string) string {
	s.w.t.Helper()
	return s.askAs(s.w.token, method, path, form...)
}

func (s *story) askAs(token secret.String, method, path string, form ...string) string {
	s.w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	body := ""
	target := s.w.url + path
	if method == http.MethodPost {
		body = values.Encode()
	} else if len(values) > 0 {
		target += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(s.w.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		s.w.t.Fatal(err)
	}
	req.SetBasicAuth(access.AccountSID(app), token.Reveal())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.w.http.Do(req)
	if err != nil {
		s.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer := readAll(s.w.t, resp.Body)
	fmt.Fprintf(&s.text, "> %s %s\n", method, path)
	for i := 0; i+1 < len(form); i += 2 {
		fmt.Fprintf(&s.text, "> %s=%s\n", form[i], form[i+1])
	}
	fmt.Fprintf(&s.text, "%d %s\n", resp.StatusCode, resp.Header.Get("Content-Type"))
	for _, name := range []string{"Retry-After", "WWW-Authenticate"} {
		if value := resp.Header.Get(name); value != "" {
			if name == "Retry-After" {
				value = "SECONDS"
			}
			fmt.Fprintf(&s.text, "%s: %s\n", name, value)
		}
	}
	s.text.WriteString(answer + "\n")
	return answer
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	sidPattern  = regexp.MustCompile(`(AC|VA|VE|VL)[0-9a-f]{32}`)
	timePattern = regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z`)
	codePattern = regexp.MustCompile(`\b[0-9]{10}\b`)
	pagePattern = regexp.MustCompile(`PageToken=[0-9a-v]{26}`)
)

// sid is the first sid of a kind in an answer.
func sid(answer, kind string) string {
	return regexp.MustCompile(kind + `[0-9a-f]{32}`).FindString(answer)
}

// plain gives what differs from run to run a name.
func (s *story) plain() string {
	text := sidPattern.ReplaceAllStringFunc(s.text.String(), func(sid string) string {
		if s.names[sid] == "" {
			s.names[sid] = fmt.Sprintf("%s_%d", sid[:2], len(s.names)+1)
		}
		return s.names[sid]
	})
	text = timePattern.ReplaceAllString(text, "TIME")
	text = codePattern.ReplaceAllString(text, "CODE")
	text = pagePattern.ReplaceAllString(text, "PageToken=TOKEN")
	return strings.ReplaceAll(text, s.w.url, "http://HOST")
}

func stories() map[string]func(s *story) {
	const services = "/v2/Services"
	service := func(s *story, more ...string) string {
		return services + "/" + sid(s.ask("POST", services, append([]string{"FriendlyName", "Corner shop"}, more...)...), "VA")
	}
	begin := func(s *story, va string, more ...string) string {
		return sid(s.ask("POST", va+"/Verifications", append([]string{"To", person, "Channel", "sms"}, more...)...), "VE")
	}
	return map[string]func(*story){
		"whole": func(s *story) {
			va := service(s)
			ve := begin(s, va)
			code := s.w.code(person)
			s.ask("POST", va+"/VerificationCheck", "To", person, "Code", wrong(code))
			begin(s, va)
			s.ask("GET", va+"/Verifications/"+ve)
			s.ask("GET", va+"/Verifications/"+person)
			s.ask("POST", va+"/VerificationCheck", "VerificationSid", ve, "Code", code)
			s.ask("POST", va+"/VerificationCheck", "VerificationSid", ve, "Code", code)
			s.ask("GET", va+"/Verifications/"+ve)
			s.ask("GET", va+"/Verifications/"+person)
		},
		"sixth_send": func(s *story) {
			va := service(s)
			for range 6 {
				begin(s, va)
			}
		},
		"sixth_check": func(s *story) {
			va := service(s)
			ve := begin(s, va)
			for range 6 {
				s.ask("POST", va+"/VerificationCheck", "To", person, "Code", wrong(s.w.code(person)))
			}
			s.ask("GET", va+"/Verifications/"+ve)
			s.w.clock.pass(verify.DefaultPolicy().Life)
			s.ask("POST", va+"/VerificationCheck", "To", person, "Code", "0000000000")
		},
		"cancel": func(s *story) {
			va := service(s)
			ve := begin(s, va)
			s.ask("POST", va+"/Verifications/"+ve, "Status", "canceled")
			s.ask("GET", va+"/Verifications/"+ve)
			s.ask("POST", va+"/VerificationCheck", "To", person, "Code", s.w.code(person))
		},
		"approve": func(s *story) {
			va := service(s)
			s.ask("POST", va+"/Verifications/"+begin(s, va), "Status", "approved")
			s.ask("GET", va+"/Verifications/"+person)
		},
		"custom_code": func(s *story) {
			va := service(s, "CustomCodeEnabled", "true")
			begin(s, va, "CustomCode", "KATZE47110")
			begin(s, va)
			s.ask("POST", va+"/VerificationCheck", "To", person, "Code", "KATZE47110")
			begin(s, service(s), "CustomCode", "KATZE47110")
		},
		"attempts": func(s *story) {
			va := service(s)
			ve := begin(s, va)
			begin(s, va)
			s.ask("POST", va+"/VerificationCheck", "To", person, "Code", s.w.code(person))
			vl := sid(s.ask("GET", "/v2/Attempts", "VerificationSid", ve, "PageSize", "1"), "VL")
			s.ask("GET", "/v2/Attempts/"+vl)
			s.ask("GET", "/v2/Attempts/Summary", "VerifyServiceSid", va[len(services)+1:])
			s.ask("GET", "/v2/Attempts", "PageSize", "1001")
			s.ask("GET", "/v2/Attempts", "PageToken", "x")
			s.ask("GET", "/v2/Attempts", "DateCreatedAfter", "yesterday")
			s.ask("GET", "/v2/Attempts", "Status", "pending")
		},
		"services": func(s *story) {
			va := service(s, "CodeLength", "10")
			s.ask("POST", va, "FriendlyName", "Shop", "CustomCodeEnabled", "true")
			s.ask("GET", va)
			s.ask("GET", services, "PageSize", "1")
			s.ask("POST", services)
			s.ask("POST", services, "FriendlyName", "shop", "CodeLength", "4")
			s.ask("POST", services, "FriendlyName", "shop", "CodeLength", "3")
			s.ask("POST", services, "FriendlyName", "shop", "CustomCodeEnabled", "perhaps")
			s.ask("DELETE", va)
			s.ask("GET", services+"/VA00000000000000000000000000000000")
		},
		"bad_parameters": func(s *story) {
			va := service(s, "CustomCodeEnabled", "true")
			for _, form := range [][]string{
				{"Channel", "sms"}, {"To", "0151 2345", "Channel", "sms"}, {"To", person}, {"To", person, "Channel", "call"},
				{"To", "+493012345678", "Channel", "sms"}, {"To", "+18005550199", "Channel", "sms"},
				{"To", person, "Channel", "sms", "Locale", "no language"}, {"To", person, "Channel", "sms", "CustomCode", "abc"},
				{"To", person, "Channel", "sms", "AppHash", "short"}, {"To", person, "Channel", "sms", "DeviceIp", "fe80::1%eth0"},
				{"To", person, "Channel", "sms", "RiskCheck", "perhaps"}, {"To", person, "Channel", "sms", "Tags", "[]"},
				{"To", person, "Channel", "sms", "RateLimits", "{}{"}, {"To", person, "Channel", "sms", "RateLimits", `{"nobody":"x"}`},
				{"To", person, "Channel", "sms", "Amount", "39.99"}, {"To", person, "Channel", "sms", "TemplateSid", "HJ1"},
				{"To", person, "Channel", "sms", "Unknown", "1"}, {"To", person, "To", person, "Channel", "sms"},
			} {
				s.ask("POST", va+"/Verifications", form...)
			}
			ve := begin(s, va)
			for _, form := range [][]string{
				{"To", person}, {"Code", "123456"}, {"To", person, "Code", "123"}, {"To", person, "VerificationSid", ve, "Code", "123456"},
				{"VerificationSid", "VE1", "Code", "123456"}, {"To", otherPerson, "Code", "123456"},
			} {
				s.ask("POST", va+"/VerificationCheck", form...)
			}
			s.ask("POST", va+"/Verifications/"+ve, "Status", "pending")
			s.ask("GET", va+"/Verifications/VE00000000000000000000000000000000")
			s.ask("GET", va+"/Verifications/nonsense")
		},
		"elsewhere": func(s *story) {
			s.askAs(secret.New("wrong"), "GET", services)
			s.askAs(s.w.key(app, access.ScopeRead), "POST", services, "FriendlyName", "shop")
			s.ask("GET", "/v2/Forms/form-push")
			s.ask("GET", services+"/"+access.DefaultServiceSID(app)+"/RateLimits")
			s.ask("PUT", services)
		},
	}
}

// TestGoldens holds raw answers to testdata/golden, one file for each story.
func TestGoldens(t *testing.T) {
	t.Parallel()
	for name, tell := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &story{w: newWorld(t), names: map[string]string{access.AccountSID(app): "AC", access.DefaultServiceSID(app): "VA_DEFAULT"}}
			tell(s)
			path := filepath.Join("testdata", "golden", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(s.plain()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), s.plain()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}
