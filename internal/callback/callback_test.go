package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/twiliosim"
	"github.com/sixdigit/sixdigit/verify"
)

// What reaches the domain is what Twilio said.
func TestGenuine(t *testing.T) {
	t.Parallel()
	var updates []connector.StatusUpdate
	var replies []connector.Consent
	tc := newTest(t, publicURL, &fake{
		delivery: func(ctx context.Context, name, send string, u connector.StatusUpdate) error {
			if left, ok := ctx.Deadline(); !ok || time.Until(left) > deadline || name != "twilio" || send != sendID {
				t.Errorf("%q %q, deadline %v", name, send, left)
			}
			updates = append(updates, u)
			return nil
		},
		reply: func(ctx context.Context, name string, r connector.Reply) error {
			if left, ok := ctx.Deadline(); !ok || time.Until(left) > deadline || name != "twilio" || r.From.E164() != "+14155552671" {
				t.Errorf("%q %v, deadline %v", name, r.From, left)
			}
			replies = append(replies, r.Consent)
			return nil
		},
	})
	for _, form := range []pairs{statusForm("sent"), statusForm("undelivered", "ErrorCode", "30005"), statusForm("delivered"), statusForm("delivered")} {
		status, header, body, _ := tc.do(t, signed(ourToken(), statusPath, form))
		if status != http.StatusNoContent || body != "" || header.Get("Content-Type") != "" {
			t.Errorf("%d %q %s", status, body, header.Get("Content-Type"))
		}
	}
	if len(updates) != 4 || updates[0].Status != connector.StatusSent || updates[1].Err == nil || updates[1].Err.ProviderCode != "30005" ||
		updates[2].Status != connector.StatusDelivered || updates[2].ProviderID != messageSID {
		t.Errorf("%+v", updates)
	}
	for _, text := range []string{"STOP", "start", "Where is my code?"} {
		status, header, body, _ := tc.do(t, signed(ourToken(), replyPath, replyForm(text)))
		if status != http.StatusOK || body != "<Response></Response>" || header.Get("Content-Type") != "text/xml" {
			t.Errorf("%d %q %s", status, body, header.Get("Content-Type"))
		}
	}
	if diff := cmp.Diff([]connector.Consent{connector.ConsentStop, connector.ConsentStart, connector.ConsentNone}, replies); diff != "" {
		t.Error(diff)
	}
	want := append(slices.Repeat([]string{"twilio status ok"}, 4), slices.Repeat([]string{"twilio reply ok"}, 3)...)
	if diff := cmp.Diff(want, tc.observed()); diff != "" {
		t.Error(diff)
	}
}

