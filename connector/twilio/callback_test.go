package twilio

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/secret"
)

const callbackURL = "https://codes.example.com/callbacks/twilio/s_1.1"

func TestParseStatusMapsWords(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for word, want := range map[string]connector.Status{
		"queued": connector.StatusAccepted, "scheduled": connector.StatusAccepted, "sending": connector.StatusAccepted, "accepted": connector.StatusAccepted,
		"sent": connector.StatusSent, "delivered": connector.StatusDelivered, "read": connector.StatusDelivered,
		"undelivered": connector.StatusUndelivered, "failed": connector.StatusFailed, "canceled": connector.StatusFailed,
		"receiving": "", "received": "", "partially_delivered": "", "Delivered": "", "delivered ": "", "new": "",
	} {
		// A code beside a status that is not about failing is a warning.
		u, err := c.ParseStatus(callback(testToken, callbackURL, callbackForm(word, "30045")))
		if want == "" {
			if !errors.Is(err, connector.ErrUnknownStatus) || u != (connector.StatusUpdate{}) {
				t.Errorf("%q: %v, %v; want ErrUnknownStatus", word, u.Status, err)
			}
			continue
		}
		bad := want == connector.StatusUndelivered || want == connector.StatusFailed
		if err != nil || u.Status != want || u.ProviderID != testMessage || (u.Err != nil) != bad {
			t.Errorf("%q: %+v, %v; want %s", word, u, err, want)
		}
	}
	u, err := c.ParseStatus(callback(testToken, callbackURL, callbackForm("undelivered", "")))
	if err != nil || u.Err == nil || u.Err.Kind != kindUnclassified || u.Err.ProviderCode != "" || u.Err.Actions != actFailover {
		t.Errorf("undelivered without a code: %+v, %v", u.Err, err)
	}
}

// TestParseStatusReadsSignedOnly changes one thing of a genuine callback.
func TestParseStatusReadsSignedOnly(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	signature := func(in *connector.Inbound, s ...string) { in.Header["X-Twilio-Signature"] = s }
	genuine := func() connector.Inbound { return callback(testToken, callbackURL, callbackForm("sent", "")) }
	right := http.Header(genuine().Header).Get("X-Twilio-Signature")
	for name, change := range map[string]func(*connector.Inbound){
		"no header":          func(in *connector.Inbound) { in.Header = nil },
		"no signature":       func(in *connector.Inbound) { http.Header(in.Header).Del("X-Twilio-Signature") },
		"empty":              func(in *connector.Inbound) { signature(in, "") },
		"twice":              func(in *connector.Inbound) { signature(in, right, right) },
		"a right one behind": func(in *connector.Inbound) { signature(in, "AAAA", right) },
		"one character less": func(in *connector.Inbound) { signature(in, right[:27]) },
		"white space behind": func(in *connector.Inbound) { signature(in, right+" ") },
		"another token":      func(in *connector.Inbound) { *in = callback("x"+testToken[1:], callbackURL, callbackForm("sent", "")) },
		"an empty token":     func(in *connector.Inbound) { *in = callback("", callbackURL, callbackForm("sent", "")) },
		"the API key":        func(in *connector.Inbound) { *in = callback(testKeySecret, callbackURL, callbackForm("sent", "")) },
		"another path":       func(in *connector.Inbound) { in.PublicURL += "2" },
		"a query":            func(in *connector.Inbound) { in.PublicURL += "?" },
		"another scheme":     func(in *connector.Inbound) { in.PublicURL = strings.Replace(in.PublicURL, "https", "http", 1) },
		"a port never meant": func(in *connector.Inbound) {
			*in = callback(testToken, strings.Replace(callbackURL, ".com/", ".com:8443/", 1), callbackForm("sent", ""))
			in.PublicURL = callbackURL
		},
		"no URL":         func(in *connector.Inbound) { in.PublicURL = "" },
		"another status": func(in *connector.Inbound) { in.Body = []byte(strings.Replace(string(in.Body), "=sent", "=failed", 1)) },
		"a field more":   func(in *connector.Inbound) { in.Body = append(in.Body, "&ErrorCode=30003"...) },
		"a field less": func(in *connector.Inbound) {
			in.Body = []byte(strings.Replace(string(in.Body), "&SmsStatus=sent", "", 1))
		},
		"trimmed": func(in *connector.Inbound) {
			f := callbackForm("sent", "")
			f.Set("Note", "x ")
			*in = callback(testToken, callbackURL, f)
			in.Body = []byte(strings.Replace(string(in.Body), "Note=x+", "Note=x", 1))
		},
		"a repeat in front": func(in *connector.Inbound) { in.Body = append([]byte("MessageStatus=delivered&"), in.Body...) },
		"no body":           func(in *connector.Inbound) { in.Body = nil },
	} {
		in := genuine()
		if _, err := c.ParseStatus(in); err != nil {
			t.Fatalf("genuine: %v", err)
		}
		change(&in)
		u, err := c.ParseStatus(in)
		if !errors.Is(err, connector.ErrSignature) || u != (connector.StatusUpdate{}) {
			t.Errorf("%s: %+v, %v; want ErrSignature", name, u, err)
		}
		connectortest.NoSecrets(t, err, append([]string{right[:20], testMessage}, testSecrets...)...)
	}
}

