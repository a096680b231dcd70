package hooks

import (
	"net/http"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/sms"
)

// Zitadel's HTTP provider for SMS waits five seconds, takes any 2xx, and tries
// what is none a few times more; nobody reads the answer. It signs
// "time.body" and says so in one header: ZITADEL-Signature: t=…,v1=…, with one v1
// for each key that is valid.

func zitadelUsages() map[string]sms.UsageType {
	return map[string]sms.UsageType{
		"user.human.phone.code.added": sms.UsageBindNewIdentifier, "user.human.password.code.added": sms.UsageForgotPassword,
		"user.human.otp.sms.code.added": sms.UsageMfaVerification, "session.otp.sms.challenged": sms.UsageMfaVerification,
	}
}

func zitadelProof(h *Hook) (proof, error) {
	keys := plainKeys(h.Secrets)
	check := func(header http.Header, body []byte, now time.Time) error {
		line, ok := one(header, "ZITADEL-Signature")
		if !ok {
			return errNoProof
		}
		var stamp string
		var given [][]byte
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch {
			case name == "t" && stamp != "":
				return errNoProof
			case name == "t":
				stamp = value
			case name == "v1" && len(given) < maxSignatures:
				given = append(given, unhex(value))
			}
		}
		message := append([]byte(stamp+"."), body...)
		if err := anySignature(keys, message, given); err != nil {
			return err
		}
		return fresh(stamp, now)
	}
	return proof{signed: true, check: check}, longEnough(h.Secrets)
}

// readZitadel reads an order of Zitadel.
func readZitadel(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		ContextInfo struct {
			RecipientPhoneNumber string `json:"recipientPhoneNumber"`
			EventType            string `json:"eventType"`
		} `json:"contextInfo"`
		// The name of the code depends on the event; letter case does not matter here.
		Args struct {
			Code string `json:"code"`
			OTP  string `json:"otp"`
		} `json:"args"`
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	code := in.Args.Code
	if code == "" {
		code = in.Args.OTP
	}
	return order{to: in.ContextInfo.RecipientPhoneNumber, code: code, usage: in.ContextInfo.EventType}, nil
}

// replyZitadel makes every failure one: Zitadel tries it again a few times, within
// the time in which the same order is the same, and then notes that it failed.
func replyZitadel(o outcome) reply {
	if o.result.done() {
		return reply{status: 204}
	}
	return reply{status: o.result.status(), body: o.words(), header: o.retryAfter()}
}
