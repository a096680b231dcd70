package twilio

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/connectortest"
	"github.com/sixdigit/sixdigit/phone"
)

const inboundURL = "https://codes.example.com/inbound/twilio"

// replyForm is what Twilio hands on of a text to us. An empty optOut is a
// service without Advanced Opt-Out.
func replyForm(body, optOut string) url.Values {
	f := url.Values{
		"MessageSid": {testMessage}, "SmsSid": {testMessage}, "SmsMessageSid": {testMessage}, "SmsStatus": {"received"},
		"AccountSid": {testAccount}, "MessagingServiceSid": {testService}, "ApiVersion": {"2010-04-01"},
		"From": {testNumber}, "To": {"+12025550100"}, "Body": {body}, "NumMedia": {"0"}, "NumSegments": {"1"},
	}
	if optOut != "" {
		f.Set("OptOutType", optOut)
	}
	return f
}

func TestParseReplyConsent(t *testing.T) {
	t.Parallel()
	const none, stop, start = connector.ConsentNone, connector.ConsentStop, connector.ConsentStart
	c := newTestClient(t, testConfig(""), Options{})
	for _, tt := range []struct {
		body, optOut string
		want         connector.Consent
	}{
		{"STOP", "", stop}, {"STOPALL", "", stop}, {"UNSUBSCRIBE", "", stop}, {"CANCEL", "", stop}, {"END", "", stop},
		{"QUIT", "", stop}, {"REVOKE", "", stop}, {"OPTOUT", "", stop},
		{"START", "", start}, {"YES", "", start}, {"UNSTOP", "", start},
		{"stop", "", stop}, {"sToP", "", stop}, {" Stop\r\n", "", stop}, {"\u00a0unstop\t", "", start},
		{"HELP", "", none}, {"INFO", "", none}, {"", "", none}, {"   ", "", none}, {"NO", "", none},
		{"STOP.", "", none}, {"STOP please", "", none}, {"please stop", "", none}, {"S T O P", "", none}, {"STOPSTOP", "", none},
		{"\"STOP\"", "", none}, {"STOP ALL", "", none}, {"OPT-OUT", "", none}, {"BACKEND", "", none}, {"123456", "", none},

		{"STOP", "STOP", stop}, {"START", "START", start}, {"HELP", "HELP", none},
		{"baja", "STOP", stop}, {"alta", "START", start}, {"", "STOP", stop}, {"anything", "stop", stop},
		{"STOP", "HELP", none}, {"START", "STOP", stop}, {"END", "START", start}, {"STOP", "NEWTYPE", none},
	} {
		got, err := c.ParseReply(callback(testToken, inboundURL, replyForm(tt.body, tt.optOut)))
		if err != nil || got.Consent != tt.want || got.From.E164() != testNumber {
			t.Errorf("%q of type %q: %q from %v, %v; want %q", tt.body, tt.optOut, got.Consent, got.From, err, tt.want)
		}
	}
	empty := replyForm("Quit", "")
	empty.Set("OptOutType", "")
	if got, err := c.ParseReply(callback(testToken, inboundURL, empty)); err != nil || got.Consent != stop {
		t.Errorf("an empty type: %q, %v", got.Consent, err)
	}
}

// TestParseReplySenders: only a phone number is somebody, and it is written as
// everywhere else.
func TestParseReplySenders(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for from, want := range map[string]string{
		testNumber: testNumber, "+4915112345678": "+4915112345678",
		"+5215512345678":        "+525512345678", // the old Mexican form is the same phone
		"whatsapp:+14155550123": "", "rcs:+14155550123": "", "messenger:123456": "", "client:somebody": "",
		"12345": "", "TWILIO": "", "+266696687": "", "+0123": "", "anonymous": "", " ": "",
	} {
		f := replyForm("STOP", "STOP")
		f.Set("From", from)
		got, err := c.ParseReply(callback(testToken, inboundURL, f))
		switch {
		case err != nil:
			t.Errorf("%q: %v", from, err)
		case want == "" && !blank(got):
			t.Errorf("%q: %+v, want nobody", from, got)
		case want != "" && (got.From.E164() != want || got.Consent != connector.ConsentStop):
			t.Errorf("%q: %q, %q; want %s", from, got.From.E164(), got.Consent, want)
		}
	}
}

