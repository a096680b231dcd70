package twilio

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// Send posts m to Twilio once and waits for the answer. It never posts again:
// an error with [connector.OutcomeMaybe] means that the text may be on its
// way, and Find can tell. Every error is a *connector.Error.
func (c *Client) Send(ctx context.Context, m connector.Message) (connector.Receipt, error) {
	if e := check(&m); e != nil {
		return connector.Receipt{}, e
	}
	// While Twilio takes its time, what stands on this stack is there once for
	// each send: so little does (docs/adr/0013).
	a, e := c.exchange(ctx, c.creation(&m))
	defer c.done(&a)
	return c.created(&a, e)
}

// done gives back what the answer stands in.
func (c *Client) done(a *answer) {
	if a.buffer != nil {
		c.wire.release(a.buffer)
	}
}

// creation is the call that makes a message.
func (c *Client) creation(m *connector.Message) *call {
	return &call{url: c.messages, form: c.form(*m), limit: maxAnswer}
}

// created reads what came of it.
func (c *Client) created(a *answer, e *connector.Error) (connector.Receipt, error) {
	if e != nil {
		return connector.Receipt{}, e
	}
	if a.status < 200 || a.status > 299 {
		return connector.Receipt{}, c.refusal(*a)
	}
	r, e := c.receipt(*a)
	if e != nil {
		return connector.Receipt{}, e
	}
	return r, nil
}

// check refuses what Twilio would refuse anyway.
func check(m *connector.Message) *connector.Error {
	body := m.Body.Reveal()
	switch {
	case m.To.IsZero():
		return unfit(kindInvalidRecipient, actTell, sayCheck, "the message has no recipient")
	case body == "":
		return unfit(kindSender, actPage, sayFault, "the message has no body")
	case !utf8.ValidString(body):
		return unfit(kindSender, actPage, sayFault, "the message's body is not UTF-8")
	case len(body) > sms.MaxBody && sms.BodyLength(body) > sms.MaxBody:
		return unfit(kindSender, actPage, sayFault, "the message's body is longer than 1,600 characters")
	case m.Validity < 0:
		return unfit(kindTemporary, 0, sayWait, "the message's time is over")
	}
	return nil
}

// receipt reads the answer to a send that Twilio took. Anything but a message
// of this account leaves the outcome open: a proxy's page is no receipt.
func (c *Client) receipt(a answer) (connector.Receipt, *connector.Error) {
	m, ok := c.message(a)
	if !ok {
		return connector.Receipt{}, unusable(a, errNotMessage)
	}
	status, ok := statusOf(m.Status)
	if !ok {
		return connector.Receipt{}, unusable(a, errNotMessage)
	}
	if failed(status) {
		// No callback reports a message's first status, so this is the only word.
		e := failure(m.Status, m.code())
		e.HTTPStatus = a.status
		return connector.Receipt{ProviderID: m.SID}, e // so that nobody takes it for another
	}
	return connector.Receipt{ProviderID: m.SID, Status: status}, nil
}

// message is what is read of Twilio's message resource.
type message struct {
	SID        string          `json:"sid"`
	AccountSID string          `json:"account_sid"`
	Status     string          `json:"status"`
	ErrorCode  json.RawMessage `json:"error_code"` // an integer or null
}

func (m message) code() int { return parseCode(string(m.ErrorCode)) }

// message reads an answer. ok is false when it is not a message of ours.
func (c *Client) message(a answer) (m message, ok bool) {
	if a.err != nil || !m.scan(a.body) {
		return message{}, false
	}
	return m, isMessageSID(m.SID) && m.AccountSID == c.account
}

// scan does for a message what json.Unmarshal does, with the names in Twilio's
// own letter case. A text with an escape in it is none of Twilio's identifiers
// or statuses and is left as it stands, which no check lets pass.
func (m *message) scan(data []byte) bool {
	return members(data, func(name, value []byte) {
		switch string(name) {
		case `"sid"`:
			m.SID = unquoted(value)
		case `"account_sid"`:
			m.AccountSID = unquoted(value)
		case `"status"`:
			m.Status = unquoted(value)
		case `"error_code"`:
			m.ErrorCode = value
		}
	})
}

