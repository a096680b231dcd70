package hooks

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/sms"
)

// Supabase Auth's "Send SMS" hook signs by Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
// and waits five seconds for up to three tries. Each try has a webhook-id of its
// own; what stays is metadata.uuid. A 503 with Retry-After is tried again at once,
// so a limit must not be one: a refusal is a 200 that has an error in it.

func supabaseUsages() map[string]sms.UsageType {
	return map[string]sms.UsageType{
		"confirmation": sms.UsageSignIn, "phone_change": sms.UsageBindNewIdentifier, "reauthentication": sms.UsageUserPermissionValidation,
	}
}

// standardPrefixes stand before a secret's base64, as Supabase shows it and as
// the specification does.
const standardPrefixes = "v1,whsec_ whsec_"

func standardProof(h *Hook) (proof, error) {
	var keys [][]byte
	for _, s := range h.Secrets {
		encoded := s.Reveal()
		for p := range strings.FieldsSeq(standardPrefixes) {
			encoded = strings.TrimPrefix(encoded, p)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) < minSecret {
			return proof{}, errors.New("one is not v1,whsec_ and base64 of 16 bytes or more, as Supabase shows it")
		}
		keys = append(keys, key)
	}
	check := func(header http.Header, body []byte, now time.Time) error {
		id, hasID := one(header, "webhook-id")
		stamp, hasTime := one(header, "webhook-timestamp")
		list, hasList := one(header, "webhook-signature")
		if !hasID || !hasTime || !hasList {
			return errNoProof
		}
		var given [][]byte
		// Supabase parts them by comma and space, the specification by space alone.
		for part := range strings.FieldsSeq(list) {
			encoded, ok := strings.CutPrefix(strings.TrimSuffix(part, ","), "v1,")
			if s, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && len(given) < maxSignatures {
				given = append(given, s)
			}
		}
		message := append([]byte(id+"."+stamp+"."), body...)
		if err := anySignature(keys, message, given); err != nil {
			return err
		}
		return fresh(stamp, now)
	}
	return proof{signed: true, check: check}, nil
}

// readSupabase reads an order of Supabase Auth.
func readSupabase(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		Metadata struct {
			UUID      string `json:"uuid"`
			IPAddress string `json:"ip_address"`
		} `json:"metadata"`
		SMS struct {
			OTP   string `json:"otp"`
			Phone string `json:"phone"`
			Type  string `json:"sms_type"`
		} `json:"sms"`
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	return order{to: in.SMS.Phone, code: in.SMS.OTP, usage: in.SMS.Type, clientIP: in.Metadata.IPAddress, id: in.Metadata.UUID}, nil
}

// supabaseError is what Supabase shows the person.
type supabaseError struct {
	Error struct {
		HTTPCode int    `json:"http_code"`
		Message  string `json:"message"`
	} `json:"error"`
}

func replySupabase(o outcome) reply {
	if o.result.done() {
		return reply{status: 200, body: struct{}{}}
	}
	var e supabaseError
	e.Error.HTTPCode, e.Error.Message = o.result.status(), o.words()
	if o.result.final() {
		return reply{status: 200, body: e}
	}
	return reply{status: e.Error.HTTPCode, body: e, header: o.retryAfter()}
}
