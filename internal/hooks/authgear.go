package hooks

import (
	"net/http"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// Authgear's custom SMS gateway signs the body alone: a request that somebody
// kept is as good tomorrow, but for what it says being the same. It reads the
// answer's code, whatever the status is.

func authgearUsages() map[string]sms.UsageType {
	return map[string]sms.UsageType{
		"verification_sms.txt": sms.UsageBindNewIdentifier, "forgot_password_sms.txt": sms.UsageForgotPassword, "forgot_password_oob_sms.txt": sms.UsageForgotPassword,
		"authenticate_primary_oob_sms.txt": sms.UsageSignIn, "authenticate_secondary_oob_sms.txt": sms.UsageMfaVerification,
		"setup_primary_oob_sms.txt": sms.UsageRegister, "setup_secondary_oob_sms.txt": sms.UsageBindMfa,
	}
}

func authgearProof(h *Hook) (proof, error) {
	keys := plainKeys(h.Secrets)
	check := func(header http.Header, body []byte, _ time.Time) error {
		given, ok := one(header, "x-authgear-body-signature")
		if !ok {
			return errNoProof
		}
		return anySignature(keys, body, [][]byte{unhex(strings.TrimSpace(given))})
	}
	return proof{signed: true, check: check}, longEnough(h.Secrets)
}

// readAuthgear reads an order of Authgear.
func readAuthgear(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		To           string         `json:"to"`
		LanguageTag  string         `json:"language_tag"`
		TemplateName string         `json:"template_name"`
		Variables    map[string]any `json:"template_variables"`
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	code, _ := in.Variables["code"].(string)
	return order{to: in.To, code: code, usage: in.TemplateName, locale: in.LanguageTag, more: in.Variables}, nil
}

// authgearAnswer is what Authgear makes its own error of.
type authgearAnswer struct {
	Code        string `json:"code"`
	Description string `json:"description,omitempty"`
	Provider    string `json:"provider_name"`
}

func replyAuthgear(o outcome) reply {
	a := authgearAnswer{Code: "ok", Provider: "sixdigit"}
	if o.result.done() {
		return reply{status: 200, body: a}
	}
	a.Description = o.words()
	switch {
	case o.result == ResultLimited:
		a.Code = "rate_limited"
	case o.result == ResultUnauthorized, o.kind == connector.KindAuth:
		a.Code = "authentication_failed"
	case o.result == ResultUnavailable:
		a.Code = "timeout"
	case o.advice == connector.AdviceCheckNumber && o.result == ResultRefused:
		a.Code = "invalid_phone_number"
	case o.result == ResultRefused:
		a.Code = "delivery_rejected"
	default:
		a.Code = "unknown_error"
	}
	return reply{status: o.result.status(), body: a, header: o.retryAfter()}
}
