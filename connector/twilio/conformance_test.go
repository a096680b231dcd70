package twilio

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// What the tests of this package send with, to whom, and what. The digits of
// each are found nowhere else, so that a leak is one.
const (
	testAccount   = "AC0123456789abcdef0123456789abcdef"
	testToken     = "7f3d9c51e8b24a06b1d5c7e9f2a4836d"
	testSecondary = "c2e4a6081b3d5f7092b4d6f8103a5c7e"
	testKey       = "SK0123456789abcdef0123456789abcdef"
	testKeySecret = "Zq7Wm2Xk9Vt4Rb6Yn8Lp3Jh5Gd1Sf0Ac"
	testService   = "MG0123456789abcdef0123456789abcdef"
	testMessage   = "SM0123456789abcdef0123456789abcdef"
	testNumber    = "+14155550123"
	testCode      = "8463921057"
	testBody      = "Your code is " + testCode + "."
)

// testSecrets is what no error and no log may show.
var testSecrets = []string{testToken, testSecondary, testKeySecret, testNumber[1:], testCode}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		New: func(t testing.TB, baseURL string, rt http.RoundTripper) connector.Sender {
			return newTestClient(t, testConfig(baseURL), Options{Transport: rt})
		},
		Accept:     accept,
		Secrets:    []string{testToken, testSecondary, testKeySecret},
		ProviderID: testMessage,
		Callback: func(testing.TB) connector.Inbound {
			return callback(testToken, "https://codes.example.com/callbacks/twilio/s_1.1#rc=2", callbackForm("delivered", ""))
		},
		Reply: func(testing.TB) connector.Inbound {
			return callback(testToken, "https://codes.example.com/inbound/twilio#rc=2", replyForm("STOP", "STOP"))
		},
	})
}

func testConfig(baseURL string) Config {
	return Config{
		AccountSID: testAccount, AuthToken: secret.New(testToken), AuthTokenSecondary: secret.New(testSecondary),
		APIKeySID: testKey, APIKeySecret: secret.New(testKeySecret),
		MessagingServiceSID: testService, BaseURL: baseURL,
	}
}

func newTestClient(t testing.TB, cfg Config, opts Options) *Client {
	t.Helper()
	c, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testTo(t testing.TB) phone.Number {
	t.Helper()
	n, err := phone.Parse(testNumber)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testMsg(t testing.TB) connector.Message {
	t.Helper()
	return connector.Message{To: testTo(t), Body: secret.New(testBody)}
}

// accept answers as Twilio does.
func accept(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, messageJSON("accepted", "null"))
}

func messageJSON(status, errorCode string) string {
	return `{"sid": "` + testMessage + `", "account_sid": "` + testAccount + `", "status": "` + status +
		`", "error_code": ` + errorCode + `, "body": "` + testBody + `", "to": "` + testNumber +
		`", "direction": "outbound-api", "date_created": "Thu, 24 Aug 2023 05:01:45 +0000"}`
}

func callbackForm(status, errorCode string) url.Values {
	f := url.Values{
		"MessageSid": {testMessage}, "MessageStatus": {status}, "AccountSid": {testAccount}, "ApiVersion": {"2010-04-01"},
		"SmsSid": {testMessage}, "SmsStatus": {status}, "To": {testNumber}, "MessagingServiceSid": {testService},
	}
	if errorCode != "" {
		f.Set("ErrorCode", errorCode)
	}
	return f
}

// callback signs a form as Twilio's documentation says: the URL without its
// fragment, then the fields by name. It shares no line with what it tests.
func callback(token, publicURL string, form url.Values) connector.Inbound {
	signedURL, _, _ := strings.Cut(publicURL, "#")
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	text := signedURL
	for _, name := range names {
		text += name + form.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	return connector.Inbound{
		PublicURL: publicURL,
		Header: http.Header{
			"Content-Type":       {"application/x-www-form-urlencoded; charset=UTF-8"},
			"X-Twilio-Signature": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		},
		Body: []byte(form.Encode()),
	}
}
