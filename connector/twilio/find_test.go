package twilio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/secret"
)

// listedJSON is a message of a list; what is "" gets what fits the tests.
type listedJSON struct {
	SID       string `json:"sid"`
	Account   string `json:"account_sid"`
	To        string `json:"to"`
	Body      string `json:"body"`
	Status    string `json:"status"`
	Direction string `json:"direction"`
	Created   string `json:"date_created"`
	Code      *int   `json:"error_code"`
	Sent      *int   `json:"date_sent"` // null: still in the queue
}

func listJSON(next string, messages ...listedJSON) string {
	for i := range messages {
		m := &messages[i]
		for field, value := range map[*string]string{
			&m.SID: testMessage, &m.Account: testAccount, &m.To: testNumber, &m.Body: testBody,
			&m.Status: "accepted", &m.Direction: "outbound-api", &m.Created: rfc2822(foundAt),
		} {
			if *field == "" {
				*field = value
			}
		}
	}
	list := map[string]any{"messages": messages, "page": 0, "page_size": 20, "next_page_uri": nil}
	if messages == nil {
		list["messages"] = []listedJSON{}
	}
	if next != "" {
		list["next_page_uri"] = next
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // the struct always marshals
	}
	return string(b)
}

var foundAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func rfc2822(t time.Time) string { return t.Format("Mon, 02 Jan 2006 15:04:05 +0000") }

func sid(n int) string { return fmt.Sprintf("SM%032x", n) }

// lists serves pages: the first without a token, page n for PageToken=n.
func lists(t *testing.T, pages ...string) (*Client, *[]seen) {
	t.Helper()
	var got []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, seen{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header})
		n := 0
		if token := r.URL.Query().Get("PageToken"); token != "" {
			_, _ = fmt.Sscan(token, &n)
		}
		if n >= len(pages) {
			n = len(pages) - 1
		}
		_, _ = w.Write([]byte(pages[n]))
	}))
	t.Cleanup(server.Close)
	return newTestClient(t, testConfig(server.URL), Options{}), &got
}

func nextPage(n int) string {
	return fmt.Sprintf("/2010-04-01/Accounts/%s/Messages.json?To=%%2B14155550123&PageSize=20&Page=%d&PageToken=%d", testAccount, n, n)
}

