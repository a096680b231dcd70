package app_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	hookSecret     = "6f1d2c3b4a596877_logto_hook"
	hookOldSecret  = "0a9b8c7d6e5f4a3b_logto_hook"
	standardSecret = "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
)

// withHooks is a config with hooks for Logto and Supabase; Supabase's secret is
// in the environment.
func withHooks(w *world, c *app.Config) {
	w.env = map[string]string{"SIXDIGIT_HOOK_SUPABASE": "v1,whsec_YW5vdGhlciBrZXkgb2YgMjQgYnl0ZXM= " + standardSecret}
	c.Hooks = map[string]app.HookConfig{
		"logto":    {Secrets: app.Secrets{secret.New(hookSecret), secret.New(hookOldSecret)}},
		"supabase": {App: "people"},
	}
}

// logto has Logto order a text, and returns what it would show.
func (w *world) logto(code string, headers ...string) (int, string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"to":%q,"type":"SignIn","payload":{"code":%q},"ip":"203.0.113.7"}`, strings.TrimPrefix(person, "+"), code)
	status, text := w.raw("POST", cmp.Or(w.at, w.svc.URL())+"/hooks/logto", body, append([]string{"Authorization", "Bearer " + hookSecret}, headers...)...)
	return status, string(text)
}

// supabase has Supabase order a text, in one of its tries.
func (w *world) supabase(uuid, try, code string) (int, string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"metadata":{"uuid":%q,"name":"send-sms","ip_address":"203.0.113.7"},"user":{"id":"x"},"sms":{"otp":%q,"phone":%q}}`,
		uuid, code, strings.TrimPrefix(person, "+"))
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(standardSecret, "v1,whsec_"))
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now().Unix()
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", try, now, body)
	status, text := w.raw("POST", w.svc.URL()+"/hooks/supabase", body, "Authorization", "",
		"webhook-id", try, "webhook-timestamp", fmt.Sprint(now), "webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return status, strings.TrimSpace(string(text))
}

// TestHooks: Logto and Supabase order texts from the whole service, twice, over a
// restart, and where Twilio refuses, hangs or is gone.
func TestHooks(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorldOf(t, func(w *world, c *app.Config) {
		withHooks(w, c)
		config = *c
	})
	for i, h := range [][]string{nil, nil, {"Authorization", "Bearer " + hookOldSecret}, {"Authorization", "Bearer x"}} {
		want := []int{204, 204, 204, 401}[i]
		if status, text := w.logto("7301946285", h...); status != want {
			t.Errorf("Logto, try %d: %d %s", i+1, status, text)
		}
	}
	for try := range 3 {
		if status, text := w.supabase("u1", fmt.Sprint("try", try), "7301946286"); status != 200 || text != "{}" {
			t.Errorf("Supabase, try %d: %d %s", try, status, text)
		}
	}
	if texts := w.sim.Messages(person); len(texts) != 2 || texts[1].Body != "Your secret code is 7301946285." || texts[0].Body != "Your secret code is 7301946286." {
		t.Errorf("the phone has %+v", texts)
	}
	w.stop()
	w.run(config)
	if status, _ := w.logto("7301946285"); status != 204 {
		t.Errorf("after a restart: %d", status)
	}
	if status, text := w.supabase("u1", "try9", "7301946286"); status != 200 || text != "{}" {
		t.Errorf("after a restart: %d %s", status, text)
	}
	if n := w.creates(); n != 2 {
		t.Errorf("Twilio was asked for %d texts", n)
	}
	if n := w.metric(`sixdigit_hooks_total{hook="logto",result="duplicate"}`); n != 1 {
		t.Errorf("duplicates of Logto: %v", n)
	}
	w.stop()
	for _, leak := range []string{hookSecret, hookOldSecret, standardSecret, "7301946285", "7301946286", strings.TrimPrefix(person, "+")} {
		if strings.Contains(w.logs.String(), leak) || strings.Contains(strings.Join(w.answers, ""), leak) {
			t.Errorf("log or answers hold %q", leak)
		}
	}
}