// unquoted returns the inside of a JSON string, or "" for another value.
func unquoted(value []byte) string {
	if value[0] != '"' {
		return ""
	}
	return string(value[1 : len(value)-1])
}

// senderFields and riskField are the pieces of the form that only the config
// decides. RiskCheck is sent always: Twilio's default may change.
func senderFields(cfg Config) string {
	if cfg.MessagingServiceSID != "" {
		return "&MessagingServiceSid=" + escape(cfg.MessagingServiceSID) + "&Body="
	}
	return "&From=" + escape(cfg.From) + "&Body="
}

func riskField(cfg Config) string {
	if cfg.DisableRiskCheck {
		return "&RiskCheck=disable"
	}
	return "&RiskCheck=enable"
}

// form writes the form of a send. By hand: url.Values would sort and copy all of
// it (docs/adr/0008-the-send-is-tuned.md).
func (c *Client) form(m connector.Message) []byte {
	to, body := m.To.E164(), m.Body.Reveal()
	const fields = 180 // the names, numbers and overrides beside the values
	b := make([]byte, 0, fields+len(to)+len(c.sender)+len(body)+len(body)/2+len(c.risk)+len(m.CallbackURL)+len(m.CallbackURL)/2)
	b = append(b, "To="...)
	b = appendEscaped(b, to)
	b = append(b, c.sender...)
	b = appendEscaped(b, body)
	b = append(b, c.risk...)
	if m.CallbackURL != "" {
		b = append(b, "&StatusCallback="...)
		b = appendEscaped(b, m.CallbackURL)
		b = append(b, overridesFor(m.CallbackURL)...)
	}
	if v := c.validFor(m); v > 0 {
		b = append(b, "&ValidityPeriod="...)
		b = strconv.AppendInt(b, v, 10)
	}
	if c.smart {
		b = append(b, "&SmartEncoded=true"...)
	}
	if m.WantFeedback {
		b = append(b, "&ProvideFeedback=true"...)
	}
	return b
}

// overrides ask Twilio to repeat a callback that we could not take: up to three
// times after a 5xx, a connection that failed, or 4 seconds without an answer.
// On its own Twilio repeats only after a connection that failed, once. The read
// timeout stands there because all tries together have 15 seconds, which one
// silent try would use up
// (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
const overrides = "#rc=3&rp=5xx,ct,rt&rt=4000"

// escapedOverrides is overrides as a form's value.
const escapedOverrides = "%23rc%3D3%26rp%3D5xx%2Cct%2Crt%26rt%3D4000"

// maxCallbackURL is the most that Twilio takes for a callback's URL (21609).
const maxCallbackURL = 4000

// overridesFor returns what to write behind an escaped callback URL. A URL with
// a fragment has its own settings, be they empty; one that would grow too long
// for Twilio goes without.
func overridesFor(callbackURL string) string {
	if strings.Contains(callbackURL, "#") || len(callbackURL)+len(overrides) > maxCallbackURL {
		return ""
	}
	return escapedOverrides
}

// validFor is how many seconds Twilio may keep m in its queue, or 0 to leave it
// open. Parts of a second are dropped: the text must not outlive its code.
func (c *Client) validFor(m connector.Message) int64 {
	v := m.Validity
	if v == 0 {
		v = c.validity
	}
	if v == 0 {
		return 0
	}
	return min(max(int64(v/time.Second), 1), maxValiditySeconds)
}

const upperHex = "0123456789ABCDEF"

// appendEscaped appends s as a form's value
// (https://url.spec.whatwg.org/#application/x-www-form-urlencoded).
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

func escape(s string) string { return string(appendEscaped(nil, s)) }
