package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/verify"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	startBody = `{"to":"+1 (415) 555-2671","usage_type":"SignIn","client_ip":"203.0.113.7"}`
	codeBody  = `{"code":"482913"}`
	onePath   = "/v1/verifications/" + sampleID
)

// goldenCase is one request and what the domain says to it.
type goldenCase struct {
	name, method, path, body string
	key                      string // of testAPI's keys; "" is the shop's, "none" is no header
	header                   http.Header
	fake                     fake
}

func goldenCases(t *testing.T) []goldenCase {
	refuse := func(err error) fake {
		return fake{start: func(verify.StartRequest) (verify.Started, error) { return verify.Started{}, err }}
	}
	post := func(name, body string, f fake) goldenCase {
		return goldenCase{name: name, method: "POST", path: "/v1/verifications", body: body, fake: f}
	}
	checks := func(valid bool, change func(*verify.Verification)) fake {
		return fake{check: func(verify.CheckRequest) (verify.Checked, error) {
			v := record(t)
			change(v)
			return verify.Checked{Valid: valid, Verification: v, Now: recordTime()}, nil
		}}
	}
	check := func(name, body string, f fake) goldenCase {
		return goldenCase{name: name, method: "POST", path: onePath + "/check", body: body, fake: f}
	}
	cases := []goldenCase{
		post("start_created", startBody, fake{start: started(t, nil)}),
		post("start_unknown", startBody, fake{start: started(t, func(st *verify.Started) {
			st.Unknown = true
			st.Verification.Sends[0].Status, st.Verification.Sends[0].ProviderID = connector.StatusUnknown, ""
			st.Verification.Sends[0].Error = &verify.SendFault{Kind: connector.KindTemporary, Advice: connector.AdviceWait}
		})}),
		post("start_joined", startBody, fake{start: started(t, func(st *verify.Started) { st.Joined = true })}),
		post("start_test_number", startBody, fake{start: started(t, func(st *verify.Started) {
			v := st.Verification
			v.Test, v.Sends[0].Connector, v.Sends[0].ProviderID, v.Sends[0].Segments = true, "test", "", 0
			v.Metadata = map[string]string{"a": "1", "b": "<2>"}
		})}),
		post("start_refused", startBody, refuse(&verify.RefusedError{
			Verification: record(t), Cause: &connector.Error{
				Kind: connector.KindUnreachable, ProviderCode: "21614", Outcome: connector.OutcomeRefused,
				Advice: connector.AdviceNotMobile, Err: errors.New("HTTP 400"),
			},
		})),
		post("start_opted_out", startBody, refuse(optedOut())),
		post("start_limit", startBody, refuse(&verify.LimitError{Name: "app_number", RetryAfter: 29*time.Second + 1})),
		post("start_policy", startBody, refuse(&verify.InvalidError{Field: "to", Code: "country_not_allowed", Text: "numbers of this country get no texts"})),
		post("start_no_template", startBody, refuse(verify.ErrNoTemplate)),
		post("start_unavailable", startBody, refuse(fmt.Errorf("sqlite: commit: %w", verify.ErrUnavailable))),
		post("start_internal", startBody, refuse(errors.New("the disk says: secret sauce"))),
		post("start_in_flight", startBody, refuse(verify.ErrInFlight)),
		post("start_idem_mismatch", startBody, refuse(verify.ErrIdemMismatch)),
		post("start_client_gone", startBody, refuse(context.Canceled)),
		post("start_bad_number", `{"to":"0151 23456789","usage_type":"SignIn"}`, fake{}),
		post("start_bad_client_ip", `{"to":"+14155552671","usage_type":"SignIn","client_ip":"fe80::1%eth0"}`, fake{}),
		post("start_unknown_fields", `{"to":"+14155552671","usage_type":"SignIn","To":"+1","phone":"+1"}`, fake{}),
		post("start_wrong_types", `{"to":14155552671,"usage_type":"signin","channel":"fax","code_length":"6","metadata":{"secret":7},"session":null}`, fake{}),
		post("start_missing_fields", `{}`, fake{}),
		post("start_not_an_object", `["+14155552671"]`, fake{}),
		post("start_not_json", `to=%2B14155552671`, fake{}),
		post("start_two_values", `{"to":"+14155552671","usage_type":"SignIn"}{}`, fake{}),
		post("start_twice_a_name", `{"to":"+14155552671","to":"+14155552672","usage_type":"SignIn"}`, fake{}),
		post("start_empty", ``, fake{}),
		post("start_too_large", `{"to":"`+strings.Repeat("1", maxBody)+`"}`, fake{}),
		check("check_valid", codeBody, checks(true, func(v *verify.Verification) { v.Status = verify.StatusApproved })),
		check("check_wrong", `{"code":"000000"}`, checks(false, func(*verify.Verification) {})),
		check("check_expired", codeBody, checks(false, func(v *verify.Verification) { v.ExpiresAt = recordTime() })),
		check("check_code_as_number", `{"code":482913}`, fake{}),
		check("check_failures", codeBody, fake{check: func(verify.CheckRequest) (verify.Checked, error) {
			return verify.Checked{}, &verify.LimitError{Name: verify.LimitFailures, RetryAfter: time.Minute}
		}}),
		{name: "resend", method: "POST", path: onePath + "/resend", fake: fake{resend: func(r verify.ResendRequest) (verify.Started, error) {
			return started(t, nil)(verify.StartRequest{})
		}}},
		{name: "resend_ended", method: "POST", path: onePath + "/resend", body: `{"channel":"sms","client_ip":"2001:db8::1"}`,
			fake: fake{resend: func(verify.ResendRequest) (verify.Started, error) { return verify.Started{}, verify.ErrEnded }}},
		{name: "get", method: "GET", path: onePath, key: "reader", fake: fake{get: func(string, string) (*verify.Verification, time.Time, error) {
			v := record(t)
			v.Status, v.Reason = verify.StatusCanceled, verify.ReasonSendRejected
			v.Sends[0].Status = connector.StatusRejected
			v.Sends[0].Error = &verify.SendFault{Kind: connector.KindOptedOut, ProviderCode: "21610", Advice: connector.AdviceOptedOut}
			return v, recordTime(), nil
		}}},
		{name: "get_not_found", method: "GET", path: onePath, fake: fake{get: func(string, string) (*verify.Verification, time.Time, error) {
			return nil, time.Time{}, verify.ErrNotFound
		}}},
		{name: "cancel", method: "DELETE", path: onePath, fake: fake{cancel: func(string, string) (*verify.Verification, time.Time, error) {
			v := record(t)
			v.Status, v.Reason = verify.StatusCanceled, verify.ReasonCaller
			return v, recordTime(), nil
		}}},
		{name: "no_key", method: "POST", path: "/v1/verifications", body: `not even JSON`, key: "none"},
		{name: "revoked_key", method: "GET", path: onePath, key: "revoked"},
		{name: "wrong_scope", method: "DELETE", path: onePath, key: "reader"},
		{name: "wrong_scope_messages", method: "GET", path: onePath, key: "messages"},
		{name: "wrong_method", method: "PUT", path: onePath},
		{name: "options", method: "OPTIONS", path: "/v1/verifications", header: http.Header{"Origin": {"https://evil.example"}}},
		{name: "no_such_path", method: "GET", path: "/v1/verification"},
		{name: "form_body", method: "POST", path: "/v1/verifications", body: "to=1", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}},
		{name: "compressed_body", method: "POST", path: "/v1/verifications", body: startBody, header: http.Header{"Content-Encoding": {"gzip"}}},
		{name: "long_idempotency_key", method: "POST", path: "/v1/verifications", body: startBody, header: http.Header{"Idempotency-Key": {strings.Repeat("k", 256)}}},
	}
	return append(cases, messageCases(t)...)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	cases := goldenCases(t)
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ta := newTestAPI(t, &tt.fake)
			r := ta.request(tt.method, tt.path, tt.body)
			for name, values := range tt.header {
				r.Header[name] = values
			}
			switch tt.key {
			case "":
			case "none":
				r.Header.Del("Authorization")
			default:
				r.Header.Set("Authorization", "Bearer "+ta.keys[tt.key])
			}
			rec := httptest.NewRecorder()
			ta.ServeHTTP(rec, r)
			compareGolden(t, ta, tt, rec.Result())
		})
	}
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txt")
		if !slices.ContainsFunc(cases, func(c goldenCase) bool { return c.name == name }) {
			t.Errorf("%s belongs to no case", f)
		}
	}
}