func TestParseStatusTokens(t *testing.T) {
	t.Parallel()
	in := func(token string) connector.Inbound { return callback(token, callbackURL, callbackForm("sent", "")) }
	both := newTestClient(t, testConfig(""), Options{})
	for _, token := range []string{testToken, testSecondary} {
		if _, err := both.ParseStatus(in(token)); err != nil {
			t.Errorf("one of two tokens: %v", err)
		}
	}
	cfg := testConfig("")
	cfg.AuthTokenSecondary = secret.String{}
	one := newTestClient(t, cfg, Options{})
	if _, err := one.ParseStatus(in(testToken)); err != nil {
		t.Errorf("the one token: %v", err)
	}
	for _, token := range []string{testSecondary, ""} {
		if _, err := one.ParseStatus(in(token)); !errors.Is(err, connector.ErrSignature) {
			t.Errorf("without a second token, another's signature: %v", err)
		}
	}
}

// TestParseStatusMalformed signs callbacks that are not what Twilio sends.
func TestParseStatusMalformed(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	with := func(name, value string) url.Values {
		f := callbackForm("failed", "30003")
		f.Set(name, value)
		return f
	}
	without := func(name string) url.Values {
		f := callbackForm("failed", "30003")
		f.Del(name)
		return f
	}
	for name, form := range map[string]url.Values{
		"another account": with("AccountSid", "AC"+strings.Repeat("9", 32)), "no account": without("AccountSid"),
		"no id": without("MessageSid"), "a call's id": with("MessageSid", "CA"+testMessage[2:]), "a path as id": with("MessageSid", "SM/../"+testMessage[6:]),
		"no status": without("MessageStatus"), "an empty status": with("MessageStatus", ""),
		"words as code": with("ErrorCode", "unknown"), "a long code": with("ErrorCode", "14155550123"), "a signed code": with("ErrorCode", "-5"), "zero": with("ErrorCode", "0"),
		"nothing": {},
	} {
		u, err := c.ParseStatus(callback(testToken, callbackURL, form))
		if !errors.Is(err, connector.ErrMalformed) || u != (connector.StatusUpdate{}) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, u, err)
		}
		connectortest.NoSecrets(t, err, append([]string{testMessage}, testSecrets...)...)
	}
	for _, contentType := range []string{"", "application/json", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded; charset"} {
		in := callback(testToken, callbackURL, callbackForm("sent", ""))
		http.Header(in.Header).Set("Content-Type", contentType)
		if _, err := c.ParseStatus(in); !errors.Is(err, connector.ErrMalformed) {
			t.Errorf("type %q: %v", contentType, err)
		}
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded;charset=utf-8"} {
		in := callback(testToken, callbackURL, callbackForm("sent", ""))
		http.Header(in.Header).Set("Content-Type", contentType)
		if _, err := c.ParseStatus(in); err != nil {
			t.Errorf("type %q: %v", contentType, err)
		}
	}
}

// TestRepeatedFields: what is signed of a repeated field depends on the
// signer, so a field that is read may not repeat, and any other may.
func TestRepeatedFields(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for _, name := range []string{"AccountSid", "MessageSid", "MessageStatus", "ErrorCode"} {
		form := callbackForm("failed", "30003")
		for _, second := range []string{form.Get(name), "delivered", "30005"} {
			in := callback(testToken, callbackURL, form) // signs the first value, as Go's library does
			in.Body = append(in.Body, "&"+name+"="+second...)
			if u, err := c.ParseStatus(in); !errors.Is(err, connector.ErrMalformed) || u != (connector.StatusUpdate{}) {
				t.Errorf("%s again: %+v, %v; want ErrMalformed", name, u, err)
			}
		}
	}
	in := callback(testToken, callbackURL, callbackForm("sent", ""))
	in.Body = append(in.Body, "&To=%2B1&To="...)
	if _, err := c.ParseStatus(in); err != nil {
		t.Errorf("first values signed: %v", err)
	}
	// The distinct values in order, as Node's library signs.
	var f form
	if err := f.parse([]byte("B=2&B=1&A=x&B=2")); err != nil {
		t.Fatal(err)
	}
	first, more := f.appendFirst(nil)
	if distinct := f.appendDistinct(nil); string(first) != "AxB2" || !more || string(distinct) != "AxB1B2" {
		t.Errorf("first values %q, distinct ones %q", first, distinct)
	}
}