// blank: the reply says nothing.
func blank(r connector.Reply) bool { return r.From.IsZero() && r.Consent == connector.ConsentNone }

// posting is one kind of what Twilio posts to us, and what reads it. What the
// kinds have in common is tested on both.
type posting struct {
	url  string
	form url.Values
	read func(connector.Inbound) (string, error)
}

func postings(c *Client) map[string]posting {
	return map[string]posting{
		"status": {callbackURL, callbackForm("delivered", ""), func(in connector.Inbound) (string, error) {
			got, err := c.ParseStatus(in)
			if err != nil && got != (connector.StatusUpdate{}) {
				err = errors.New("there is a value beside the error")
			}
			return got.ProviderID + string(got.Status), err
		}},
		"reply": {inboundURL, replyForm("STOP", "STOP"), func(in connector.Inbound) (string, error) {
			got, err := c.ParseReply(in)
			if err != nil && !blank(got) {
				err = errors.New("there is a value beside the error")
			}
			return got.From.E164() + string(got.Consent), err
		}},
	}
}

// TestHostile is what a stranger, or somebody with one genuine request in hand,
// can post, and what the operator's own mistakes bring.
func TestHostile(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for name, r := range postings(c) {
		genuine := callback(testToken, r.url, r.form)
		wanted, err := r.read(genuine)
		if err != nil {
			t.Fatalf("%s: the genuine one: %v", name, err)
		}
		with := func(more url.Values) connector.Inbound {
			form := url.Values{}
			for _, f := range []url.Values{r.form, more} {
				for k, v := range f {
					form[k] = v
				}
			}
			return callback(testToken, r.url, form)
		}
		many := url.Values{}
		for i := range 1000 {
			many.Set(fmt.Sprintf("Field%d", i), "1")
		}
		posted := func(change func(*connector.Inbound)) connector.Inbound {
			in := callback(testToken, r.url, r.form)
			change(&in)
			return in
		}
		for attack, tt := range map[string]struct {
			in   connector.Inbound
			want error
		}{
			// A replay is what it was: only the order of statuses can tell.
			"replayed": {genuine, nil},
			"unsigned": {posted(func(in *connector.Inbound) { http.Header(in.Header).Del("X-Twilio-Signature") }), connector.ErrSignature},
			"unsigned and oversized": {posted(func(in *connector.Inbound) {
				in.Header = nil
				in.Body = []byte("a=" + strings.Repeat("b", 1<<20))
			}), connector.ErrSignature},
			"forged":                  {callback(strings.Repeat("0", 32), r.url, r.form), connector.ErrSignature},
			"forged, empty token":     {callback("", r.url, r.form), connector.ErrSignature},
			"forged, garbage":         {posted(func(in *connector.Inbound) { http.Header(in.Header).Set("X-Twilio-Signature", "\x00\xff") }), connector.ErrSignature},
			"replayed elsewhere":      {posted(func(in *connector.Inbound) { in.PublicURL += "2" }), connector.ErrSignature},
			"replayed with more":      {posted(func(in *connector.Inbound) { in.Body = append(in.Body, "&Another=1"...) }), connector.ErrSignature},
			"another account's":       {with(url.Values{"AccountSid": {"AC" + strings.Repeat("9", 32)}}), connector.ErrMalformed},
			"no account's":            {with(url.Values{"AccountSid": {""}}), connector.ErrMalformed},
			"our account in capitals": {with(url.Values{"AccountSid": {strings.ToUpper(testAccount)}}), connector.ErrMalformed},
			"a call's":                {with(url.Values{"MessageSid": {"CA" + testMessage[2:]}}), connector.ErrMalformed},
			"a path for an id":        {with(url.Values{"MessageSid": {"SM/../" + testMessage[6:]}}), connector.ErrMalformed},
			"oversized":               {with(url.Values{"Note": {strings.Repeat("a", maxCallback)}}), connector.ErrMalformed},
			"1,000 fields":            {with(many), connector.ErrMalformed},
			"as JSON":                 {posted(func(in *connector.Inbound) { http.Header(in.Header).Set("Content-Type", "application/json") }), connector.ErrMalformed},
			"not encoded":             {posted(func(in *connector.Inbound) { in.Body = append(in.Body, "&a=%zz"...) }), connector.ErrMalformed},
			"repeats the account":     {posted(func(in *connector.Inbound) { in.Body = append(in.Body, "&AccountSid="+testAccount...) }), connector.ErrMalformed},
			"repeats the id":          {posted(func(in *connector.Inbound) { in.Body = append(in.Body, "&MessageSid="...) }), connector.ErrMalformed},
		} {
			got, err := r.read(tt.in)
			if !errors.Is(err, tt.want) || tt.want == nil && got != wanted {
				t.Errorf("%s, %s: %v, want %v", name, attack, err, tt.want)
			}
			if err != nil {
				connectortest.NoSecrets(t, err, append([]string{testMessage}, testSecrets...)...)
			}
		}
		if again, err := r.read(genuine); err != nil || again != wanted {
			t.Errorf("%s: after all that the genuine one: %v", name, err)
		}
	}
}

