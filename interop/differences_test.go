package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
)

// docs holds the table of what differs on purpose. Its first column is the
// name of the test here, and each side has the other's whole list.
const docs = "../docs/interop-logto.md"

// outcome is what became of an order on one side.
type outcome struct {
	sent *request // what arrived at Twilio; nil when nothing did
	err  error    // our error, or a refusal of theirs
}

// expect says what is wrong with an outcome, or "".
type expect func(outcome) string

// difference is a row of the table: the same order, and what each side does.
type difference struct {
	order        order
	theirs, ours expect
}

// sends expects a request whose form has field once, with this value; field may
// also be Path or Authorization.
func sends(field, value string) expect {
	return func(o outcome) string {
		if o.err != nil {
			return fmt.Sprintf("is refused: %v", o.err)
		}
		got := o.sent.Form[field]
		switch field {
		case "Path":
			got = []string{o.sent.Path}
		case "Authorization":
			got = []string{o.sent.Authorization}
		}
		if !slices.Equal(got, []string{value}) {
			return fmt.Sprintf("sends %s %+q, not %+q", field, got, value)
		}
		return ""
	}
}

// sendsWithout expects a request whose form has no such field.
func sendsWithout(field string) expect {
	return func(o outcome) string {
		switch {
		case o.err != nil:
			return fmt.Sprintf("is refused: %v", o.err)
		case o.sent.Form.Has(field):
			return "sends " + field
		}
		return ""
	}
}

// refusedFor expects that nothing arrives at Twilio, and an error with these
// words in it.
func refusedFor(words string) expect {
	return func(o outcome) string {
		switch {
		case o.sent != nil:
			return "sends"
		case o.err == nil || !strings.Contains(o.err.Error(), words):
			return fmt.Sprintf("is refused with %v, not for %q", o.err, words)
		}
		return ""
	}
}

const (
	accountSID = "AC0123456789abcdef0123456789abcdef"
	serviceSID = "MG0123456789abcdef0123456789abcdef"
)

// changed returns an order that both send, with some of the config's fields
// replaced, or removed where they are nil.
func changed(config map[string]any, to, payload string) order {
	c := map[string]any{
		"accountSID": accountSID, "authToken": "token", "fromMessagingServiceSID": serviceSID,
		"templates": templates("Your code is {{code}}."),
	}
	maps.Copy(c, config)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // a mistake in this file
	}
	return order{data, to, "SignIn", json.RawMessage(payload)}
}

// templates returns the four that the published connector requires, with one
// content, and more.
func templates(content string, more ...map[string]any) []map[string]any {
	var all []map[string]any
	for _, usage := range []string{"Register", "SignIn", "ForgotPassword", "Generic"} {
		all = append(all, map[string]any{"usageType": usage, "content": content})
	}
	return append(all, more...)
}

const (
	someone = "4512345678"
	code    = `{"code":"123456"}`
)

func config(change map[string]any) order { return changed(change, someone, code) }
func recipient(to string) order          { return changed(nil, to, code) }
func text(content, payload string) order {
	return changed(map[string]any{"templates": templates(content)}, someone, payload)
}

func twice() order {
	o := config(nil)
	o.Config = json.RawMessage(strings.Replace(string(o.Config), `"authToken":"token"`, `"authToken":"first","authToken":"last"`, 1))
	return o
}