// compareGolden holds request, answer and log line against the case's file.
func compareGolden(t *testing.T, ta *testAPI, c goldenCase, res *http.Response) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	requestID := res.Header.Get("X-Request-ID")
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s\n", c.method, c.path)
	if len(c.body) > 400 {
		fmt.Fprintf(&out, "(%d bytes)\n", len(c.body))
	} else if c.body != "" {
		fmt.Fprintln(&out, c.body)
	}
	fmt.Fprintf(&out, "\n%d\n", res.StatusCode)
	for _, name := range []string{"Allow", "Content-Type", "Retry-After", "Www-Authenticate", "Access-Control-Allow-Origin"} {
		if v := res.Header.Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	if err := json.Indent(&out, bytes.TrimSpace(body), "", "  "); err != nil {
		t.Fatalf("the answer is not JSON: %q", body)
	}
	fmt.Fprintf(&out, "\n\n%s\n", stableLog(t, ta.log.String()))
	got := strings.ReplaceAll(out.String(), requestID, "REQUEST-ID")

	file := filepath.Join("testdata", "golden", c.name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// stableLog is the request's one log line without what changes.
func stableLog(t *testing.T, log string) string {
	t.Helper()
	line := map[string]any{}
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("not one log line: %v\n%s", err, log)
	}
	for _, name := range []string{"time", "took", "msg", "request_id"} {
		if line[name] == nil {
			t.Errorf("the log line has no %s", name)
		}
		delete(line, name)
	}
	if line["key"] != nil {
		line["key"] = "KEY"
	}
	stable, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	return string(stable)
}

// What reaches the domain is what the request said.
func TestRequestsReachTheDomain(t *testing.T) {
	t.Parallel()
	var start verify.StartRequest
	var resend verify.ResendRequest
	var check verify.CheckRequest
	ta := newTestAPI(t, &fake{
		start: func(r verify.StartRequest) (verify.Started, error) {
			start = r
			return verify.Started{}, verify.ErrEnded
		},
		resend: func(r verify.ResendRequest) (verify.Started, error) {
			resend = r
			return verify.Started{}, verify.ErrEnded
		},
		check: func(r verify.CheckRequest) (verify.Checked, error) {
			check = r
			return verify.Checked{}, verify.ErrEnded
		},
	})
	idem := testKeyring(t).Idem
	body := `{"to":"+44 20 7946 0018","usage_type":"Register","locale":"en-GB","channel":"sms","domain":"example.com",` +
		`"client_ip":"::ffff:203.0.113.7","session":"s","code_length":8,"metadata":{"a":"b"}}`
	r := ta.request("POST", "/v1/verifications", body)
	r.Header.Set("Idempotency-Key", "key-1")
	ta.do(t, r)
	if start.App != "shop" || start.To.E164() != "+442079460018" || start.Usage != "Register" || start.Locale != "en-GB" ||
		start.Channel != "sms" || start.Domain != "example.com" || start.ClientIP.String() != "203.0.113.7" || start.Session != "s" ||
		start.CodeLength != 8 || start.Metadata["a"] != "b" {
		t.Errorf("start: %+v", start)
	}
	if diff := cmp.Diff(idem("shop", "POST /v1/verifications", "key-1", []byte(body)), start.Idem); diff != "" {
		t.Error(diff)
	}

	ta.do(t, ta.request("POST", onePath+"/resend", ""))
	if resend.App != "shop" || resend.ID != sampleID || resend.Channel != "" || resend.ClientIP.IsValid() || resend.Idem != nil {
		t.Errorf("resend: %+v", resend)
	}
	r = ta.request("POST", onePath+"/resend", `{"channel":"sms","client_ip":"2001:db8::1"}`)
	r.Header.Set("Idempotency-Key", "key-1")
	ta.do(t, r)
	if resend.Channel != "sms" || resend.ClientIP.String() != "2001:db8::1" || resend.Idem == nil || resend.Idem.Key == start.Idem.Key {
		t.Errorf("resend: %+v", resend)
	}

	r = ta.request("POST", onePath+"/check", codeBody)
	r.Header.Set("Idempotency-Key", "key-1")
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	ta.do(t, r)
	if check.App != "shop" || check.ID != sampleID || check.Code.Reveal() != "482913" || check.Idem == nil || check.Idem.Key == start.Idem.Key {
		t.Errorf("check: %+v", check)
	}
}

// A replay answers with the status of the first answer.
func TestReplayStatus(t *testing.T) {
	t.Parallel()
	for want, change := range map[int]func(*verify.Started){
		201: func(st *verify.Started) { st.Replayed = true },
		200: func(st *verify.Started) { st.Replayed, st.Joined = true, true },
		202: func(st *verify.Started) { st.Replayed, st.Unknown = true, true },
	} {
		ta := newTestAPI(t, &fake{start: started(t, change)})
		if status, _, _ := ta.do(t, ta.request("POST", "/v1/verifications", startBody)); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{start: started(t, nil)})
	for key, want := range map[string]int{
		"k": 201, strings.Repeat("k", 255): 201, "!~": 201,
		"": 400, "a b": 400, "ü": 400, "a\x7f": 400, strings.Repeat("k", 256): 400,
	} {
		r := ta.request("POST", "/v1/verifications", startBody)
		r.Header["Idempotency-Key"] = []string{key}
		if status, _, _ := ta.do(t, r); status != want {
			t.Errorf("key %q: %d, want %d", key, status, want)
		}
	}
	r := ta.request("POST", "/v1/verifications", startBody)
	r.Header["Idempotency-Key"] = []string{"a", "a"}
	if status, _, _ := ta.do(t, r); status != 400 {
		t.Errorf("two keys: %d", status)
	}
	r = ta.request("POST", "/v1/verifications", startBody)
	r.Header["Authorization"] = append(r.Header["Authorization"], r.Header["Authorization"]...)
	if status, _, _ := ta.do(t, r); status != 401 {
		t.Errorf("two Authorization headers: %d", status)
	}
}

func TestBusyKeyStoreIs503(t *testing.T) {
	t.Parallel()
	api, err := New(Options{Verifier: &fake{}, Messenger: &fake{}, Authenticator: busy{}, Idem: testKeyring(t).Idem})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api.Routes(mux)
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", onePath, nil)
	r.Header.Set("Authorization", "Bearer x")
	mux.ServeHTTP(rec, r)
	if rec.Code != 503 || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
}

type busy struct{}

func (busy) Authenticate(context.Context, string) (access.Caller, error) {
	return access.Caller{}, access.ErrBusy
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil {
		t.Error("an API of nothing")
	}
}
