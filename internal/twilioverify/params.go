package twilioverify

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// use is what becomes of a parameter.
type use string

const (
	honoured use = "honoured" // it does what it does at Twilio
	accepted use = "accepted" // it is looked at, and has no effect
	refused  use = "refused"  // error 60200, with the note as its sentence
)

// parameter is a row of the tables of docs/twilio-verify.md.
type parameter struct {
	name     string
	use      use
	note     string
	harmless string // of a refused one: the value that asks for nothing
}

// operation is a call and its parameters.
type operation struct {
	name       string
	parameters []parameter
}

func operations() []operation {
	service := serviceParameters()
	return []operation{
		{"Create a service", service},
		{"Update a service", service},
		{"List services", []parameter{pageSize(), page(), pageToken()}},
		{"Start a verification", verificationParameters()},
		{"Update a verification", []parameter{
			{"Status", honoured, "`canceled` or `approved`; required. What has ended stays as it is.", ""},
		}},
		{"Check a code", []parameter{
			{"Code", honoured, "What the person typed; required. Spaces and hyphens in it do not matter.", ""},
			{"To", honoured, "The number, in E.164 form. This or `VerificationSid`, not both.", ""},
			{"VerificationSid", honoured, "The verification's sid.", ""},
			{"Amount", refused, "payments (PSD2) are not served", ""},
			{"Payee", refused, "payments (PSD2) are not served", ""},
			{"SnaClientToken", refused, "silent network authentication is not served", ""},
		}},
		{"List attempts", append(attemptFilters(),
			parameter{"ChannelData.To", honoured, "The number, in E.164 form.", ""},
			parameter{"VerificationSid", honoured, "One verification's attempts.", ""},
			parameter{"Status", honoured, "`converted` or `unconverted`.", ""},
			pageSize(), page(), pageToken(),
		)},
		{"Summarize attempts", append(attemptFilters(),
			parameter{"DestinationPrefix", honoured, "The digits that a number begins with, with or without `+`.", ""},
		)},
	}
}

func pageSize() parameter {
	return parameter{"PageSize", honoured, "1 to 1000; 50 where it is missing.", ""}
}

func page() parameter {
	return parameter{"Page", accepted, "A number. Where a page begins is told by `PageToken` alone.", ""}
}

func pageToken() parameter {
	return parameter{"PageToken", honoured, "As the page before has it in `next_page_url`.", ""}
}

func attemptFilters() []parameter {
	return []parameter{
		{"DateCreatedAfter", honoured, "RFC 3339. Attempts that are as old are among them.", ""},
		{"DateCreatedBefore", honoured, "RFC 3339.", ""},
		{"Country", honoured, "ISO 3166-1 alpha-2.", ""},
		{"Channel", honoured, "There are only attempts by `sms`; another channel finds none.", ""},
		{"VerifyServiceSid", honoured, "One service's attempts.", ""},
	}
}

func verificationParameters() []parameter {
	const templates = "templates are the operator's, in the connector JSON"
	const payments = "payments (PSD2) are not served"
	return []parameter{
		{"To", honoured, "The number, in E.164 form; required.", ""},
		{"Channel", honoured, "Required; only `sms` is served, any other is refused.", ""},
		{"Locale", honoured, "Chooses the template, by the best match.", ""},
		{"CustomCode", honoured, "Letters and digits, at most 10 and not fewer than the operator's codes have, where the service has `CustomCodeEnabled`, else 60204. Another text needs it again; a different one takes its place, and the old one dies.", ""},
		{"CustomFriendlyName", honoured, "What `{{friendly_name}}` stands for in the text, at most 32 characters; the service's name where it is missing.", ""},
		{"AppHash", honoured, "The 11 characters end the text, on a line of their own.", ""},
		{"DeviceIp", honoured, "The address of the person's device, for the limits of addresses. Without one they do not count.", ""},
		{"RateLimits", honoured, "JSON, names to values. Each name is a counter that the operator has configured; another one is refused.", ""},
		{"RiskCheck", accepted, "`enable` or `disable`. The limits hold either way.", ""},
		{"Tags", accepted, "JSON, at most 10 names with values of at most 128 characters. They are not kept.", ""},
		{"EnableSnaClientToken", refused, "silent network authentication is not served", "false"},
		{"SendDigits", refused, "calls are not served", ""},
		{"CustomMessage", refused, templates, ""},
		{"TemplateSid", refused, templates, ""},
		{"TemplateCustomSubstitutions", refused, templates, ""},
		{"Templates", refused, templates, ""},
		{"ChannelConfiguration", refused, "channels have no configuration", ""},
		{"Amount", refused, payments, ""},
		{"Payee", refused, payments, ""},
	}
}