// Nobody but Twilio, with this account, to this URL, gets as far as the domain.
func TestRefused(t *testing.T) {
	t.Parallel()
	genuine := func() *http.Request { return signed(ourToken(), statusPath, statusForm("delivered")) }
	header := func(name string, values ...string) *http.Request {
		r := genuine()
		r.Header[name] = values
		return r
	}
	many := statusForm("delivered")
	for i := range 1000 {
		many = append(many, [2]string{fmt.Sprintf("Field%d", i), "x"})
	}
	stranger := statusForm("delivered")
	stranger[5][1] = "AC" + strings.Repeat("9", 32)
	chunked := signed(ourToken(), statusPath, statusForm("delivered", "Note", strings.Repeat("x", maxBody)))
	chunked.ContentLength = -1
	elsewhere := func(from, to string) *http.Request {
		r := signed(ourToken(), from, statusForm("delivered"))
		r.URL.Path = to
		return r
	}
	queried := genuine()
	queried.URL.RawQuery = "a=1"
	host := httptest.NewRequest(http.MethodPost, statusPath, strings.NewReader(statusForm("delivered").encode()))
	host.Host = "evil.example"
	host.Header.Set("Content-Type", formType)
	host.Header.Set("X-Forwarded-Host", "evil.example")
	host.Header.Set("X-Twilio-Signature", twiliosim.Sign(ourToken(), "https://evil.example"+statusPath, statusForm("delivered")))

	for _, tt := range []struct {
		name         string
		r            *http.Request
		status       int
		code, result string
	}{
		{"forged", signed(theirToken, statusPath, statusForm("delivered")), 403, "signature_invalid", "twilio status signature"},
		{"unsigned", header("X-Twilio-Signature"), 403, "signature_invalid", "twilio status signature"},
		{"signed twice", header("X-Twilio-Signature", "a", "b"), 403, "signature_invalid", "twilio status signature"},
		{"another send's", elsewhere(statusPath, statusPath+"0"), 403, "signature_invalid", "twilio status signature"},
		{"another connector's path", elsewhere(statusPath, "/callbacks/a b/"+sendID), 403, "signature_invalid", "a b status signature"},
		{"a query that was not signed", queried, 403, "signature_invalid", "twilio status signature"},
		{"signed for the request's host", host, 403, "signature_invalid", "twilio status signature"},
		{"a status signed as a reply", elsewhere(statusPath, replyPath), 403, "signature_invalid", "twilio reply signature"},
		{"another account's", signed(ourToken(), statusPath, stranger), 400, "callback_malformed", "twilio status malformed"},
		{"a forged one, another account's", signed(theirToken, statusPath, stranger), 403, "signature_invalid", "twilio status signature"},
		{"no status", signed(ourToken(), statusPath, replyForm("hello")), 400, "callback_malformed", "twilio status malformed"},
		{"an unknown status", signed(ourToken(), statusPath, statusForm("teleported")), 400, "status_unknown", "twilio status unknown_status"},
		{"a forged unknown status", signed(theirToken, statusPath, statusForm("teleported")), 403, "signature_invalid", "twilio status signature"},
		{"another type", header("Content-Type", "application/json"), 400, "callback_malformed", "twilio status malformed"},
		{"1,000 fields", signed(ourToken(), statusPath, many), 400, "callback_malformed", "twilio status malformed"},
		{"1,000 fields, unsigned", func() *http.Request {
			r := signed(ourToken(), statusPath, many)
			r.Header.Del("X-Twilio-Signature")
			return r
		}(), 403, "signature_invalid", "twilio status signature"},
		{"too large", signed(ourToken(), statusPath, statusForm("delivered", "Note", strings.Repeat("x", maxBody))), 413, "body_too_large", "twilio status too_large"},
		{"too large, not announced", chunked, 413, "body_too_large", "twilio status too_large"},
		{"a reply, too large", signed(ourToken(), replyPath, replyForm(strings.Repeat("x", maxBody))), 413, "body_too_large", "twilio reply too_large"},
		{"a forged STOP", signed(theirToken, replyPath, replyForm("STOP")), 403, "signature_invalid", "twilio reply signature"},
		{"no such connector", signed(ourToken(), "/callbacks/Nexmo/"+sendID, statusForm("sent")), 404, "not_found", " status not_found"},
		{"no such connector for replies", signed(ourToken(), "/inbound/Nexmo", replyForm("STOP")), 404, "not_found", " reply not_found"},
		{"a connector without callbacks", signed(ourToken(), "/callbacks/mute/"+sendID, statusForm("sent")), 404, "not_found", "mute status not_found"},
		{"a connector without replies", signed(ourToken(), "/inbound/mute", replyForm("STOP")), 404, "not_found", "mute reply not_found"},
		{"GET", httptest.NewRequest(http.MethodGet, statusPath, nil), 405, "method_not_allowed", ""},
		{"HEAD", httptest.NewRequest(http.MethodHead, replyPath, nil), 405, "method_not_allowed", ""},
		{"no send", signed(ourToken(), "/callbacks/twilio/", statusForm("sent")), 404, "no_such_path", ""},
		{"a path too long", signed(ourToken(), statusPath+"/1", statusForm("sent")), 404, "no_such_path", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			tc := newTest(t, publicURL, f)
			status, header, body, code := tc.do(t, tt.r)
			if status != tt.status || code != tt.code || header.Get("Retry-After") != "" {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.code)
			}
			if got := strings.Join(tc.observed(), ","); got != tt.result {
				t.Errorf("observed %q, want %q", got, tt.result)
			}
			if f.calls != 0 {
				t.Error("the domain was asked")
			}
			for _, leak := range []string{"4155552671", "teleported", messageSID, "Nexmo", "evil", sendID, "STOP"} {
				if strings.Contains(tc.log.String()+body, leak) {
					t.Errorf("log or answer hold %q:\n%s%s", leak, tc.log, body)
				}
			}
		})
	}
}

// A signature that is wrong in any way is answered in the same words.
func TestRefusalsHintAtNothing(t *testing.T) {
	t.Parallel()
	answers := map[string]bool{}
	for _, signature := range []string{"", "x", strings.Repeat("=", 28), twiliosim.Sign(theirToken, publicURL+statusPath, statusForm("sent"))} {
		tc := newTest(t, publicURL, &fake{})
		r := signed(ourToken(), statusPath, statusForm("sent"))
		r.Header.Set("X-Twilio-Signature", signature)
		_, header, body, _ := tc.do(t, r)
		answers[strings.ReplaceAll(body, header.Get("X-Request-ID"), "")] = true
	}
	if len(answers) != 1 {
		t.Errorf("%d answers: %v", len(answers), answers)
	}
}

func TestPublicURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ public, target, url string }{
		{"https://h.example/", statusPath, "https://h.example" + statusPath},
		{"https://h.example:8443/sms/v1", statusPath, "https://h.example:8443/sms/v1" + statusPath},
		{"https://u:p@h.example:8443/sms//", statusPath, "https://u:p@h.example:8443/sms" + statusPath},
		{"http://[::1]:8080", statusPath, "http://[::1]:8080" + statusPath},
		{"https://h.example/a%20b", statusPath + "?x=1&x=%2F+&y", "https://h.example/a%20b" + statusPath + "?x=1&x=%2F+&y"},
		{"https://h.example", statusPath + "?", "https://h.example" + statusPath + "?"},
		{"https://h.example", "/callbacks/tw%69lio/9%2e1", "https://h.example/callbacks/tw%69lio/9%2e1"},
		{"https://h.example", replyPath + "?app=shop", "https://h.example" + replyPath + "?app=shop"},
	} {
		f := &fake{}
		tc := newTest(t, tt.public, f)
		form := statusForm("sent")
		want := http.StatusNoContent
		if strings.HasPrefix(tt.target, "/inbound") {
			form, want = replyForm("STOP"), http.StatusOK
		}
		r := signed(ourToken(), tt.target, form)
		r.Host = "internal:9999"
		r.Header.Set("X-Twilio-Signature", twiliosim.Sign(ourToken(), tt.url, form))
		if status, _, body, _ := tc.do(t, r); status != want || f.calls != 1 {
			t.Errorf("%s %s: %d %s", tt.public, tt.target, status, body)
		}
	}
}

// The URL that is given with a send leads back to connector and send.
func TestURL(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"twilio", "a b", "50%", "Ü#?"} {
		for _, send := range []string{sendID, "ä/ö", "?", "100%", "a;b,c:d@e&f=g+h$i", "..x"} {
			var gotName, gotSend string
			tc := newTest(t, publicURL+"/sms/", &fake{delivery: func(_ context.Context, name, send string, _ connector.StatusUpdate) error {
				gotName, gotSend = name, send
				return nil
			}})
			given := tc.URL(name, send)
			if given != URL(publicURL+"/sms", name, send) {
				t.Errorf("two URLs: %s", given)
			}
			u, err := url.Parse(given)
			if err != nil {
				t.Fatal(err)
			}
			form := statusForm("sent")
			r := signed(ourToken(), strings.TrimPrefix(u.EscapedPath(), "/sms"), form)
			r.Header.Set("X-Twilio-Signature", twiliosim.Sign(ourToken(), given, form))
			if status, _, body, _ := tc.do(t, r); status != 204 || gotName != name || gotSend != send {
				t.Errorf("%s: %d %s, %q %q", given, status, body, gotName, gotSend)
			}
		}
	}
}

// What the domain says decides the answer; the provider is asked to come again
// only for what may pass.
func TestRecorderErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err          error
		status       int
		code, result string
	}{
		{verify.ErrNotFound, 404, "not_found", ResultNotFound},
		{fmt.Errorf("x: %w", verify.ErrNotFound), 404, "not_found", ResultNotFound},
		{verify.ErrUnavailable, 503, "unavailable", ResultUnavailable},
		{&verify.StoreError{Err: errors.New("disk")}, 503, "unavailable", ResultUnavailable},
		{context.DeadlineExceeded, 503, "unavailable", ResultUnavailable},
		// The domain's own word for what only a parser may say.
		{connector.ErrSignature, 503, "unavailable", ResultUnavailable},
		{connector.ErrUnknownStatus, 503, "unavailable", ResultUnavailable},
	} {
		tc := newTest(t, publicURL, &fake{
			delivery: func(context.Context, string, string, connector.StatusUpdate) error { return tt.err },
			reply:    func(context.Context, string, connector.Reply) error { return tt.err },
		})
		for kind, r := range map[string]*http.Request{
			KindStatus: signed(ourToken(), statusPath, statusForm("sent")), KindReply: signed(ourToken(), replyPath, replyForm("STOP")),
		} {
			status, header, body, code := tc.do(t, r)
			if status != tt.status || code != tt.code || (header.Get("Retry-After") == "1") != (status == 503) || strings.Contains(body, "disk") {
				t.Errorf("%v: %d %s, Retry-After %q", tt.err, status, body, header.Get("Retry-After"))
			}
			if seen := tc.observed(); seen[len(seen)-1] != "twilio "+kind+" "+tt.result {
				t.Errorf("%v: observed %v", tt.err, seen)
			}
		}
	}
}

// A parser that says what its contract does not know has proved nothing.
type strangeParser struct{}

func (strangeParser) ParseStatus(connector.Inbound) (connector.StatusUpdate, error) {
	return connector.StatusUpdate{Status: connector.StatusDelivered}, verify.ErrNotFound
}

