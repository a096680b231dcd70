package interop

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// What the simulator has from the start.
var (
	simAccount = "AC" + strings.Repeat("0", 32)
	simToken   = strings.Repeat("1", 32)
	simService = "MG" + strings.Repeat("0", 32)
)

// message is what the SDK read of a message, with its own names.
type message struct {
	SID                 string
	AccountSID          string `json:"accountSid"`
	MessagingServiceSID string `json:"messagingServiceSid"`
	To, Body, Status    string
	Direction           string
	NumSegments         string    `json:"numSegments"`
	DateCreated         time.Time `json:"dateCreated"`
	ErrorCode           *int      `json:"errorCode"`
	Failed              *failed
}

// failed is the SDK's RestException.
type failed struct {
	Status, Code int
	Message      string
}

// desk is a simulator on a loopback port, asked by the SDK.
type desk struct {
	*referee
	url string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	r := startReferee(t)
	sim := twiliosim.New(twiliosim.Options{Step: time.Millisecond})
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("closing the simulator: %v", err)
		}
		server.Close()
	})
	return &desk{r, server.URL}
}

// call makes a call of the SDK with the account's credentials.
func (d *desk) call(op string, args map[string]any, answer any) {
	d.t.Helper()
	d.callAs(simToken, op, args, answer)
}

func (d *desk) callAs(token, op string, args map[string]any, answer any) {
	d.t.Helper()
	all := map[string]any{"baseURL": d.url, "accountSid": simAccount, "password": token}
	maps.Copy(all, args)
	d.ask(op, all, answer)
}

func (d *desk) create(params map[string]any) (m message) {
	d.t.Helper()
	d.call("sdk.create", map[string]any{"params": params}, &m)
	return m
}