func TestFindRequest(t *testing.T) {
	t.Parallel()
	c, got := lists(t, listJSON(nextPage(1), listedJSON{Body: "another"}), listJSON(""))
	found, err := c.Find(t.Context(), testMsg(t), foundAt)
	if err != nil || len(found) != 0 {
		t.Fatalf("%v, %v", found, err)
	}
	path := "/2010-04-01/Accounts/" + testAccount + "/Messages.json"
	want := []seen{
		{Method: "GET", Path: path, Query: "To=%2B14155550123&PageSize=20"},
		{Method: "GET", Path: path, Query: "To=%2B14155550123&PageSize=20&Page=1&PageToken=1"},
	}
	for i := range *got {
		if user, password, _ := (&http.Request{Header: (*got)[i].Header}).BasicAuth(); user != testKey || password != testKeySecret {
			t.Error("the credentials are wrong")
		}
		(*got)[i].Header = nil
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFindMatches(t *testing.T) {
	t.Parallel()
	const curly = "“Your” code: 123456…\u00a0Don’t share\nit"
	for name, tt := range map[string]struct {
		body string // ours
		have listedJSON
		want bool
	}{
		"same":                   {testBody, listedJSON{}, true},
		"trial":                  {testBody, listedJSON{Body: "Sent from your Twilio trial account - " + testBody}, true},
		"smart":                  {curly, listedJSON{Body: "\"Your\" code: 123456...  Don't share\nit"}, true},
		"smart, one blank":       {curly, listedJSON{Body: "\"Your\" code: 123456... Don't share\nit"}, true},
		"smart in part":          {curly, listedJSON{Body: "\"Your\" code: 123456…\u00a0Don't share\nit"}, true},
		"smart and trial":        {curly, listedJSON{Body: "Sent from your Twilio trial account - \"Your\" code: 123456...  Don't share\nit"}, true},
		"another code":           {testBody, listedJSON{Body: strings.Replace(testBody, "8463", "8464", 1)}, false},
		"more behind":            {testBody, listedJSON{Body: testBody + "!"}, false},
		"more before":            {testBody, listedJSON{Body: "Hi. " + testBody}, false},
		"redacted":               {testBody, listedJSON{Body: " "}, false},
		"another number":         {testBody, listedJSON{To: "+14155550124"}, false},
		"received by ourselves":  {testBody, listedJSON{Direction: "inbound", Status: "received"}, false},
		"that second":            {testBody, listedJSON{Created: rfc2822(foundAt)}, true},
		"a second before":        {testBody, listedJSON{Created: rfc2822(foundAt.Add(-time.Second))}, false},
		"later":                  {testBody, listedJSON{Created: rfc2822(foundAt.Add(time.Hour))}, true},
		"that second, elsewhere": {testBody, listedJSON{Created: "Thu, 01 Jan 2026 22:04:05 -0500"}, true},
		"a picture message":      {testBody, listedJSON{SID: "MM" + testMessage[2:]}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := lists(t, listJSON("", tt.have))
			m := testMsg(t)
			m.Body = secret.New(tt.body)
			// 0.9 s into the second that Twilio writes without its parts.
			found, err := c.Find(t.Context(), m, foundAt.Add(900*time.Millisecond))
			if err != nil || len(found) == 1 != tt.want {
				t.Errorf("found %d, error %v; want %v", len(found), err, tt.want)
			}
		})
	}
}

func TestFindResult(t *testing.T) {
	t.Parallel()
	code := 30003
	at := func(d time.Duration) string { return rfc2822(foundAt.Add(d)) }
	c, got := lists(
		t,
		// A page is not always in order, and a text may turn up on two.
		listJSON(nextPage(1),
			listedJSON{SID: sid(1), Created: at(2 * time.Minute), Status: "undelivered", Code: &code},
			listedJSON{SID: sid(2), Created: at(3 * time.Minute), Status: "sent", Code: &code}),
		listJSON(nextPage(2),
			listedJSON{SID: sid(1), Created: at(2 * time.Minute), Status: "undelivered", Code: &code},
			listedJSON{SID: sid(3), Created: at(-time.Minute)},
			listedJSON{SID: sid(4), Created: at(time.Minute), Status: "a new word"}),
		listJSON("", listedJSON{SID: sid(5)}),
	)
	found, err := c.Find(t.Context(), testMsg(t), foundAt)
	if err != nil {
		t.Fatal(err)
	}
	want := []connector.Found{
		{ProviderID: sid(2), Status: connector.StatusSent, Created: foundAt.Add(3 * time.Minute)},
		{ProviderID: sid(1), Status: connector.StatusUndelivered, Created: foundAt.Add(2 * time.Minute), Err: failure("undelivered", 30003)},
		{ProviderID: sid(4), Status: connector.StatusAccepted, Created: foundAt.Add(time.Minute)},
	}
	same := cmp.Comparer(func(a, b *connector.Error) bool {
		return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
	})
	if diff := cmp.Diff(want, found, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(*got) != 2 {
		t.Errorf("%d pages were asked for, want 2: the second reaches back far enough", len(*got))
	}
}

// TestFindNeverGuesses: an empty result says that the text is not there, so a
// list that cannot be read to its end is an error.
func TestFindNeverGuesses(t *testing.T) {
	t.Parallel()
	elsewhere := strings.TrimPrefix(nextPage(1), "/")
	for name, page := range map[string]string{
		"endless":              listJSON(nextPage(0), listedJSON{}),
		"no list":              `{"next_page_uri": null}`,
		"null":                 `{"messages": null}`,
		"an object":            `{"messages": {}}`,
		"HTML":                 `<html>`,
		"cut":                  strings.TrimSuffix(listJSON("", listedJSON{}), "}"),
		"another account's":    listJSON("", listedJSON{Account: "AC" + strings.Repeat("9", 32)}),
		"a strange id":         listJSON("", listedJSON{SID: "SM/../x"}),
		"a strange date":       listJSON("", listedJSON{Created: "2026-01-02T03:04:05Z"}),
		"next on another host": listJSON("https://192.0.2.1/"+elsewhere, listedJSON{Body: "another"}),
		"next without scheme":  listJSON("//192.0.2.1/"+elsewhere, listedJSON{Body: "another"}),
		"next with a user":     listJSON("https://u:p@api.twilio.com/"+elsewhere, listedJSON{Body: "another"}),
		"next, another path":   listJSON(strings.Replace(nextPage(1), "Messages", "Calls", 1), listedJSON{Body: "another"}),
		"next, a relative one": listJSON(elsewhere, listedJSON{Body: "another"}),
		"next, dots":           listJSON(strings.Replace(nextPage(1), "/Messages", "/x/../Messages", 1), listedJSON{Body: "another"}),
		"next, another acct":   listJSON(strings.Replace(nextPage(1), testAccount, "AC"+strings.Repeat("9", 32), 1), listedJSON{Body: "another"}),
		"next without query":   listJSON("/2010-04-01/Accounts/"+testAccount+"/Messages.json", listedJSON{Body: "another"}),
		"next with a blank":    listJSON(nextPage(1)+" HTTP/1.1", listedJSON{Body: "another"}),
		"next is no URL":       listJSON("http://[::1", listedJSON{Body: "another"}),
		"too long":             listJSON("", listedJSON{Body: strings.Repeat("x", maxList)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, got := lists(t, page)
			found, err := c.Find(t.Context(), testMsg(t), foundAt)
			if err == nil || found != nil {
				t.Fatalf("found %d, error %v", len(found), err)
			}
			e := asError(t, err)
			if e.Outcome != notProcessed || e.Kind != kindTemporary || !e.Actions.Has(actRetry) {
				t.Errorf("%+v", e)
			}
			if n := len(*got); n != 1 && (name != "endless" || n != maxPages) {
				t.Errorf("%d requests", n)
			}
			connectortest.NoSecrets(t, err, testSecrets...)
		})
	}
	// An absolute link to where we are is as good as a relative one.
	c := newTestClient(t, testConfig(""), Options{})
	if q, ok := c.nextQuery(DefaultBaseURL + nextPage(7)); !ok || !strings.Contains(q, "PageToken=7") {
		t.Errorf("%q, %v", q, ok)
	}
	for _, link := range []string{"https://u:p@api.twilio.com" + nextPage(7), "http://api.twilio.com" + nextPage(7), "https://api.twilio.com:444" + nextPage(7)} {
		if q, ok := c.nextQuery(link); ok {
			t.Errorf("%s: %q", link, q)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	baseURL, got := recorder(t, http.StatusOK, messageJSON("undelivered", "30005"))
	c := newTestClient(t, testConfig(baseURL), Options{})
	found, err := c.Fetch(t.Context(), testMessage)
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "GET" || got.Path != "/2010-04-01/Accounts/"+testAccount+"/Messages/"+testMessage+".json" || got.Query != "" || got.Form != "" {
		t.Errorf("request %+v", got)
	}
	if found.ProviderID != testMessage || found.Status != connector.StatusUndelivered || found.Err == nil || found.Err.ProviderCode != "30005" ||
		!found.Created.Equal(time.Date(2023, 8, 24, 5, 1, 45, 0, time.UTC)) {
		t.Errorf("%+v", found)
	}
	if _, err := c.Fetch(t.Context(), sid(1)); err == nil {
		t.Error("another text than the one that was asked for is taken")
	}
	*got = seen{}
	for _, id := range []string{"", "SM", "../" + testMessage, testMessage + "/x", "CA" + testMessage[2:], "SM" + strings.Repeat("é", 16)} {
		_, err := c.Fetch(t.Context(), id)
		if e := asError(t, err); e.Outcome != notProcessed || e.Actions.Has(actRetry) {
			t.Errorf("%q: %+v", id, e)
		}
		if err := c.Feedback(t.Context(), id, true); err == nil {
			t.Errorf("%q: Feedback takes it", id)
		}
	}
	if got.Method != "" {
		t.Errorf("a request was made for a strange id: %s", got.Path)
	}
}

// TestReadsLeaveNothingOpen: a GET has no effect, so it may be repeated.
func TestReadsLeaveNothingOpen(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		outcome connector.Outcome
		retry   bool
	}{
		200: {notProcessed, true}, 302: {notProcessed, false}, 404: {connector.OutcomeRefused, false}, 429: {notProcessed, true},
		500: {notProcessed, true}, 503: {notProcessed, true},
	} {
		baseURL, _ := recorder(t, status, "x")
		c := newTestClient(t, testConfig(baseURL), Options{})
		_, fetchErr := c.Fetch(t.Context(), testMessage)
		_, findErr := c.Find(t.Context(), testMsg(t), foundAt)
		for _, err := range []error{fetchErr, findErr} {
			if e := asError(t, err); e.Outcome != want.outcome || e.Actions.Has(actRetry) != want.retry || e.HTTPStatus != status {
				t.Errorf("%d: %+v", status, e)
			}
		}
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	answer := func(id, account string) string {
		return `{"account_sid": "` + account + `", "message_sid": "` + id + `", "outcome": "confirmed"}`
	}
	baseURL, got := recorder(t, http.StatusOK, answer(testMessage, testAccount))
	c := newTestClient(t, testConfig(baseURL), Options{})
	for confirmed, form := range map[bool]string{true: "Outcome=confirmed", false: "Outcome=unconfirmed"} {
		if err := c.Feedback(t.Context(), testMessage, confirmed); err != nil {
			t.Fatal(err)
		}
		if got.Method != "POST" || got.Form != form || got.Path != "/2010-04-01/Accounts/"+testAccount+"/Messages/"+testMessage+"/Feedback.json" {
			t.Errorf("request %+v", got)
		}
	}
	for name, tt := range map[string]struct {
		status  int
		body    string
		outcome connector.Outcome
	}{
		"another message": {200, answer(sid(1), testAccount), maybe},
		"another account": {200, answer(testMessage, "AC"+strings.Repeat("9", 32)), maybe},
		"HTML":            {200, "<html>", maybe},
		"no feedback":     {404, errorJSON(20404, 404), connector.OutcomeRefused},
		"throttled":       {429, "", notProcessed},
		"fault":           {500, "", maybe},
	} {
		baseURL, _ := recorder(t, tt.status, tt.body)
		err := newTestClient(t, testConfig(baseURL), Options{}).Feedback(t.Context(), testMessage, true)
		if e := asError(t, err); e.Outcome != tt.outcome || e.HTTPStatus != tt.status {
			t.Errorf("%s: %+v", name, e)
		}
		connectortest.NoSecrets(t, err, testSecrets...)
	}
}

// TestFindEscapesTheNumber: the recipient's plus sign must not become a blank.
func TestFindEscapesTheNumber(t *testing.T) {
	t.Parallel()
	c, got := lists(t, listJSON(""))
	if _, err := c.Find(t.Context(), testMsg(t), foundAt); err != nil {
		t.Fatal(err)
	}
	if q, err := url.ParseQuery((*got)[0].Query); err != nil || q.Get("To") != testNumber {
		t.Errorf("To is %q, error %v", q.Get("To"), err)
	}
}
