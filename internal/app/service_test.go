package app_test

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// shared is the PostgreSQL server of the tests that need one. It does not wait for
// the disk: what a crash of the machine leaves is the store's tests' matter.
var shared = pgtest.Shared{Settings: []string{"fsync=off"}}

// tests end with the server, so that goleak finds nothing of it.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

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

// With the default cap on requests to the provider the 51st send waits its
// turn: its caller is told that nothing is known yet, and the text goes out.
func TestSlowProviderMakesStartsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *app.Config) {
		c.Send.Timeout = 2 * time.Second // between one latency and two
		c.Limits = map[string]app.LimitConfig{"app_ip": {}, "ip": {}, "app_prefix": {}, "prefix": {}}
	})
	if err := w.sim.SetFaults(twiliosim.Faults{LatencyMS: 1100}); err != nil {
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
