package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// Two secrets, of which the second is being replaced.
const (
	newHook = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ="
	oldHook = "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ="
)

// receiver is an app's endpoint. It believes nothing that is not signed.
type receiver struct {
	*httptest.Server
	t      *testing.T
	verify []*standardwebhooks.Webhook
	got    chan received

	mu     sync.Mutex
	refuse int // so many requests get a 500
	bodies []string
}

type received struct {
	id   string
	Type string         `json:"type"`
	Time time.Time      `json:"timestamp"`
	Data map[string]any `json:"data"`
}

func newReceiver(t *testing.T, secrets ...string) *receiver {
	t.Helper()
	r := &receiver{t: t, got: make(chan received, 1000)}
	for _, s := range secrets {
		w, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		r.verify = append(r.verify, w)
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, string(body))
	for _, v := range r.verify {
		if err := v.Verify(body, req.Header); err != nil {
			r.t.Errorf("%s: %v", req.Header.Get("webhook-id"), err)
		}
	}
	if r.refuse > 0 {
		r.refuse--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	e := received{id: req.Header.Get("webhook-id")}
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Error(err)
	}
	r.got <- e
}

// text is the bodies of all requests.
func (r *receiver) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.bodies, "\n")
}

// all waits until events of all these types have come.
func (r *receiver) all(types ...string) {
	r.t.Helper()
	missing := map[string]bool{}
	for _, t := range types {
		missing[t] = true
	}
	timeout := time.After(20 * time.Second)
	for len(missing) > 0 {
		select {
		case e := <-r.got:
			delete(missing, e.Type)
		case <-timeout:
			r.t.Fatalf("no events of these types came: %v", missing)
		}
	}
}

// next returns the next event of a type; others may come before it.
func (r *receiver) next(want string) received {
	r.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e := <-r.got:
			if e.Type == want {
				return e
			}
		case <-timeout:
			r.t.Fatalf("no %s came", want)
		}
	}
}

// hooked is an app with a webhook to r.
func hooked(r *receiver, c *app.Config, secrets ...string) {
	hook := &app.WebhookConfig{URL: r.URL, AllowPrivate: true}
	for _, s := range secrets {
		hook.Secrets = append(hook.Secrets, secret.New(s))
	}
	c.Apps = map[string]app.OneApp{"shop": {Webhook: hook}}
}

// TestWebhooks lets each event happen, once, and hears of it.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, newHook, oldHook)
	w := newWorld(t, func(c *app.Config) {
		hooked(r, c, newHook, oldHook)
		c.Limits = map[string]app.LimitConfig{"app_number": {Burst: 2, Every: time.Hour}, "number": {Burst: 0}}
	})

	r.refuse = 1 // the first one comes again, with the same id
	id := w.start(person)
	delivered := r.next("message.delivered")
	if got := delivered.Data; got["verification_id"] != id || got["send_id"] != id+".1" || got["status"] != "delivered" || got["connector"] != "twilio" || got["message_id"] != nil {
		t.Errorf("message.delivered: %v", got)
	}
	w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(person)})
	approved := r.next("verification.approved")
	if got := approved.Data; got["id"] != id || got["status"] != "approved" || got["usage_type"] != "SignIn" || approved.id == delivered.id {
		t.Errorf("verification.approved: %v", got)
	}

	id = w.start(person)
	for range 5 {
		w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": wrong(w.code(person))})
	}
	if got := r.next("verification.exhausted").Data; got["id"] != id || got["status"] != "exhausted" {
		t.Errorf("verification.exhausted: %v", got)
	}

	for range 3 { // refused by the number's limit, one event
		if status, _ := w.call("POST", "/v1/verifications", startOf(person)); status != http.StatusTooManyRequests {
			t.Fatalf("the limit lets %d pass", status)
		}
	}
	if got := r.next("limit.reached").Data; got["limit"] != "app_number" || got["country"] != "US" || got["until"] == nil {
		t.Errorf("limit.reached: %v", got)
	}

	w.fail(twiliosim.Faults{Outcome: "undelivered", ErrorCode: 30003})
	_, message := w.call("POST", "/v1/messages", messageOf("+14155550141"))
	undelivered := r.next("message.undelivered").Data
	fault, _ := undelivered["error"].(map[string]any)
	if undelivered["message_id"] != message["id"] || undelivered["verification_id"] != nil || undelivered["status"] != "undelivered" || fault["kind"] == nil {
		t.Errorf("message.undelivered: %v", undelivered)
	}

	w.stop()
	close(r.got)
	for e := range r.got {
		if e.Type == "limit.reached" {
			t.Errorf("it was told twice: %v", e.Data)
		}
	}
	for _, b := range r.bodies {
		if strings.Contains(b, strings.TrimPrefix(person, "+")) || strings.Contains(b, "4155550141") || strings.Contains(b, callersCode) {
			t.Errorf("an event names a number or a code: %s", b)
		}
	}
}

