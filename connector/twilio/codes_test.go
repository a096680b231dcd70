package twilio

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
)

// goldenCode is a line of testdata/twilio/codes.tsv, which was written from
// Twilio's error dictionary and not from the table.
type goldenCode struct {
	Kind    connector.Kind
	Actions string
	Advice  connector.Advice
}

func goldenCodes(t *testing.T) map[int]goldenCode {
	t.Helper()
	data, err := os.ReadFile("../../testdata/twilio/codes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	golden := map[int]goldenCode{}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("line %d has %d fields, want 4", i+1, len(f))
		}
		if i == 0 {
			continue
		}
		code, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		golden[code] = goldenCode{connector.Kind(f[1]), strings.TrimPrefix(f[2], "-"), connector.Advice(f[3])}
	}
	return golden
}

func TestCodesMatchGolden(t *testing.T) {
	t.Parallel()
	got := map[int]goldenCode{}
	for _, r := range codes {
		if _, twice := got[r.code]; twice {
			t.Errorf("%d stands twice", r.code)
		}
		got[r.code] = goldenCode{r.kind, r.actions.String(), r.advice}
	}
	if diff := cmp.Diff(goldenCodes(t), got); diff != "" {
		t.Errorf("table (-golden +got):\n%s", diff)
	}
}

func TestCodesAreSound(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(codes[:], func(a, b row) int { return a.code - b.code }) {
		t.Error("the table is not sorted, so lookup misses codes")
	}
	for _, r := range codes {
		if !slices.Contains(connector.Kinds(), r.kind) || !slices.Contains(connector.Advices(), r.advice) {
			t.Errorf("%d: kind %q, advice %q", r.code, r.kind, r.advice)
		}
		if r.code > maxCode || r.code < 1 {
			t.Errorf("%d is out of range", r.code)
		}
		if r.meaning == "" || strings.HasSuffix(r.meaning, ".") {
			t.Errorf("%d: meaning %q", r.code, r.meaning)
		}
	}
}

// httpStatus is the status with which Twilio sends a code, where that is not 400.
var httpStatus = map[int]int{
	20003: 401, 20008: 403, 20404: 404, 20429: 429, 20500: 500, 20503: 503,
	60202: 429, 60203: 429, 60205: 403, 60212: 429, 60410: 403, 60605: 403,
}

// TestCodesOnSend lets a server answer each code to a send.
func TestCodesOnSend(t *testing.T) {
	t.Parallel()
	var code, status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, errorJSON(int(code.Load()), int(status.Load())))
	}))
	defer server.Close()
	c := newTestClient(t, testConfig(server.URL), Options{})
	defer c.Close()
	for number, want := range goldenCodes(t) {
		s := 400
		if other, ok := httpStatus[number]; ok {
			s = other
		}
		code.Store(int64(number))
		status.Store(int64(s))
		_, err := c.Send(t.Context(), testMsg(t))
		e := asError(t, err)
		if got := (goldenCode{e.Kind, e.Actions.String(), e.Advice}); got != want {
			t.Errorf("%d: %+v, want %+v", number, got, want)
		}
		if e.ProviderCode != strconv.Itoa(number) || e.HTTPStatus != s {
			t.Errorf("%d: provider code %q, status %d", number, e.ProviderCode, e.HTTPStatus)
		}
		outcome := connector.OutcomeRefused
		switch {
		case s == 429:
			outcome = connector.OutcomeNotProcessed
		case want.Kind == kindTemporary && !strings.Contains(want.Actions, "retry"):
			outcome = connector.OutcomeMaybe
		}
		if e.Outcome != outcome {
			t.Errorf("%d: outcome %q, want %q", number, e.Outcome, outcome)
		}
		if !strings.Contains(e.Error(), "https://www.twilio.com/docs/errors/"+e.ProviderCode) {
			t.Errorf("%d: %q does not say where to read on", number, e)
		}
		connectortest.NoSecrets(t, err, testSecrets...)
	}
}

// TestCodesInCallbacks puts each code into a signed callback.
func TestCodesInCallbacks(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for number, want := range goldenCodes(t) {
		for status, as := range map[string]connector.Status{
			"failed": connector.StatusFailed, "undelivered": connector.StatusUndelivered, "canceled": connector.StatusFailed,
		} {
			u, err := c.ParseStatus(callback(testToken, "https://example.com/cb", callbackForm(status, strconv.Itoa(number))))
			if err != nil {
				t.Fatalf("%d %s: %v", number, status, err)
			}
			if u.Err == nil || u.Status != as || u.ProviderID != testMessage {
				t.Fatalf("%d %s: %+v", number, status, u)
			}
			if got := (goldenCode{u.Err.Kind, u.Err.Actions.String(), u.Err.Advice}); got != want || u.Err.Outcome != connector.OutcomeRefused {
				t.Errorf("%d %s: %+v, want %+v", number, status, got, want)
			}
			if status == "failed" {
				connectortest.NoSecrets(t, u.Err, testSecrets...)
			}
		}
	}
}