// TestHooksRefused: what Twilio has against a number reaches the person.
func TestHooksRefused(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, withHooks)
	w.fail(twiliosim.Faults{Code: 21211})
	if status, text := w.logto("7301946287"); status != 422 || text != "That number doesn't look right. Check it and try again." {
		t.Errorf("Logto: %d %s", status, text)
	}
	if status, text := w.supabase("u2", "a", "7301946288"); status != 200 || !strings.Contains(text, `{"error":{"http_code":422,"message":"That number doesn't look right`) {
		t.Errorf("Supabase: %d %s", status, text)
	}
}

// TestHooksWhenAnswersAreLost: Twilio took the text and nobody heard. The order is
// a success, and stays one text.
func TestHooksWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, withHooks)
	w.fail(twiliosim.Faults{AcceptThen: "reset"})
	for try := range 3 {
		if status, text := w.logto("7301946290"); status != 204 {
			t.Errorf("try %d: %d %s", try, status, text)
		}
	}
	if texts := w.sim.Messages(person); len(texts) != 1 || w.creates() != 1 {
		t.Errorf("%d texts of %d requests", len(texts), w.creates())
	}
}

// TestHooksWhenTwilioHangs: the answer is in time, and the text comes once.
func TestHooksWhenTwilioHangs(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, func(w *world, c *app.Config) {
		withHooks(w, c)
		h := c.Hooks["supabase"]
		h.AnswerWithin = 1200 * time.Millisecond
		c.Hooks["supabase"] = h
	})
	release := make(chan struct{})
	w.between(func(rw http.ResponseWriter, r *http.Request, sim http.Handler) {
		if isCreate(r) {
			<-release
		}
		sim.ServeHTTP(rw, r)
	})
	for try := range 2 {
		began := time.Now()
		if status, text := w.supabase("u3", fmt.Sprint(try), "7301946289"); status != 200 || text != "{}" || time.Since(began) > 3*time.Second {
			t.Errorf("try %d: %d %s after %s", try, status, text, time.Since(began))
		}
	}
	close(release)
	w.until("the text", func() bool { return len(w.sim.Messages(person)) > 0 })
	if status, text := w.supabase("u3", "late", "7301946289"); status != 200 || text != "{}" || w.creates() != 1 {
		t.Errorf("%d %s, %d texts", status, text, w.creates())
	}
}

// TestHooksLoosenNothing: the orders of a hook need no address, and the JSON API asks
// the same app for one as before there was the hook.
func TestHooksLoosenNothing(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorldOf(t, func(w *world, c *app.Config) {
		withHooks(w, c)
		config = *c
	})
	order := `{"to":"` + person + `","type":"SignIn","payload":{"code":"7301946285"}}`
	if status, text := w.raw("POST", w.svc.URL()+"/hooks/logto", order, "Authorization", "Bearer "+hookSecret); status != http.StatusNoContent {
		t.Errorf("the hook without an address: %d %s", status, text)
	}
	_, key, err := app.CreateKey(t.Context(), config, app.KeySpec{Name: "back-end", App: "logto"})
	if err != nil {
		t.Fatal(err)
	}
	w.key = key.Reveal()
	for path, body := range map[string]string{
		"/v1/messages":      `{"to":"` + person + `","usage_type":"SignIn","payload":{"code":"482913"}}`,
		"/v1/verifications": `{"to":"` + person + `","usage_type":"SignIn"}`,
	} {
		if status, text := w.raw("POST", w.svc.URL()+path, body); status != http.StatusBadRequest && status != http.StatusUnprocessableEntity || !strings.Contains(string(text), "client_ip_required") {
			t.Errorf("%s without an address: %d %s", path, status, text)
		}
	}
}

