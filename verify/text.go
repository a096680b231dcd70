package verify

import (
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// What a text says. Only this file and the callers of Sender see a code in
// clear.

// text makes a body from what the template's placeholders stand for.
func (r *route) text(usage sms.UsageType, locale, domain string, payload map[string]any) (string, error) {
	t, err := r.templates.Choose(usage, locale)
	if err != nil || !sms.UsesPlaceholder(t.Content, "code") {
		return "", ErrNoTemplate
	}
	body := sms.Render(t.Content, payload)
	if hash, ok := payload[payloadAppHash].(appHash); ok {
		body += "\n" + string(hash)
	}
	if domain == "" {
		return body, nil
	}
	code, _ := payload["code"].(string)
	if body, err = sms.WithOrigin(body, domain, code); err != nil {
		return "", &InvalidError{"domain", "domain_not_allowed", "the text cannot carry a line for this domain"}
	}
	return body, nil
}

// payloadOf is what a verification's text is made of.
func payloadOf(code, locale string) map[string]any {
	return map[string]any{"code": code, "locale": locale}
}

// measured keeps the ways that have a text, and counts its segments. The error
// is the last one's where none has.
func measured(ways []way, usage sms.UsageType, locale, domain string, payload map[string]any) (fit []way, err error) {
	for _, w := range ways {
		var body string
		if body, err = w.text(usage, locale, domain, payload); err == nil {
			w.segments = sms.Measure(body).Segments
			fit = append(fit, w)
		}
	}
	if len(fit) > 0 {
		return fit, nil
	}
	return nil, err
}

// zeros stand for a code that is not known yet: all digits are alike to the
// network.
func zeros(length int) string { return strings.Repeat("0", length) }

// waysOf are the measured ways for a record that exists: none when what it says
// can no longer be told.
func (s *Service) waysOf(v *Verification) []way {
	country := countryOf(v.To)
	if v.Test {
		country = "" // no text goes anywhere
	}
	payload := v.dress(payloadOf(zeros(v.CodeLength), v.Locale))
	if v.Supplied || v.custom() {
		var err error
		if payload, err = s.keys.unseal(v); err != nil {
			return nil
		}
		v.dress(payload)
	}
	ways, _ := measured(s.ways(country), v.Usage, v.Locale, v.Domain, payload)
	return ways
}

// compose makes the text of a send. Its code is derived, or what the caller
// supplied is unsealed: neither is kept in clear.
func (s *Service) compose(r *route, v *Verification, send *Send) (m connector.Message, err error) {
	var payload map[string]any
	if v.Supplied || v.custom() {
		payload, err = s.keys.unseal(v)
	} else {
		var code secret.String
		code, err = s.keys.codeOf(v, send.Generation)
		payload = payloadOf(code.Reveal(), v.Locale)
	}
	if err != nil {
		return m, err
	}
	body, err := r.text(v.Usage, v.Locale, v.Domain, v.dress(payload))
	if err != nil {
		return m, err
	}
	return connector.Message{To: v.To, Body: secret.New(body)}, nil
}