func TestParseForm(t *testing.T) {
	t.Parallel()
	type fields = map[string][]string
	for body, want := range map[string]fields{
		"":                     {},
		"a=b":                  {"a": {"b"}},
		"a=b&a=c":              {"a": {"b", "c"}},
		"a":                    {"a": {""}},
		"=a":                   {"": {"a"}},
		"a=b=c":                {"a": {"b=c"}},
		"a=+%2B%20&%61=%c3%B3": {"a": {" + ", "ó"}},
		"a=%00":                {"a": {"\x00"}},
		"&":                    nil,
		"a=b&&c=d":             nil,
		"a=b&":                 {"a": {"b"}},
		"a=b;c=d":              nil,
		"a=%":                  nil,
		"a=%4":                 nil,
		"%zz=a":                nil,
	} {
		got, err := parsed(body)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: error %v (-want +got):\n%s", body, err, diff)
		}
	}
	big := strings.Repeat("a", maxCallback-2)
	many := strings.TrimSuffix(strings.Repeat("a=b&", maxFields), "&")
	for body, ok := range map[string]bool{"a=" + big: true, "a=a" + big: false, many: true, many + "&c=d": false} {
		if _, err := parsed(body); (err == nil) != ok || err != nil && !errors.Is(err, connector.ErrMalformed) {
			t.Errorf("%d bytes: %v", len(body), err)
		}
	}
}

// parsed is a form as a map; an error leaves none.
func parsed(body string) (map[string][]string, error) {
	var f form
	if err := f.parse([]byte(body)); err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, next := range f.fields {
		all[string(next.name)] = append(all[string(next.name)], string(next.value))
	}
	return all, nil
}

func TestSignedURLs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"https://h/p?q=1#f":             {"https://h/p?q=1", "https://h:443/p?q=1"},
		"http://h/p":                    {"http://h/p", "http://h:80/p"},
		"HTTPS://H/P":                   {"HTTPS://H/P", "HTTPS://H:443/P"},
		"https://h:8443/p":              {"https://h:8443/p", "https://h/p"},
		"https://u:p@h:8443/p":          {"https://h:8443/p", "https://h/p"},
		"https://u@x@h/p":               {"https://h/p", "https://h:443/p"},
		"https://h/a@b:1/c?d=@e:2":      {"https://h/a@b:1/c?d=@e:2", "https://h:443/a@b:1/c?d=@e:2"},
		"https://h?q=/x":                {"https://h?q=/x", "https://h:443?q=/x"},
		"https://h":                     {"https://h", "https://h:443"},
		"https://h#f?x/y":               {"https://h", "https://h:443"},
		"https://[::1]/p":               {"https://[::1]/p", "https://[::1]:443/p"},
		"https://[::1]:8443/p":          {"https://[::1]:8443/p", "https://[::1]/p"},
		"https://u:p@[2001:db8::1]:1/p": {"https://[2001:db8::1]:1/p", "https://[2001:db8::1]/p"},
	} {
		got := [2]string{signedURL(in)}
		got[1], _ = otherPort(got[0])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

// FuzzParseStatus gives ParseStatus a body twice: with a signature that is
// wrong, and signed. What it reads must stand in the form.
func FuzzParseStatus(f *testing.F) {
	for _, status := range []string{"queued", "sent", "delivered", "undelivered", "failed", "canceled", "read", "received"} {
		f.Add(callbackURL, callbackForm(status, "30003").Encode(), "application/x-www-form-urlencoded")
	}
	f.Add("https://u:p@[::1]:1/#x", "MessageStatus=sent&MessageStatus=failed&a=%00;b", "application/x-www-form-urlencoded; charset=utf-8")
	for _, sections := range goldenSections(f, "callback/*.txt") {
		f.Add(sections["url"], sections["body"], "application/x-www-form-urlencoded")
	}
	c, err := New(testConfig(""), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, publicURL, body, contentType string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			form = url.Values{}
		}
		in := callback(testToken, publicURL, form) // over the first values
		in.Body = []byte(body)
		http.Header(in.Header).Set("Content-Type", contentType)
		if u, err := c.ParseStatus(in); err == nil {
			code := ""
			if u.Err != nil {
				code = u.Err.ProviderCode
			}
			status, ok := statusOf(form.Get("MessageStatus"))
			if !ok || u.Status != status || u.ProviderID != form.Get("MessageSid") || form.Get("AccountSid") != testAccount || code != "" && fmt.Sprint(parseCode(form.Get("ErrorCode"))) != code {
				t.Errorf("%+v does not stand in %q", u, body)
			}
		} else if u != (connector.StatusUpdate{}) || !errors.Is(err, connector.ErrSignature) && !errors.Is(err, connector.ErrMalformed) && !errors.Is(err, connector.ErrUnknownStatus) {
			t.Errorf("%+v, %v", u, err)
		}
		in.Header = callback("wrong"+testToken, publicURL, form).Header
		http.Header(in.Header).Set("Content-Type", contentType)
		if u, err := c.ParseStatus(in); err == nil || u != (connector.StatusUpdate{}) {
			t.Errorf("a wrong signature is accepted: %+v", u)
		}
	})
}
