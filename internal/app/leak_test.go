package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// Nothing that must stay secret is in any log, answer, metric or file of a run
// at debug level. Codes have ten digits, so that nothing matches by chance.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	hook := newReceiver(t, newHook)
	w := newWorldOf(t, func(w *world, c *app.Config) {
		c.Code.Length = 10
		hooked(hook, c)
		hook.refuse = 3 // some come again
		w.env = map[string]string{app.WebhookEnv("shop"): newHook}
		// Every text is refused by the first connector and carried by the second,
		// whose name stands in the URL of the world's inbound texts.
		w.connectors(c, app.ConnectorConfig{Name: "main", File: "broken.json"}, app.ConnectorConfig{Name: "twilio", File: "twilio.json"})
	})
	numbers := []string{person, "+14155550135", "+14155550136"}
	var secrets []string
	for _, n := range numbers {
		id := w.start(n, "session", "session-"+n, "locale", "en")
		code := w.code(n)
		secrets = append(secrets, code, wrong(code), w.sim.Messages(n)[0].Body, "session-"+n)
		check := "/v1/verifications/" + id + "/check"
		w.call("POST", check, map[string]any{"code": wrong(code)}, "Idempotency-Key", "k-"+id)
		w.call("POST", check, map[string]any{"code": wrong(code)}, "Idempotency-Key", "k-"+id)
		w.call("POST", check, `{"code": "`+code+`", "kode": 1}`)
		w.call("POST", check, `{"code": "`+code)
		w.call("POST", check, `{"code": [`+code+`]}`)
		w.call("POST", "/v1/verifications/"+id+"/resend", map[string]any{})
		w.call("POST", check, map[string]any{"code": code})
		w.call("GET", "/v1/verifications/"+id, nil)
		w.call("GET", "/v1/verifications/"+n, nil)
		w.call("GET", "/v1/verifications?to="+strings.TrimPrefix(n, "+"), nil)
		w.leakyCallbacks(id, n, code)
	}
	secrets = append(secrets, w.leakyMessages(numbers[0])...)
	more, lost := w.leakyFailures()
	numbers, secrets = append(numbers, more...), append(secrets, lost...)
	good := w.key
	w.key = "sd_0000000000000_" + strings.Repeat("0", 52)
	w.call("GET", "/v1/verifications/x", nil)
	w.key = good
	_, metrics := w.raw("GET", w.svc.PrivateURL()+"/metrics", nil)
	w.raw("GET", w.svc.PrivateURL()+"/readyz", nil)

	serverKey, err := os.ReadFile(filepath.Join(w.dir, "data", "key", "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	_, encoded, _ := strings.Cut(strings.TrimSpace(string(serverKey)), ":")
	rawKey, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{simToken, wrongToken} {
		secrets = append(secrets, token, base64.StdEncoding.EncodeToString([]byte(simAccount+":"+token)))
	}
	apiSecret := w.key[strings.LastIndexByte(w.key, '_')+1:]
	secrets = append(secrets, apiSecret, encoded, string(rawKey), hex.EncodeToString(rawKey))

	hookKey, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(newHook, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, newHook, strings.TrimPrefix(newHook, "whsec_"), string(hookKey))
	const busy = "+14155550142"
	numbers, secrets = append(numbers, busy), append(secrets, w.leakyLimit(busy)...)
	hook.all("limit.reached", "message.undelivered", "message.delivered", "verification.approved")

	places := map[string]string{"logs": w.logs.String(), "metrics": string(metrics), "answers": strings.Join(w.answers, "\n"), "events": hook.text()}
	for name, text := range places {
		for _, n := range numbers {
			digits := strings.TrimPrefix(n, "+")
			if name == "answers" { // the API's "to" is the one place for a number
				text = strings.ReplaceAll(text, `"to":"`+n+`"`, "")
			}
			if strings.Contains(text, digits) || strings.Contains(text, digits[1:]) {
				t.Errorf("%s hold the number %s", name, n)
			}
		}
	}
	for _, file := range databaseFiles(t, filepath.Join(w.dir, "data")) {
		places[file.name] = file.text
	}
	for name, text := range places {
		for _, s := range secrets {
			if i := strings.Index(text, s); i >= 0 {
				t.Errorf("%s hold a secret: …%q…", name, text[max(0, i-80):min(len(text), i+len(s)+40)])
			}
		}
	}
	if len(w.answers) < 60 || len(places["logs"]) < 10_000 {
		t.Errorf("the run was no run: %d answers, %d bytes of logs", len(w.answers), len(places["logs"]))
	}
	for _, want := range []string{
		`sixdigit_sends_total{connector="main",country="US",kind="auth",status="rejected"}`,
		`sixdigit_send_status_total{connector="twilio",country="US",kind="",status="delivered"}`,
		`sixdigit_callbacks_total{connector="twilio",kind="status",result="ok"}`,
		`sixdigit_callbacks_total{connector="twilio",kind="status",result="signature"}`,
		`sixdigit_callbacks_total{connector="twilio",kind="status",result="malformed"}`,
		`sixdigit_callbacks_total{connector="twilio",kind="reply",result="ok"}`,
	} {
		if !strings.Contains(places["metrics"], want) {
			t.Errorf("the run was no run: it did not come to %s", want)
		}
	}
}

// leakyCallbacks has Twilio's callback arrive, and others that hold a number
// and a code where neither belongs.
func (w *world) leakyCallbacks(id, number, code string) {
	w.t.Helper()
	path := "/callbacks/twilio/" + id + ".2"
	call := w.front.wait(w.t, path, "MessageStatus=delivered")
	post := func(path, form, signature string) {
		w.raw("POST", w.svc.URL()+path, form, "Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", signature)
	}
	signature := call.header.Get("X-Twilio-Signature")
	post(path, call.form, signature)
	post(path, call.form+"&Body="+code, signature)
	post(path, call.form+";"+code, signature)
	post("/callbacks/"+code+"/"+number, call.form, signature)
	post("/callbacks/twilio/"+number, call.form, code)
	post("/inbound/twilio", "From="+number+"&Body="+code, signature)
	post("/inbound/"+number, "From="+number+"&Body="+code, "")
	// From Twilio, and with words of a person's.
	at := w.front.URL + "/callbacks/twilio/" + number
	form := url.Values{"AccountSid": {simAccount}, "MessageSid": {"SM" + code}, "MessageStatus": {"delivered"}, "To": {number}, "Body": {code}}
	pairs := make([][2]string, 0, len(form))
	for name, values := range form {
		pairs = append(pairs, [2]string{name, values[0]})
	}
	post("/callbacks/twilio/"+number, form.Encode(), twiliosim.Sign(simToken, at, pairs))
	for _, word := range []string{"My code is " + code, "STOP", "START"} {
		if _, err := w.sim.Reply(number, simNumber, word); err != nil {
			w.t.Error(err)
		}
		w.front.wait(w.t, "/inbound/twilio", "Body="+url.QueryEscape(word)+"&")
	}
}

// leakyMessages sends messages of every outcome and returns what they say.
func (w *world) leakyMessages(number string) []string {
	w.call("POST", "/v1/messages", messageOf(number), "Idempotency-Key", "m-1")
	w.call("POST", "/v1/messages", messageOf(number), "Idempotency-Key", "m-1")
	w.call("POST", "/v1/messages", messageOf("+15005550004"))
	w.call("POST", "/v1/messages", messageOf(callersCode))
	broken := messageOf(number)
	broken["payload"] = map[string]any{"code": callersCode, callersCode: []string{callersCode}}
	w.call("POST", "/v1/messages", broken)
	w.fail(twiliosim.Faults{AcceptThen: "reset", Callbacks: "none"}) // it stays sealed on the disk
	w.call("POST", "/v1/messages", messageOf(number))
	w.sim.ClearFaults()
	return []string{callersCode, "Quux"}
}

// leakyFailures are refusals, lost answers and panics of the provider's side. It
// returns the numbers and the bodies.
func (w *world) leakyFailures() (numbers, bodies []string) {
	for _, n := range []string{"+15005550001", "+15005550004", "+15005550009"} {
		w.call("POST", "/v1/verifications", startOf(n))
		numbers = append(numbers, n)
	}
	const other = "+14155550140"
	for _, f := range []twiliosim.Faults{{Status: 429, Count: 1}, {Status: 500, Count: 1}, {AcceptThen: "reset", Count: 1}} {
		w.fail(f)
		w.call("POST", "/v1/verifications", startOf(other))
	}
	for _, m := range w.sim.Messages(other) {
		bodies = append(bodies, m.Body)
	}
	return append(numbers, other), bodies
}

// leakyLimit starts until a limit refuses it, and returns the bodies.
func (w *world) leakyLimit(number string) (bodies []string) {
	w.t.Helper()
	for n := 0; ; n++ {
		if status, _ := w.call("POST", "/v1/verifications", startOf(number)); status == http.StatusTooManyRequests {
			break
		} else if n > 100 {
			w.t.Fatal("no limit refuses anything")
		}
	}
	for _, m := range w.sim.Messages(number) {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

type file struct{ name, text string }

func databaseFiles(t *testing.T, dir string) (files []file) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{e.Name(), string(data)})
	}
	if len(files) == 0 {
		t.Fatal("no database")
	}
	return files
}
