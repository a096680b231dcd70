package twilioverify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/verify"
)

// raw makes a request as it stands.
func (w *world) raw(method, target, contentType, body string, header ...string) (status int, h http.Header, answer string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(access.AccountSID(app), w.token.Reveal())
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, resp.Header, readAll(w.t, resp.Body)
}

// What nobody in good faith sends: no panic, no 500, no text, and nothing of it in
// the log.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	va := "/v2/Services/" + access.DefaultServiceSID(app)
	const form = "application/x-www-form-urlencoded"
	start := "To=%2B14155552671&Channel=sms"
	for what, r := range map[string][4]string{
		"JSON":                       {"POST", va + "/Verifications", "application/json", `{"To":"+14155552671","Channel":"sms"}`},
		"no type":                    {"POST", va + "/Verifications", "", start},
		"a broken escape":            {"POST", va + "/Verifications", form, start + "&Locale=%zz"},
		"a semicolon":                {"POST", va + "/Verifications", form, start + ";Locale=de"},
		"a large form":               {"POST", va + "/Verifications", form, start + "&Tags=" + strings.Repeat("x", maxBody)},
		"NUL":                        {"POST", va + "/Verifications", form, start + "&CustomFriendlyName=%00"},
		"no UTF-8":                   {"POST", va + "/Verifications", form, start + "&CustomFriendlyName=%ff%fe"},
		"a line in a name":           {"POST", va + "/Verifications", form, start + "&CustomFriendlyName=a%0Ab"},
		"a name like a code":         {"POST", va + "/Verifications", form, start + "&CustomFriendlyName=12345"},
		"parameters in the query":    {"POST", va + "/Verifications?" + start, form, ""},
		"a long parameter's name":    {"POST", va + "/Verifications", form, start + "&" + strings.Repeat("x", 2000) + "=1"},
		"a parameter of a secret":    {"POST", va + "/Verifications", form, start + "&secret-4711=1"},
		"a deep rate limit":          {"POST", va + "/Verifications", form, start + "&RateLimits=" + url.QueryEscape(strings.Repeat("[", 9000))},
		"an empty rate limit":        {"POST", va + "/Verifications", form, start + "&RateLimits=" + url.QueryEscape(`{"user":""}`)},
		"a page that begins nowhere": {"GET", "/v2/Attempts?PageToken=-1", "", ""},
		"a page of a short id":       {"GET", "/v2/Attempts?PageToken=ab-1", "", ""},
		"a page of a long id":        {"GET", "/v2/Attempts?PageToken=" + strings.Repeat("v", 26) + "-1", "", ""},
		"a page of services":         {"GET", "/v2/Services?PageToken=VA1", "", ""},
		"a year that is none":        {"GET", "/v2/Attempts?DateCreatedAfter=99999-01-01T00:00:00Z", "", ""},
		"a broken sid":               {"GET", va + "/Verifications/VE%00", "", ""},
		"another service's path":     {"GET", "/v2/Services/..%2f..%2fv1", "", ""},
		"an attempt that is none":    {"GET", "/v2/Attempts/VL" + strings.Repeat("f", 32), "", ""},
	} {
		status, _, body := w.raw(r[0], r[1], r[2], r[3])
		if status < 400 || status > 404 || !strings.Contains(body, `"code":`) || strings.Contains(body, "4711") || strings.Contains(body, person[1:]) {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	for _, filter := range []string{"DateCreatedAfter=0001-01-01T00:00:00Z", "DateCreatedBefore=9999-12-31T23:59:59Z", "DateCreatedAfter=2200-01-01T00:00:00Z", "Country=%00"} {
		if status, _, body := w.raw("GET", "/v2/Attempts?"+filter, "", ""); status != 200 {
			t.Errorf("%s: %d %s", filter, status, body)
		}
	}
	if n := len(w.texts(person)); n != 0 {
		t.Errorf("%d texts were sent", n)
	}
	if logs := w.logs.String(); strings.Contains(logs, "4711") || strings.Contains(logs, person) || strings.Contains(logs, "panic") || strings.Contains(logs, w.token.Reveal()) {
		t.Error("the log has what it must not have")
	}
}

// No token, or one that is none, is refused before anything of the form is read.
func TestNoCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, header := range []string{"", "Basic", "Basic !", "Bearer x", "Basic " + strings.Repeat("A", 4000)} {
		status, h, body := w.raw("POST", "/v2/Services", "application/x-www-form-urlencoded", "FriendlyName=x", "Authorization", header)
		if status != 401 || h.Get("WWW-Authenticate") == "" || !strings.Contains(body, "20003") {
			t.Errorf("%q: %d %s", header, status, body)
		}
	}
}

