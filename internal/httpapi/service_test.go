package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

func testKeyring(t testing.TB) *verify.Keyring {
	t.Helper()
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// phoneBox is a connector whose texts a test can read.
type phoneBox struct {
	mu     sync.Mutex
	bodies []string
	fail   *connector.Error
	sent   chan string // gets every body, where it is not nil
}

func (p *phoneBox) Send(_ context.Context, m connector.Message) (connector.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return connector.Receipt{}, p.fail
	}
	p.bodies = append(p.bodies, m.Body.Reveal())
	if p.sent != nil {
		p.sent <- m.Body.Reveal()
	}
	return connector.Receipt{ProviderID: fmt.Sprintf("SM%032d", len(p.bodies)), Status: connector.StatusAccepted}, nil
}

var tenDigits = regexp.MustCompile(`[0-9]{10}`)

// last returns the code of the last text, and how many there were.
func (p *phoneBox) last() (string, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.bodies) == 0 {
		return "", 0
	}
	return tenDigits.FindString(p.bodies[len(p.bodies)-1]), len(p.bodies)
}

// newService is the real service on a memory store. Codes have ten digits, so
// that a search for one finds nothing by chance.
func newService(t testing.TB, box connector.Sender, log io.Writer) *verify.Service {
	t.Helper()
	catalog, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}})
	if err != nil {
		t.Fatal(err)
	}
	p := verify.DefaultPolicy()
	p.Countries, p.CodeLength = []string{"US"}, 10
	s, err := verify.New(verify.Options{
		Store: memory.New(time.Now), Connectors: []verify.Connector{{Name: "box", Sender: box, Templates: catalog}}, Keys: testKeyring(t), Policy: p,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// talk sends one request and decodes the answer.
func (ta *testAPI) talk(t testing.TB, key, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r := ta.request(method, path, body)
	r.Header.Set("Authorization", "Bearer "+ta.keys[key])
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	status, _, text := ta.do(t, r)
	answer := map[string]any{}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%s %s: %d %q", method, path, status, text)
	}
	return status, answer
}

// TestWithTheService is a whole verification, and what may go wrong in one,
// over the real domain.
func TestWithTheService(t *testing.T) {
	t.Parallel()
	box, log := &phoneBox{}, &lockedBuffer{}
	ta := newTestAPI(t, newService(t, box, log))
	var answers strings.Builder
	talk := func(key, method, path, body string, header ...string) (int, map[string]any) {
		status, a := ta.talk(t, key, method, path, body, header...)
		text, _ := json.Marshal(a)
		answers.Write(text)
		return status, a
	}
	start := `{"to":"+1 415 555 2671","usage_type":"SignIn","client_ip":"203.0.113.7","session":"browser-1","metadata":{"a":"b"}}`

	status, v := talk("shop", "POST", "/v1/verifications", start, "Idempotency-Key", "one")
	if status != 201 || v["to"] != "+14155552671" || v["status"] != "pending" || v["attempts_left"] != 5.0 {
		t.Fatalf("start: %d %v", status, v)
	}
	one := "/v1/verifications/" + v["id"].(string)
	code, texts := box.last()
	if texts != 1 || len(code) != 10 {
		t.Fatalf("%d texts", texts)
	}
	expect := func(what string, status, want int, a map[string]any, field string, value any) {
		t.Helper()
		if status != want || a[field] != value {
			t.Errorf("%s: %d %v; want %d with %s %v", what, status, a, want, field, value)
		}
	}
	status, again := talk("shop", "POST", "/v1/verifications", start, "Idempotency-Key", "one")
	expect("a repetition", status, 201, again, "id", v["id"])
	status, a := talk("shop", "POST", "/v1/verifications", strings.Replace(start, "203", "198", 1), "Idempotency-Key", "one")
	expect("another body", status, 422, a, "code", codeIdemMismatch)
	status, a = talk("shop", "POST", "/v1/verifications", start)
	expect("the same session", status, 200, a, "id", v["id"])
	if a["joined"] != true {
		t.Errorf("joined: %v", a)
	}
	status, a = talk("shop", "POST", one+"/resend", "")
	expect("a resend too early", status, 429, a, "code", codeLimit)
	if wait := a["retry_after"].(float64); wait < 1 || wait > 30 {
		t.Errorf("retry_after %v", wait)
	}
	for _, method := range []string{"GET", "DELETE"} {
		status, a = talk("other", method, one, "")
		expect("another app's "+method, status, 404, a, "code", codeNotFound)
	}
	status, a = talk("other", "POST", one+"/check", `{"code":"`+code+`"}`)
	expect("another app's check", status, 404, a, "code", codeNotFound)
	status, a = talk("shop", "POST", one+"/check", `{"code":"0"}`)
	expect("a wrong code", status, 200, a, "valid", false)
	status, a = talk("shop", "POST", one+"/check", `{"code":" `+code+` "}`, "Idempotency-Key", "two")
	expect("the right code", status, 200, a, "valid", true)
	expect("the right code", status, 200, a, "status", "approved")
	status, a = talk("shop", "POST", one+"/check", `{"code":" `+code+` "}`, "Idempotency-Key", "two")
	expect("the check repeated", status, 200, a, "valid", true)
	status, a = talk("shop", "POST", one+"/check", `{"code":"`+code+`"}`)
	expect("a used code", status, 200, a, "valid", false)
	status, a = talk("shop", "POST", one+"/resend", `{}`)
	expect("a resend of an ended one", status, 409, a, "code", codeEnded)
	status, a = talk("reader", "GET", one, "")
	expect("read", status, 200, a, "status", "approved")
	status, a = talk("shop", "POST", "/v1/verifications", `{"to":"+442079460018","usage_type":"SignIn","client_ip":"203.0.113.7"}`)
	expect("another country", status, 422, a, "code", "country_not_allowed")
	status, a = talk("shop", "POST", "/v1/verifications", `{"to":"+14155552671","usage_type":"SignIn"}`)
	expect("no client_ip", status, 422, a, "code", "client_ip_required")

	box.fail = &connector.Error{Kind: connector.KindInvalidRecipient, ProviderCode: "21211", Outcome: connector.OutcomeRefused, Advice: connector.AdviceCheckNumber}
	status, a = talk("shop", "POST", "/v1/verifications", `{"to":"+14155552672","usage_type":"SignIn","client_ip":"203.0.113.7"}`)
	expect("refused", status, 422, a, "code", codeRefused)
	expect("refused", status, 422, a, "provider_code", "21211")
	status, a = talk("shop", "GET", "/v1/verifications/"+a["id"].(string), "")
	expect("the refused one", status, 200, a, "reason", "send_rejected")
	box.fail = nil

	for name, text := range map[string]string{"an answer": answers.String(), "the request log": ta.log.String(), "the service's log": log.String()} {
		for _, leak := range []string{code, "browser-1", "Your code is", ta.keys["shop"]} {
			if strings.Contains(text, leak) {
				t.Errorf("%s holds %q", name, leak)
			}
		}
	}
	for _, leak := range []string{"4155552671", "203.0.113", v["id"].(string) + "/check"} {
		if strings.Contains(ta.log.String()+log.String(), leak) {
			t.Errorf("a log holds %q", leak)
		}
	}
}

// A code that the request carries stays out of answers and logs also when the
// request is refused.
func TestRefusedRequestsKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{check: func(verify.CheckRequest) (verify.Checked, error) { panic("4829130057") }})
	for _, body := range []string{
		`{"code":4829130057}`, `{"code":["4829130057"]}`, `{"code":"x","4829130057":1}`, `{"code":"4829130057"`, `{"code":"4829130057"}x`,
		`{"code":"4829130057` + strings.Repeat("0", 80) + `"}`, `"4829130057"`, `{"code":"4829130057","code":"1"}`, `{"code":"4829130057"}`,
	} {
		status, _, text := ta.do(t, ta.request("POST", onePath+"/check?code=4829130057", body))
		if status < 400 || strings.Contains(text, "4829130057") {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if strings.Contains(ta.log.String(), "4829130057") {
		t.Error("the log holds the code")
	}
}

// Two right guesses at once approve once, also through HTTP.
func TestParallelChecksApproveOnce(t *testing.T) {
	t.Parallel()
	box := &phoneBox{}
	ta := newTestAPI(t, newService(t, box, io.Discard))
	_, v := ta.talk(t, "shop", "POST", "/v1/verifications", `{"to":"+14155552671","usage_type":"SignIn","client_ip":"203.0.113.7"}`)
	code, _ := box.last()
	valid := make(chan bool, 50)
	for range cap(valid) {
		go func() {
			status, a := ta.talk(t, "shop", "POST", "/v1/verifications/"+v["id"].(string)+"/check", `{"code":"`+code+`"}`)
			valid <- status == http.StatusOK && a["valid"] == true
		}()
	}
	n := 0
	for range cap(valid) {
		if <-valid {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 50 right guesses were valid", n)
	}
}