func serviceParameters() []parameter {
	const push, totp, passkeys, whatsapp = "push is not served", "TOTP is not served", "passkeys are not served", "WhatsApp is not served"
	return []parameter{
		{"FriendlyName", honoured, "1 to 32 characters with at most four digits; required to create a service. `{{friendly_name}}` in a text.", ""},
		{"CodeLength", honoured, "4 to 10, but not shorter than the operator's minimum. 6 where it is missing, or that minimum.", ""},
		{"CustomCodeEnabled", honoured, "Whether `CustomCode` is taken; `false` where it is missing.", ""},
		{"SkipSmsToLandlines", accepted, "Fixed lines get no texts in any case, unless the operator lets them.", ""},
		{"DtmfInputRequired", accepted, "It is for calls, which are not served.", ""},
		{"LookupEnabled", refused, "numbers are not looked up", "false"},
		{"Psd2Enabled", refused, "payments (PSD2) are not served", "false"},
		{"DoNotShareWarningEnabled", refused, "the warning belongs into the operator's template", "false"},
		{"VerifyEventSubscriptionEnabled", refused, "there are no event streams", "false"},
		{"TtsName", refused, "calls are not served", ""},
		{"DefaultTemplateSid", refused, "templates are the operator's, in the connector JSON", ""},
		{"Push.IncludeDate", refused, push, "false"},
		{"Push.ApnCredentialSid", refused, push, ""},
		{"Push.FcmCredentialSid", refused, push, ""},
		{"Totp.Issuer", refused, totp, ""},
		{"Totp.TimeStep", refused, totp, ""},
		{"Totp.CodeLength", refused, totp, ""},
		{"Totp.Skew", refused, totp, ""},
		{"Whatsapp.MsgServiceSid", refused, whatsapp, ""},
		{"Whatsapp.From", refused, whatsapp, ""},
		{"Passkeys.RelyingParty.Id", refused, passkeys, ""},
		{"Passkeys.RelyingParty.Name", refused, passkeys, ""},
		{"Passkeys.RelyingParty.Origins", refused, passkeys, ""},
		{"Passkeys.AuthenticatorAttachment", refused, passkeys, ""},
		{"Passkeys.DiscoverableCredentials", refused, passkeys, ""},
		{"Passkeys.UserVerification", refused, passkeys, ""},
	}
}

// form is what a request says, each name once. A parameter that is empty is one
// that is not there.
type form map[string]string

// maxBody bounds a request's form in bytes: many times what the parameters hold.
const maxBody = 16 << 10

// readForm reads the body of a POST and the query of anything else, and holds it to
// the operation's parameters: what it does not know is refused, for nothing is
// ignored in silence.
func readForm(r *http.Request, o operation) (form, error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if text != "" {
			return nil, fault(codeInvalid).because("send the parameters as a form in the body, none in the address")
		}
		body, err := readBody(r)
		if err != nil {
			return nil, err
		}
		text = body
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fault(codeInvalid).because("the form is broken")
	}
	f := form{}
	for name, all := range values {
		// Twilio's Go client writes a backslash before the dot of ChannelData.To.
		name = strings.ReplaceAll(name, `\.`, ".")
		i := 0
		for i < len(o.parameters) && o.parameters[i].name != name {
			i++
		}
		switch {
		case i == len(o.parameters):
			return nil, unknown(name)
		case len(all) > 1, f[name] != "":
			return nil, invalid(name, "it stands twice")
		case all[0] == "":
			continue
		case o.parameters[i].use == refused && all[0] != o.parameters[i].harmless:
			return nil, invalid(name, o.parameters[i].note)
		}
		f[name] = all[0]
	}
	return f, nil
}

// unknown is for a parameter that is in no table. Its name is quoted where it can be
// one.
func unknown(name string) *Error {
	const sentence = "it is not known here"
	if len(name) > 40 || strings.Trim(name, ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return fault(codeInvalid).because(sentence)
	}
	return invalid(name, sentence)
}

func readBody(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.ContentLength != 0 && (err != nil || kind != "application/x-www-form-urlencoded") {
		return "", fault(codeInvalid).because("send Content-Type: application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", fault(codeInvalid).because("the form took too long to arrive")
	case err != nil:
		return "", fault(codeInvalid).because("the form ended early")
	case len(body) > maxBody:
		return "", fault(codeInvalid).because("the form is larger than 16384 bytes")
	}
	return string(body), nil
}

// flag reads a truth value; without one it is what it was.
func (f form) flag(name string, was bool) (bool, error) {
	switch strings.ToLower(f[name]) {
	case "":
		return was, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return was, invalid(name, "write true or false")
}