// TestWebhookConfig: faults say what to mend, and nothing that is printed holds a
// secret.
func TestWebhookConfig(t *testing.T) {
	t.Parallel()
	const top = "countries: [US]\nconnector: a.json\napps:\n  shop:\n    webhook:\n      "
	for text, want := range map[string]string{
		"url: http://shop.example/":                                                            "apps.shop: webhook.url: events go by https",
		"url: https://10.0.0.1/":                                                               "apps.shop: webhook.url: the address is not one of the public internet",
		"url: https://user:pw@shop.example/":                                                   "apps.shop: webhook.url: write a URL",
		"events: [verification.approved]":                                                      "apps.shop: webhook.url: write a URL",
		"url: https://shop.example/\n      events: [approved]":                                 "webhook.events[0]: there is no event of this name; the events are verification.approved,",
		"url: https://shop.example/\n      secrets: [hunter2hunter2]":                          "apps.shop: webhook.secrets[0]: write whsec_",
		"url: https://shop.example/\n      events: [limit.reached, limit.reached]":             "webhook.events[1]: limit.reached stands twice",
		"url: https://shop.example/\n      secrets: [" + strings.Repeat(newHook+", ", 6) + "]": "6 are too many",
	} {
		_, err := readConfig(t, top+text).Policy(time.Now())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "pw@") || strings.Contains(err.Error(), newHook[6:]) {
			t.Errorf("the fault quotes a secret: %v", err)
		}
	}
	good := readConfig(t, top+"url: https://shop.example/hooks?token=hunter2\n      secrets: ["+newHook+"]")
	policy, err := good.Policy(time.Now())
	if err != nil || len(policy.Apps["shop"].Events) != 5 {
		t.Fatalf("%v, %v", policy.Apps["shop"].Events, err)
	}
	for range 2 { // what is printed changes nothing
		shown, err := good.Effective(time.Now())
		if err != nil || !strings.Contains(string(shown), "https://shop.example/[redacted]") || !strings.Contains(string(shown), "- '[redacted]'") ||
			strings.Contains(string(shown), "hunter2") || strings.Contains(string(shown), newHook[6:]) {
			t.Errorf("%v\n%s", err, shown)
		}
		if good.Apps["shop"].Webhook.URL != "https://shop.example/hooks?token=hunter2" {
			t.Error("printing the config has changed it")
		}
	}
}

// Secrets of the environment stand in the place of the file's.
func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		apps string
		env  map[string]string
		want string
	}{
		"none":               {"shop: {webhook: {url: https://shop.example/}}", nil, "set SIXDIGIT_WEBHOOK_SHOP, or secrets"},
		"a bad one":          {"shop: {webhook: {url: https://shop.example/}}", map[string]string{"SIXDIGIT_WEBHOOK_SHOP": "hunter2"}, "apps.shop.webhook (SIXDIGIT_WEBHOOK_SHOP): secrets[0]: write whsec_"},
		"a name for two":     {"a-b: {webhook: {url: https://shop.example/}}\n  a_b: {webhook: {url: https://shop.example/}}", map[string]string{"SIXDIGIT_WEBHOOK_A_B": newHook}, "SIXDIGIT_WEBHOOK_A_B is also what the app a-b is given"},
		"of the environment": {"shop: {webhook: {url: https://shop.example/}}", map[string]string{"SIXDIGIT_WEBHOOK_SHOP": newHook + "  " + oldHook}, ""},
		"of the file":        {"shop: {webhook: {url: https://shop.example/, secrets: [" + newHook + "]}}", nil, ""},
	} {
		cfg := readConfig(t, "listen: 127.0.0.1:0\nprivate_listen: 127.0.0.1:0\ncountries: [US]\nconnector: a.json\napps:\n  "+c.apps+"\n")
		cfg.Connector = "../../testdata/none.json" // the other fault, by which nothing is started
		_, err := app.NewService(t.Context(), cfg, func(name string) string { return c.env[name] }, jsonLog(io.Discard))
		if err == nil {
			t.Fatalf("%s: it was started", name)
		}
		if got := strings.Contains(err.Error(), "webhook"); got != (c.want != "") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestReplicasTellOnce: whichever replica finds out, one of them tells, in the
// order of each verification.
func TestReplicasTellOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, newHook)
	w, _ := newReplicas(t, 2, func(c *app.Config) { hooked(r, c, newHook) })
	const people = 8
	var ids []string
	for i := range people {
		to := "+1415555016" + string(rune('0'+i))
		id := w.start(to)
		w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": w.code(to)})
		ids = append(ids, id)
	}
	seen := map[string]int{}
	for timeout := time.After(30 * time.Second); len(seen) < 2*people; {
		select {
		case e := <-r.got:
			seen[e.id]++
		case <-timeout:
			t.Fatalf("%d of %d events came", len(seen), 2*people)
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	for _, id := range ids {
		if seen["msg_"+id+"_approved"] != 1 || seen["msg_"+id+"_1_delivered"] != 1 {
			t.Errorf("not all of %s was told", id)
		}
	}
}