// differences are those that one request shows; other tests of this file have
// the rest.
func differences() map[string]difference {
	withToken := "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0b2tlbg==" // accountSID:token
	withKey := "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjprZXk="       // SK…:key
	german := map[string]any{"usageType": "SignIn", "content": "Der Code ist {{code}}.", "locale": "de"}
	return map[string]difference{
		"required-types": {
			config(map[string]any{"templates": []any{map[string]any{"usageType": "SignIn", "content": "Code {{code}}"}}}),
			refusedFor("invalid_config"), sends("Body", "Code 123456"),
		},
		"unknown-field":      {config(map[string]any{"authTokn": "x"}), sends("To", "+"+someone), refusedFor("/authTokn")},
		"unknown-usage-type": {config(map[string]any{"templates": templates("{{code}}", map[string]any{"usageType": "Login", "content": "{{code}}"})}), sends("Body", "123456"), refusedFor("/templates/4/usageType")},
		"usage-type-twice":   {config(map[string]any{"templates": templates("{{code}}", map[string]any{"usageType": "SignIn", "content": "again {{code}}"})}), sends("Body", "123456"), refusedFor("/templates/4")},
		"name-twice":         {twice(), sends("Authorization", "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpsYXN0"), refusedFor("is there twice")},
		"empty-credentials":  {config(map[string]any{"authToken": ""}), sends("To", "+"+someone), refusedFor("/authToken")},
		"sid-shapes":         {config(map[string]any{"accountSID": "AC/../../2010-04-01/Accounts/ACother"}), sends("Path", "/2010-04-01/2010-04-01/Accounts/ACother/Messages.json"), refusedFor("/accountSID")},
		"token-characters":   {config(map[string]any{"authToken": "a token"}), sends("To", "+"+someone), refusedFor("/authToken")},
		"no-code":            {text("Welcome.", code), sends("Body", "Welcome."), refusedFor("has no {{code}}")},
		"empty-content":      {text("", code), sends("Body", ""), refusedFor("/templates/0/content")},

		"locale": {
			changed(map[string]any{"templates": templates("The code is {{code}}.", german)}, someone, `{"code":"1","locale":"de-AT"}`),
			sends("Body", "The code is 1."), sends("Body", "Der Code ist 1."),
		},
		"from": {
			config(map[string]any{"fromMessagingServiceSID": nil, "from": "+15005550006"}),
			refusedFor("invalid_config"), sends("From", "+15005550006"),
		},
		"api-key": {
			config(map[string]any{"apiKeySID": "SK0123456789abcdef0123456789abcdef", "apiKeySecret": "key"}),
			sends("Authorization", withToken), sends("Authorization", withKey),
		},
		"smart-encoded":   {config(map[string]any{"smartEncoded": true}), sendsWithout("SmartEncoded"), sends("SmartEncoded", "true")},
		"validity-period": {config(map[string]any{"validityPeriod": 600}), sendsWithout("ValidityPeriod"), sends("ValidityPeriod", "600")},

		"recipient-punctuation": {recipient("45 12 34-56 78"), sends("To", "+45 12 34-56 78"), sends("To", "+4512345678")},
		"recipient-trunk-zero":  {recipient("4407911123456"), sends("To", "+4407911123456"), sends("To", "+447911123456")},
		"recipient-letters":     {recipient("45abc"), sends("To", "+45abc"), refusedFor(phone.ErrCharacter.Error())},
		"recipient-length":      {recipient("1415555"), sends("To", "+1415555"), refusedFor(phone.ErrTooShort.Error())},

		"objects":          {text("{{code}} {{user}}{{list}}", `{"code":"1","user":{"name":"A"},"list":[1,{}]}`), sends("Body", "1 [object Object]1,[object Object]"), sends("Body", "1 1,")},
		"inherited-roots":  {text("{{code}} {{toString}}", code), sends("Body", "123456 function toString() { [native code] }"), sends("Body", "123456 {{toString}}")},
		"inherited-inside": {text("{{code}} {{user.toString}}", `{"code":"1","user":{}}`), sends("Body", "1 function toString() { [native code] }"), sends("Body", "1 ")},
		"deep-lists":       {text("{{code}} {{list}}", `{"code":"1","list":[[[[[[[[[9]]]]]]]]]}`), sends("Body", "1 9"), sends("Body", "1 ")},
		"long-body":        {text("{{code}}", `{"code":"`+strings.Repeat("1", 1601)+`"}`), sends("Body", strings.Repeat("1", 1601)), refusedFor("longer than 1,600 characters")},
		"empty-body":       {text("{{code}}", `{"code":""}`), sends("Body", ""), refusedFor("has no body")},
	}
}

// TestDifferences shows each difference that one request shows, in both
// directions: they do what the table says of them, and we what it says of us.
func TestDifferences(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	for _, name := range slices.Sorted(maps.Keys(differences())) {
		d := differences()[name]
		t.Run(name, func(t *testing.T) {
			standIn := newRecorder(t)
			refused, err := sendTheirs(r, d.order, standIn.URL)
			if refused.Code != "" {
				err = fmt.Errorf("%s %s", refused.Code, refused.Message)
			}
			if wrong := d.theirs(outcome{standIn.take(t), err}); wrong != "" {
				t.Errorf("theirs %s", wrong)
			}
			err = sendOurs(t, d.order, standIn.URL, twilio.Options{}, false)
			if wrong := d.ours(outcome{standIn.take(t), err}); wrong != "" {
				t.Errorf("ours %s", wrong)
			}
		})
	}
}

// TestDifferencesBaseURL: the published connector knows one host alone.
func TestDifferencesBaseURL(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	standIn, regional := newRecorder(t), newRecorder(t)
	o := config(map[string]any{"baseURL": regional.URL})
	if refused, err := sendTheirs(r, o, standIn.URL); err != nil || refused.Code != "" {
		t.Fatal(refused, err)
	}
	if standIn.take(t) == nil || regional.take(t) != nil {
		t.Error("theirs heeds baseURL")
	}
	if err := sendOurs(t, o, standIn.URL, twilio.Options{}, false); err != nil {
		t.Fatal(err)
	}
	if standIn.take(t) != nil || regional.take(t) == nil {
		t.Error("ours does not heed baseURL")
	}
}

// TestDocumentedDifferences holds the table in the docs to these tests, and
// these tests to the table.
func TestDocumentedDifferences(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|").FindAllStringSubmatch(string(data), -1) {
		documented = append(documented, row[1])
	}
	tested := slices.Concat(slices.Collect(maps.Keys(differences())), slices.Collect(maps.Keys(answers())), []string{"base-url"})
	slices.Sort(documented)
	slices.Sort(tested)
	if diff := cmp.Diff(tested, documented); diff != "" {
		t.Errorf("%s (-tested +documented):\n%s", docs, diff)
	}
}