func TestHookConfig(t *testing.T) {
	t.Parallel()
	for yamlText, want := range map[string]string{
		"hooks: {logto: {secrets: [0123456789abcdef]}}":                                                                       "",
		"hooks: {logto: {secrets: 0123456789abcdef}}":                                                                         "",
		"hooks: {logto: {}}":                                                                                                  "", // its secret may be in the environment
		"hooks: {logto: {secrets: [hunter2]}}":                                                                                "hooks.logto: secrets: one is shorter than 16 characters",
		"hooks: {logto: {secrets: {a: hunter2hunter2hunter2}}}":                                                               "secrets: write a text or a list of texts",
		"hooks: {logto: {secret: hunter2hunter2hunter2}}":                                                                     "secret not found",
		"hooks: {auth0: {secrets: [hunter2hunter2hunter2]}}":                                                                  "hooks.auth0: kind: write one of",
		"hooks: {logto: {app: Shop}}":                                                                                         "hooks.logto: app: write lower-case letters",
		"hooks: {logto: {app: shop}}\napps: {shop: {domains: [a.example]}}":                                                   "apps.shop.client_ip: write none",
		"hooks: {kratos: {app: shop}}\napps: {shop: {client_ip: required}}":                                                   "give the hook an app of its own",
		"hooks: {logto: {app: shop}}\napps: {shop: {client_ip: required}}":                                                    "",
		"hooks: {x: {kind: generic, app: shop, fields: {to: t, code: c}}}\napps: {shop: {client_ip: required}}":               "an app of its own",
		"hooks: {x: {kind: generic, app: shop, fields: {to: t, code: c, client_ip: i}}}\napps: {shop: {client_ip: required}}": "",
	} {
		path := filepath.Join(t.TempDir(), "sixdigit.yaml")
		if err := os.WriteFile(path, []byte("connector: c.json\ncountries: [US]\n"+yamlText+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := app.ReadConfig(path)
		var text []byte
		if err == nil {
			text, err = c.Effective(time.Now())
		}
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", yamlText, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error holds the secret: %v", yamlText, err)
		case strings.Contains(string(text), "0123456789abcdef"):
			t.Errorf("%s: the effective config holds the secret:\n%s", yamlText, text)
		}
	}
	// Without a secret anywhere nothing starts.
	w := newWorld(t, nil)
	w.stop()
	c := app.DefaultConfig()
	c.Listen, c.PrivateListen, c.Data = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(w.dir, "other")
	c.Connector, c.Countries = w.file("twilio.json"), []string{"US"}
	c.Hooks = map[string]app.HookConfig{"my-logto": {Kind: "logto"}}
	if _, err := app.NewService(t.Context(), c, func(string) string { return "" }, jsonLog(w.logs)); err == nil || !strings.Contains(err.Error(), "SIXDIGIT_HOOK_MY_LOGTO") {
		t.Errorf("no secret: %v", err)
	}
}

var block = regexp.MustCompile("(?s)```(yaml|sh|text)\n(.*?)```")

// TestIntegrationGuides follows every guide: the service is configured as it says,
// its command line is run against it, and what it promises is what comes.
func TestIntegrationGuides(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "openssl", "od"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the command %s, which the guides use, is missing", tool)
		}
	}
	const folder = "../../docs/integrations/"
	for _, name := range []string{"logto", "supabase", "kratos", "zitadel", "authgear", "generic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(folder + name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			var command, promised string
			w := newWorldOf(t, func(_ *world, c *app.Config) {
				for _, b := range block.FindAllStringSubmatch(string(text), -1) {
					switch {
					case b[1] == "yaml" && strings.HasPrefix(b[2], "hooks:"):
						var part struct{ Hooks map[string]app.HookConfig }
						if err := yaml.Unmarshal([]byte(b[2]), &part); err != nil {
							t.Fatal(err)
						}
						for hook, config := range part.Hooks {
							if c.Hooks == nil {
								c.Hooks = map[string]app.HookConfig{}
							}
							c.Hooks[hook] = config
						}
					case b[1] == "sh" && strings.Contains(b[2], "curl"):
						command = b[2]
					case b[1] == "text":
						promised = strings.TrimSpace(b[2])
					}
				}
			})
			if !strings.Contains(command, "http://127.0.0.1:8080/hooks/") || promised == "" {
				t.Fatal("the guide has no command line, or does not say what it prints")
			}
			for range 2 { // the second time it is the same order
				cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "http://127.0.0.1:8080", w.svc.URL()))
				out, err := cmd.CombinedOutput()
				if first, _, _ := strings.Cut(string(out), "\r\n"); err != nil || first != promised {
					t.Errorf("%v, %s; promised %s", err, out, promised)
				}
			}
			want := 1
			if name == "supabase" {
				want = len(w.sim.Messages(person)) // the id is the second it was sent in
			}
			if texts := w.sim.Messages(person); len(texts) != want || want < 1 || texts[0].Body != "Your secret code is 246810." {
				t.Errorf("the phone has %+v", texts)
			}
		})
	}
	if _, err := os.Stat(folder + "README.md"); err != nil {
		t.Error(err)
	}
}