// TestErrors holds every error of the domain to a row of the table.
func TestErrors(t *testing.T) {
	t.Parallel()
	limit := func(name string) error { return &verify.LimitError{Name: name, RetryAfter: 1500 * time.Millisecond} }
	refused := func(k connector.Kind) error {
		return &verify.RefusedError{Cause: &connector.Error{Kind: k, Outcome: connector.OutcomeRefused}}
	}
	invalid := func(field, code string) error { return &verify.InvalidError{Field: field, Code: code, Text: "why"} }
	for _, test := range []struct {
		err          error
		status, code int
	}{
		{access.ErrUnknownKey, 401, 20003}, {access.ErrRevoked, 401, 20003}, {access.ErrBusy, 503, 20503}, {access.ErrNoService, 404, 20404},
		{verify.ErrNotFound, 404, 20404}, {fmt.Errorf("x: %w", verify.ErrUnavailable), 503, 20503}, {verify.ErrNoTemplate, 500, 20500},
		{context.DeadlineExceeded, 503, 20503}, {context.Canceled, 499, 20503}, {errors.New("secret"), 500, 20500},
		{limit(verify.LimitResendCount), 429, 60203}, {limit(verify.LimitFailures), 429, 60203}, {limit(verify.LimitUnsettled), 429, 60212},
		{limit("app_number"), 429, 60212}, {limit("number_daily"), 429, 60203}, {limit("app_ip"), 429, 20429}, {limit("all"), 429, 20429},
		{limit("twilio_verify_user"), 429, 20429},
		{invalid("to", "number_kind"), 400, 60200}, {invalid("to", "use_call"), 400, 60205}, {invalid("to", "country_not_allowed"), 403, 60605},
		{invalid("locale", "locale_invalid"), 400, 60200}, {invalid("metadata", "metadata_invalid"), 400, 60200},
		{refused(connector.KindInvalidRecipient), 400, 60200}, {refused(connector.KindUnreachable), 400, 60205}, {refused(connector.KindOptedOut), 400, 21610},
		{refused(connector.KindBlocked), 403, 60410}, {refused(connector.KindFraud), 403, 60410}, {refused(connector.KindFiltered), 403, 60410},
		{refused(connector.KindGeo), 403, 60605}, {refused(connector.KindThrottled), 503, 20503}, {refused(connector.KindTemporary), 503, 20503},
		{refused(connector.KindAuth), 500, 20500}, {refused(connector.KindAccount), 500, 20500}, {refused(connector.KindSender), 500, 20500},
		{refused(connector.KindUnclassified), 500, 20500},
	} {
		e := errorOf(test.err, "/v2/Services/VA00000000000000000000000000000000/Verifications/+14155552671")
		rec := httptest.NewRecorder()
		e.write(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		if rec.Code != test.status || e.Code != test.code || strings.Contains(rec.Body.String(), "secret") || strings.Contains(rec.Body.String(), "5552671") {
			t.Errorf("%v: %d %s, want %d and %d", test.err, rec.Code, rec.Body, test.status, test.code)
		}
		if retry := rec.Header().Get("Retry-After"); (test.status == 429 || test.status == 503 && e.retryAfter > 0) != (retry != "") || test.status == 429 && retry != "2" {
			t.Errorf("%v: Retry-After %q", test.err, retry)
		}
	}
}
