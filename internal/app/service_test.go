package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const person = "+14155550134"

func TestWholeVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.start(person)
	code := w.code(person)
	if status, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": wrong(code)}); status != 200 || v["valid"] != false || v["attempts_left"] != 4.0 {
		t.Errorf("a wrong code: %d %v", status, v)
	}
	if status, v := w.call("POST", "/v1/verifications/"+id+"/resend", map[string]any{}); status != 429 || v["retry_after"] == nil {
		t.Errorf("a resend before its time: %d %v", status, v)
	}
	if status, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": code}); status != 200 || v["valid"] != true || v["status"] != "approved" {
		t.Errorf("the right code: %d %v", status, v)
	}
	if status, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": code}); status != 200 || v["valid"] != false {
		t.Errorf("the right code again: %d %v", status, v)
	}
	if status, v := w.call("GET", "/v1/verifications/"+id, nil); status != 200 || v["status"] != "approved" {
		t.Errorf("get: %d %v", status, v)
	}
}

// Codes survive a restart; ended verifications stay ended.
func TestRestart(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorld(t, func(c *app.Config) { config = *c })
	pending, canceled := w.start(person), w.start("+14155550135")
	code, dead := w.code(person), w.code("+14155550135")
	if status, _ := w.call("DELETE", "/v1/verifications/"+canceled, nil); status != 200 {
		t.Errorf("cancel: %d", status)
	}
	w.stop()
	w.run(config)
	if _, v := w.call("POST", "/v1/verifications/"+canceled+"/check", map[string]any{"code": dead}); v["valid"] != false || v["status"] != "canceled" {
		t.Errorf("a canceled code after a restart: %v", v)
	}
	if _, v := w.call("POST", "/v1/verifications/"+pending+"/check", map[string]any{"code": code}); v["valid"] != true {
		t.Errorf("a pending code after a restart: %v", v)
	}
	w.stop()
	w.run(config)
	if _, v := w.call("POST", "/v1/verifications/"+pending+"/check", map[string]any{"code": code}); v["valid"] != false || v["status"] != "approved" {
		t.Errorf("a used code after a restart: %v", v)
	}
}

func TestGuessesThroughHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.start(person)
	code := w.code(person)
	var counted, other atomic.Int64
	parallel(200, func(i int) {
		status, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": wrong(code)})
		switch {
		case status == http.StatusOK && v["valid"] == true:
			t.Error("a wrong code is valid")
		case status == http.StatusOK && (v["status"] == "pending" || v["attempts_left"] == 0.0):
			counted.Add(1)
		default:
			other.Add(1)
		}
	})
	_, v := w.call("GET", "/v1/verifications/"+id, nil)
	if v["status"] != "exhausted" || v["attempts_left"] != 0.0 {
		t.Errorf("after 200 wrong guesses: %v", v)
	}
	if _, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": code}); v["valid"] != false {
		t.Error("the right code passes after the tries are used up")
	}
}

func TestTwoRightGuessesApproveOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.start(person)
	code := w.code(person)
	var valid atomic.Int64
	parallel(20, func(int) {
		if _, v := w.call("POST", "/v1/verifications/"+id+"/check", map[string]any{"code": code}); v["valid"] == true {
			valid.Add(1)
		}
	})
	if valid.Load() != 1 {
		t.Errorf("the right code was valid %d times", valid.Load())
	}
}

func TestAnotherAppSeesNothing(t *testing.T) {
	t.Parallel()
	var config app.Config
	w := newWorld(t, func(c *app.Config) { config = *c })
	id := w.start(person)
	_, other, err := app.CreateKey(t.Context(), config, app.KeySpec{Name: "rival"})
	if err != nil {
		t.Fatal(err)
	}
	w.key = other.Reveal()
	for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/check"}, {"POST", "/resend"}} {
		var body any
		if c[0] == "POST" {
			body = map[string]any{}
			if c[1] == "/check" {
				body = map[string]any{"code": w.code(person)}
			}
		}
		if status, v := w.call(c[0], "/v1/verifications/"+id+c[1], body); status != http.StatusNotFound {
			t.Errorf("%s %s of another app: %d %v", c[0], c[1], status, v)
		}
	}
}

// Nothing that must stay secret is in any log, answer, metric or file of a run
// at debug level. Codes have ten digits, so that nothing matches by chance.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) { c.Code.Length = 10 })
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
	}
	// Refusals, lost answers and panics of the provider's side.
	for _, n := range []string{"+15005550001", "+15005550004", "+15005550009"} {
		w.call("POST", "/v1/verifications", map[string]any{"to": n, "usage_type": "SignIn", "client_ip": "203.0.113.7"})
		numbers = append(numbers, n)
	}
	for _, f := range []twiliosim.Faults{{Status: 429, Count: 1}, {Status: 500, Count: 1}, {AcceptThen: "reset", Count: 1}} {
		if err := w.sim.SetFaults(f); err != nil {
			t.Fatal(err)
		}
		w.call("POST", "/v1/verifications", map[string]any{"to": "+14155550140", "usage_type": "SignIn", "client_ip": "203.0.113.7"})
	}
	numbers = append(numbers, "+14155550140")
	for _, m := range w.sim.Messages("+14155550140") {
		secrets = append(secrets, m.Body)
	}
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
	apiSecret := w.key[strings.LastIndexByte(w.key, '_')+1:]
	secrets = append(secrets, simToken, base64.StdEncoding.EncodeToString([]byte(simAccount+":"+simToken)), apiSecret, encoded, string(rawKey), hex.EncodeToString(rawKey))

	places := map[string]string{"logs": w.logs.String(), "metrics": string(metrics), "answers": strings.Join(w.answers, "\n")}
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
	if len(w.answers) < 40 || len(places["logs"]) < 5000 || !strings.Contains(places["metrics"], "sixdigit_sends_total") {
		t.Errorf("the run was no run: %d answers, %d bytes of logs", len(w.answers), len(places["logs"]))
	}
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

// With the default cap on requests to the provider the 51st send waits its
// turn: its caller is told that nothing is known yet, and the text goes out.
func TestSlowProviderMakesStartsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) {
		c.Send.Timeout = time.Second
		c.Limits = map[string]app.LimitConfig{"app_ip": {}, "ip": {}, "app_prefix": {}, "prefix": {}}
	})
	if err := w.sim.SetFaults(twiliosim.Faults{LatencyMS: 800}); err != nil {
		t.Fatal(err)
	}
	var created, accepted atomic.Int64
	parallel(80, func(i int) {
		to := "+1415555" + pad(100+i)
		status, _ := w.call("POST", "/v1/verifications", map[string]any{"to": to, "usage_type": "SignIn", "client_ip": "203.0.113.7"})
		switch status {
		case http.StatusCreated:
			created.Add(1)
		case http.StatusAccepted:
			accepted.Add(1)
		default:
			t.Errorf("status %d", status)
		}
	})
	if created.Load() < 50 || accepted.Load() == 0 {
		t.Errorf("%d were created, %d accepted; want at least 50 and some", created.Load(), accepted.Load())
	}
	w.stop() // which waits for the sends
	if n := len(w.sim.Ledger()); n != 80 {
		t.Errorf("%d texts went out, want 80", n)
	}
}

func pad(n int) string { return fmt.Sprintf("%04d", n) }

func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