// TestUnknownCodes falls back on the status, or on the code's family.
func TestUnknownCodes(t *testing.T) {
	t.Parallel()
	const refused, maybe = connector.OutcomeRefused, connector.OutcomeMaybe
	type want struct {
		Outcome connector.Outcome
		Kind    connector.Kind
		Actions string
		Advice  connector.Advice
		Code    string
	}
	for _, tt := range []struct {
		status, code int
		want         want
	}{
		{400, 21999, want{refused, kindUnclassified, "tell,page", sayOther, "21999"}},
		{403, 20999, want{refused, kindUnclassified, "tell,page", sayOther, "20999"}},
		{401, 29999, want{refused, kindAuth, "failover,page", sayFault, "29999"}},
		{404, 29999, want{refused, kindSender, "page", sayFault, "29999"}},
		{408, 29999, want{maybe, kindTemporary, "failover", sayWait, "29999"}},
		{429, 29999, want{connector.OutcomeNotProcessed, kindThrottled, "retry,failover", sayWait, "29999"}},
		{500, 29999, want{maybe, kindTemporary, "failover", sayWait, "29999"}},
		// What the status says of the request stands against any code.
		{500, 21211, want{maybe, kindTemporary, "failover", sayWait, "21211"}},
		{503, 20429, want{maybe, kindTemporary, "failover", sayWait, "20429"}},
		{302, 21211, want{maybe, kindUnclassified, "page", sayFault, "21211"}},
		{429, 21211, want{connector.OutcomeNotProcessed, kindThrottled, "retry,failover", sayWait, "21211"}},
		{400, 20500, want{maybe, kindTemporary, "failover", sayWait, "20500"}},
		{400, 30500, want{refused, kindTemporary, "retry,failover", sayWait, "30500"}},
		// A phone number in the code's place is no code.
		{400, 14155550123, want{refused, kindUnclassified, "tell,page", sayOther, ""}},
		{400, 0, want{refused, kindUnclassified, "tell,page", sayOther, ""}},
		{400, -21211, want{refused, kindUnclassified, "tell,page", sayOther, ""}},
	} {
		c := newTestClient(t, testConfig(""), Options{})
		e := c.refusal(answer{status: tt.status, body: []byte(errorJSON(tt.code, tt.status))})
		if diff := cmp.Diff(tt.want, want{e.Outcome, e.Kind, e.Actions.String(), e.Advice, e.ProviderCode}); diff != "" {
			t.Errorf("%d on %d (-want +got):\n%s", tt.code, tt.status, diff)
		}
	}
	for code, actions := range map[int]string{0: "failover", 39999: "failover", 63999: "failover", 21999: "tell,page", 64000: "tell,page"} {
		e := failure("failed", code)
		if e.Kind != kindUnclassified || e.Actions.String() != actions || e.Advice != sayOther || e.Outcome != refused {
			t.Errorf("later, %d: %+v", code, e)
		}
	}
}

// TestRequestID: the id that Twilio's support asks for, and only if it is one.
func TestRequestID(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	id := "RQ" + strings.Repeat("5", 32)
	for value, want := range map[string]bool{id: true, "RQ" + testNumber: false, id + "\n": false, "SM" + id[2:]: false} {
		e := c.refusal(answer{status: 400, header: http.Header{"Twilio-Request-Id": {value}}})
		if got := strings.Contains(e.Error(), value); got != want {
			t.Errorf("%q: %v", value, e)
		}
	}
}

// TestErrorBodies reads the code and nothing else of an error's body.
func TestErrorBodies(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"code": 21211, "message": "m", "more_info": "i", "status": 400}`: 21211,
		`{"code": "21211"}`: 21211,
		`{"code": 20003, "detail": "Your AccountSid or AuthToken was incorrect"}`: 20003,
		`{"code": 572005, "params": {"code": 1}, "userError": true}`:              572005,
		`{"code": null}`: 0, `{"code": 1e3}`: 0, `{"code": 21211.5}`: 0, `{"code": [21211]}`: 0, `{"code": {}}`: 0, `{"code": true}`: 0,
		`{"code": 1000000}`: 0, `{"code": 99999999999999999999}`: 0, `{"code": "+14155550123"}`: 0, `{"code": ""}`: 0,
		`{"status": 400}`: 0, `{}`: 0, `[]`: 0, `null`: 0, ``: 0, `<html>21211</html>`: 0, `{"code": 21211`: 0, `{"code": 21211} x`: 0,
	} {
		if got := errorCode([]byte(body)); got != want {
			t.Errorf("%s: code %d, want %d", body, got, want)
		}
	}
}

func errorJSON(code, status int) string {
	return `{"code": ` + strconv.Itoa(code) + `, "message": "The 'To' number ` + testNumber + ` is not a valid phone number: ` + testBody +
		`", "more_info": "https://www.twilio.com/docs/errors/` + strconv.Itoa(code) + `", "status": ` + strconv.Itoa(status) + `}`
}

func asError(t *testing.T, err error) *connector.Error {
	t.Helper()
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want a *connector.Error", err, err)
	}
	return e
}