// TestParseReplyMalformed is what a reply alone can have wrong.
func TestParseReplyMalformed(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	for _, from := range [][]string{nil, {""}} {
		f := replyForm("STOP", "")
		f["From"] = from
		if from == nil {
			f.Del("From")
		}
		if got, err := c.ParseReply(callback(testToken, inboundURL, f)); !errors.Is(err, connector.ErrMalformed) || !blank(got) {
			t.Errorf("From %q: %+v, %v", from, got, err)
		}
	}
	for _, name := range []string{"From", "Body", "OptOutType"} {
		in := callback(testToken, inboundURL, replyForm("STOP", "STOP"))
		in.Body = append(in.Body, "&"+name+"=x"...)
		if got, err := c.ParseReply(in); !errors.Is(err, connector.ErrMalformed) || !blank(got) {
			t.Errorf("%s twice: %+v, %v", name, got, err)
		}
	}
	// A field that nobody reads may repeat.
	in := callback(testToken, inboundURL, replyForm("STOP", ""))
	in.Body = append(in.Body, "&To=x"...)
	if got, err := c.ParseReply(in); err != nil || got.Consent != connector.ConsentStop {
		t.Errorf("To twice: %+v, %v", got, err)
	}
}

// FuzzParseReply gives ParseReply a body twice: signed, and with a signature
// that is wrong. What it reads must stand in the form.
func FuzzParseReply(f *testing.F) {
	const formType = "application/x-www-form-urlencoded"
	for _, body := range []string{"STOP", " yes ", "Help", "你好"} {
		f.Add(inboundURL, replyForm(body, "").Encode(), formType)
		f.Add(inboundURL, replyForm(body, "STOP").Encode(), formType)
	}
	f.Add("https://u:p@[::1]:1/#x", "From=%2B1&From=%2B2&a=%00;b", formType+"; charset=utf-8")
	for _, sections := range goldenSections(f, "inbound/*.txt") {
		f.Add(sections["url"], sections["body"], formType)
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
		got, err := c.ParseReply(in)
		switch {
		case err == nil:
			from, bad := phone.Parse(form.Get("From"))
			if form.Get("AccountSid") != testAccount || form.Get("From") == "" || (bad == nil) != !got.From.IsZero() || got.From.E164() != from.E164() || got.From.IsZero() && got.Consent != "" {
				t.Errorf("%+v does not stand in %q", got, body)
			}
			if got.Consent != "" && form.Get("Body")+form.Get("OptOutType") == "" {
				t.Errorf("%q says nothing and is read as %q", body, got.Consent)
			}
		case !blank(got) || !errors.Is(err, connector.ErrSignature) && !errors.Is(err, connector.ErrMalformed):
			t.Errorf("%+v, %v", got, err)
		}
		in.Header = callback("wrong"+testToken, publicURL, form).Header
		http.Header(in.Header).Set("Content-Type", contentType)
		if got, err := c.ParseReply(in); err == nil || !blank(got) {
			t.Errorf("a wrong signature is accepted: %+v", got)
		}
	})
}