func TestStrangeParser(t *testing.T) {
	t.Parallel()
	f := &fake{}
	c, err := New(Options{PublicURL: publicURL, Recorder: f, Sources: map[string]Source{"odd": {Status: strangeParser{}}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Routes(mux) // and no edge around it
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/callbacks/odd/1", nil))
	if rec.Code != http.StatusForbidden || f.calls != 0 {
		t.Errorf("%d, %d calls", rec.Code, f.calls)
	}
}

// A store that hangs costs the provider five seconds of its fifteen.
func TestSlowRecorder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tc := newTest(t, publicURL, &fake{delivery: func(ctx context.Context, _, _ string, _ connector.StatusUpdate) error {
			<-ctx.Done()
			return fmt.Errorf("store: %w", ctx.Err())
		}})
		began := time.Now()
		status, header, _, _ := tc.do(t, signed(ourToken(), statusPath, statusForm("sent")))
		if took := time.Since(began); status != 503 || header.Get("Retry-After") == "" || took != 5*time.Second {
			t.Errorf("%d after %v", status, took)
		}
	})
}

// A provider that has hung up has still said what it said.
func TestProviderHangsUp(t *testing.T) {
	t.Parallel()
	tc := newTest(t, publicURL, &fake{delivery: func(ctx context.Context, _, _ string, _ connector.StatusUpdate) error { return ctx.Err() }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, _, _, _ := tc.do(t, signed(ourToken(), statusPath, statusForm("sent")).WithContext(ctx)); status != 204 {
		t.Errorf("%d", status)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	tc := newTest(t, publicURL, &fake{reply: func(context.Context, string, connector.Reply) error { panic("+14155552671") }})
	status, _, _, code := tc.do(t, signed(ourToken(), replyPath, replyForm("STOP")))
	if status != 500 || code != "internal" || strings.Contains(tc.log.String(), "4155552671") {
		t.Errorf("%d %s\n%s", status, code, tc.log)
	}
	if diff := cmp.Diff([]string{"twilio reply unavailable"}, tc.observed()); diff != "" {
		t.Error(diff)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		form  pairs
		token string
		want  []string // of the log; those with ! must not be there
	}{
		{statusForm("sent"), ourToken(), []string{`"connector":"twilio"`, `"result":"ok"`, `"send":"` + sendID + `"`, `"status":204`, "!error"}},
		{statusForm("sent"), theirToken, []string{`"connector":"twilio"`, `"result":"signature"`, "!send\"", "!error", "!WARN"}},
		{statusForm("teleported"), ourToken(), []string{`"result":"unknown_status"`, `"level":"WARN","msg":"callback not understood","connector":"twilio"`}},
		{replyForm("x"), ourToken(), []string{`"result":"malformed"`, "it has no MessageStatus", "!WARN"}},
	} {
		tc := newTest(t, publicURL, &fake{})
		tc.do(t, signed(tt.token, statusPath, tt.form))
		for _, want := range tt.want {
			unwanted, not := strings.CutPrefix(want, "!")
			if strings.Contains(tc.log.String(), unwanted) == not {
				t.Errorf("%s:\n%s", want, tc.log)
			}
		}
	}
}

// A connector that was renamed shows in the log; a stranger's words do not.
func TestUnknownConnectorIsLogged(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/inbound/main":                              `"asked":"main","kind":"reply"`,
		"/callbacks/main-2/x.1":                      `"asked":"main-2","kind":"status"`,
		"/inbound/" + strings.Repeat("a", maxName):   `"asked":"` + strings.Repeat("a", maxName) + `"`,
		"/inbound/" + strings.Repeat("a", maxName+1): `"asked":"…"`,
		"/inbound/Main":                              `"asked":"…"`,
		"/inbound/code-482913":                       `"asked":"…"`,
		"/callbacks/%0Aa/x.1":                        `"asked":"…"`,
		"/callbacks/twilio/x.1":                      "",
	} {
		tc := newTest(t, publicURL, &fake{})
		tc.do(t, signed(theirToken, path, replyForm("x")))
		log := tc.log.String()
		if strings.Contains(log, `"level":"WARN","msg":"callback for an unknown connector"`) != (want != "") || !strings.Contains(log, want) {
			t.Errorf("%s: want %s in\n%s", path, want, log)
		}
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	for _, public := range []string{
		"", "codes.example.com", "ftp://h.example", "https://", "https://:443", "https://h.example?a=1", "https://h.example#", "https://h.example/%zz", "https://h.example/a b", "https://ü.example",
		"https://user:hunter2@h.example/?x",
	} {
		_, err := New(Options{PublicURL: public, Sources: map[string]Source{"": {}, "..": {}, "a/b": {}}})
		if err == nil {
			t.Errorf("%q is taken", public)
			continue
		}
		for _, want := range []string{"public URL", "recorder", `""`, `".."`, `"a/b"`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v does not say %s", public, err, want)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	}
	if _, err := New(Options{PublicURL: publicURL, Recorder: &fake{}}); err != nil {
		t.Error(err)
	}
}