// TestNodeSDK has Twilio's SDK for Node.js create, fetch, list, redact and
// rate messages of the simulator.
func TestNodeSDK(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	before := time.Now().Truncate(time.Second)
	body := "Ihr Code: 123456 – gültig 10 min\r\n😀"
	created := d.create(map[string]any{"to": "+14155552671", "messagingServiceSid": simService, "body": body, "provideFeedback": true})
	want := message{
		SID: created.SID, AccountSID: simAccount, MessagingServiceSID: simService, To: "+14155552671", Body: body,
		Status: "accepted", Direction: "outbound-api", NumSegments: "0", DateCreated: created.DateCreated,
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(created.SID, "SM") || created.DateCreated.Before(before) {
		t.Errorf("created as %q at %v", created.SID, created.DateCreated)
	}

	var fetched message
	d.call("sdk.fetch", map[string]any{"sid": created.SID}, &fetched)
	if fetched.SID != created.SID || fetched.Body != body {
		t.Errorf("fetched %+v", fetched)
	}
	var redacted message
	d.awaitStatus(created.SID, "delivered")
	d.call("sdk.redact", map[string]any{"sid": created.SID}, &redacted)
	if redacted.SID != created.SID || redacted.Body != "" {
		t.Errorf("redacted %+v", redacted)
	}
	var feedback struct{ MessageSID, Outcome string }
	d.call("sdk.feedback", map[string]any{"sid": created.SID, "outcome": "confirmed"}, &feedback)
	if feedback.MessageSID != created.SID || feedback.Outcome != "confirmed" {
		t.Errorf("feedback %+v", feedback)
	}
}

// awaitStatus polls: the simulator runs on the real clock behind a real port.
func (d *desk) awaitStatus(sid, status string) {
	d.t.Helper()
	var m message
	for deadline := time.Now().Add(10 * time.Second); m.Status != status; {
		if time.Now().After(deadline) {
			d.t.Fatalf("the message is still %s, not %s", m.Status, status)
		}
		d.call("sdk.fetch", map[string]any{"sid": sid}, &m)
	}
}

// TestNodeSDKLists has the SDK walk through pages and filters.
func TestNodeSDKLists(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const n = 7
	var want []string // newest first
	for i := range n {
		m := d.create(map[string]any{"to": "+14155552671", "messagingServiceSid": simService, "body": fmt.Sprint("text ", i)})
		want = append([]string{m.SID}, want...)
	}
	d.create(map[string]any{"to": "+14155552672", "messagingServiceSid": simService, "body": "somebody else's"})
	for _, sid := range want {
		d.awaitStatus(sid, "delivered")
	}

	now := time.Now()
	for name, test := range map[string]struct {
		params map[string]any
		want   []string
	}{
		"one number, in pages of 3": {map[string]any{"to": "+14155552671", "pageSize": 3}, want},
		"the newest two":            {map[string]any{"to": "+14155552671", "limit": 2}, want[:2]},
		"since an hour ago":         {map[string]any{"to": "+14155552671", "dateSentAfter": now.Add(-time.Hour)}, want},
		"from tomorrow on":          {map[string]any{"to": "+14155552671", "dateSentAfter": now.Add(24 * time.Hour)}, nil},
		"nobody's":                  {map[string]any{"to": "+14155552673"}, nil},
	} {
		var list []message
		d.call("sdk.list", map[string]any{"params": test.params}, &list)
		var got []string
		for _, m := range list {
			got = append(got, m.SID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNodeSDKErrors has the SDK read the simulator's refusals.
func TestNodeSDKErrors(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	refused := func(what string, m message, status, code int) {
		t.Helper()
		if m.Failed == nil || m.Failed.Status != status || m.Failed.Code != code || m.Failed.Message == "" {
			t.Errorf("%s: %+v, want %d and code %d", what, m.Failed, status, code)
		}
	}
	refused("no number", d.create(map[string]any{"to": "12", "messagingServiceSid": simService, "body": "x"}), 400, 21211)
	refused("no body", d.create(map[string]any{"to": "+14155552671", "messagingServiceSid": simService}), 400, 21602)
	refused("a long body", d.create(map[string]any{"to": "+14155552671", "messagingServiceSid": simService, "body": strings.Repeat("x", 1601)}), 400, 21617)
	var m message
	d.call("sdk.fetch", map[string]any{"sid": "SM" + strings.Repeat("9", 32)}, &m)
	refused("no such message", m, 404, 20404)
	m = message{}
	d.callAs("wrong", "sdk.fetch", map[string]any{"sid": "SM" + strings.Repeat("9", 32)}, &m)
	refused("a wrong token", m, 401, 20003)
}

// inbound is a request that somebody made to our callback URL.
type inbound struct {
	url, signature, body string
}

// TestNodeSDKValidatesCallbacks has the SDK judge the simulator's callbacks,
// as they are and changed in one byte.
func TestNodeSDKValidatesCallbacks(t *testing.T) {
	t.Parallel()
	callbacks := make(chan inbound, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("reading a callback: %v", err)
		}
		callbacks <- inbound{"http://" + q.Host + q.RequestURI, q.Header.Get("X-Twilio-Signature"), string(body)}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	d := newDesk(t)
	for _, path := range []string{"/callbacks/twilio/s_1", "/cb?send=s%5F1&b=2&a=1", "/cb?x=a+b%20c'(d)", "/cb#rc=2&rp=all"} {
		d.create(map[string]any{"to": "+14155552671", "messagingServiceSid": simService, "body": "Code 123456", "statusCallback": receiver.URL + path})
		for status := ""; status != "delivered"; {
			c := next(t, callbacks)
			form, err := url.ParseQuery(c.body)
			if err != nil {
				t.Fatal(err)
			}
			status = form.Get("MessageStatus")
			if !d.valid(simToken, c) {
				t.Errorf("%s: the SDK refuses the callback of status %s", path, status)
			}
			c.body = strings.Replace(c.body, "delivered", "undelivered", 1) + "&x=1"
			if d.valid(simToken, c) {
				t.Errorf("%s: the SDK accepts a callback that was changed", path)
			}
		}
	}
}

func next(t *testing.T, callbacks <-chan inbound) inbound {
	t.Helper()
	select {
	case c := <-callbacks:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("no callback arrives")
		return inbound{}
	}
}

// valid asks the SDK's validateRequest.
func (r *referee) valid(token string, c inbound) (valid bool) {
	r.t.Helper()
	r.ask("sdk.validate", map[string]any{"token": token, "signature": c.signature, "url": c.url, "body": c.body}, &valid)
	return valid
}

// TestNodeSDKSignatures compares signatures over generated forms with repeated
// names: the simulator's satisfy the SDK, and the connector takes the SDK's.
func TestNodeSDKSignatures(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	random := seeded(t)
	client, err := twilio.New(twilio.Config{AccountSID: simAccount, AuthToken: secret.New(simToken), MessagingServiceSID: simService}, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		pairs := [][2]string{
			{"MessageSid", "SM" + strings.Repeat("a", 32)}, {"MessageStatus", "delivered"}, {"AccountSid", simAccount},
			{"From", "+12025550100"}, {"To", "+14155552671"}, {"ApiVersion", "2010-04-01"},
		}
		for range random.IntN(12) {
			name := pick(random, []string{"Tag", "tag", "MediaUrl", "", "é", "Zeit", "_", "0", "__proto__"})
			value := pick(random, []string{"", " ", "a", "A", "b", "é", "e\u0301", "a b", "a+b", "a&b=c", "%20", "\r\n", "10", "9", "…", "漢字", strings.Repeat("x", 300)})
			pairs = append(pairs, [2]string{name, value})
		}
		random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		c := inbound{url: pick(random, []string{"https://example.com/cb", "https://example.com:8443/cb?a=1", "http://127.0.0.1:8080/cb?b=%C3%A9"}), body: encodeForm(pairs)}
		c.signature = twiliosim.Sign(simToken, c.url, pairs)
		if !r.valid(simToken, c) {
			t.Errorf("the SDK refuses the simulator's signature of %s for %s", c.body, c.url)
		}
		r.ask("sdk.sign", map[string]any{"token": simToken, "url": c.url, "body": c.body}, &c.signature)
		update, err := client.ParseStatus(connector.Inbound{
			PublicURL: c.url,
			Header:    http.Header{"X-Twilio-Signature": {c.signature}, "Content-Type": {"application/x-www-form-urlencoded"}},
			Body:      []byte(c.body),
		})
		if err != nil || update.Status != connector.StatusDelivered {
			t.Errorf("the connector says %v, %v of the SDK's signature of %s for %s", update, err, c.body, c.url)
		}
	}
}

func encodeForm(pairs [][2]string) string {
	fields := make([]string, len(pairs))
	for i, p := range pairs {
		fields[i] = url.QueryEscape(p[0]) + "=" + url.QueryEscape(p[1])
	}
	return strings.Join(fields, "&")
}

// TestNodeSDKVerdicts holds the shared vectors to what they say of this SDK.
func TestNodeSDKVerdicts(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	var vectors []struct {
		Name, Token, URL, Signature string
		Params                      [][2]string
		Node                        bool
	}
	if err := readJSON("../testdata/twilio/signatures.json", &vectors); err != nil {
		t.Fatal(err)
	}
	verdicts := map[bool]int{}
	for _, v := range vectors {
		verdicts[v.Node]++
		if got := r.valid(v.Token, inbound{v.URL, v.Signature, encodeForm(v.Params)}); got != v.Node {
			t.Errorf("%s: the SDK says %t, the vector %t", v.Name, got, v.Node)
		}
	}
	if verdicts[true] < 30 || verdicts[false] < 30 {
		t.Errorf("only %v verdicts", verdicts)
	}
}
