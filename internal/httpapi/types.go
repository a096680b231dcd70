package httpapi

import (
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// The bodies of requests and answers, as the OpenAPI document describes them.

// StartRequest asks for a verification.
type StartRequest struct {
	To         string            `json:"to" maxLength:"64" doc:"The phone number in E.164 form, + first. Spaces and - ( ) . / are passed over."`
	UsageType  string            `json:"usage_type" enum:"Register,SignIn,Test,ForgotPassword,Generic,OrganizationInvitation,UserPermissionValidation,BindNewIdentifier,MfaVerification,BindMfa" doc:"What the code is for; it chooses the text."`
	Locale     string            `json:"locale,omitempty" maxLength:"64" doc:"The language of the text, a BCP 47 tag."`
	Channel    string            `json:"channel,omitempty" enum:"sms" doc:"How the code travels. The default is sms."`
	Domain     string            `json:"domain,omitempty" maxLength:"253" doc:"One of the app's domains. The text then ends in a line by which a browser on that site offers the code (WebOTP)."`
	ClientIP   string            `json:"client_ip,omitempty" maxLength:"64" doc:"The address of the person's device, for the limits. Required unless the app is configured as a back end that has none."`
	Session    string            `json:"session,omitempty" maxLength:"256" doc:"The caller's browser session or flow id. A start with the session of a pending verification of the same number and usage joins it instead of making another. Without a session nothing is ever joined. Only an HMAC of it is kept."`
	CodeLength int               `json:"code_length,omitempty" minimum:"6" maximum:"10" doc:"Digits of the code; no fewer than the service's own setting, which is the default."`
	Metadata   map[string]string `json:"metadata,omitempty" maxProperties:"16" doc:"Kept with the verification and given back, never interpreted: at most 16 names of 40 bytes with values of 256 bytes. Put no personal data here."`
}

// ResendRequest asks for another text.
type ResendRequest struct {
	Channel  string `json:"channel,omitempty" enum:"sms" doc:"How the code travels. The default is sms."`
	ClientIP string `json:"client_ip,omitempty" maxLength:"64" doc:"The address of the person's device, for the limits."`
}

// CheckRequest brings what a person typed.
type CheckRequest struct {
	Code string `json:"code" minLength:"1" maxLength:"64" doc:"What the person typed. Spaces and hyphens are passed over; what can be no code counts as a wrong one."`
}

// Verification is one attempt to show that a number is somebody's.
type Verification struct {
	ID           string            `json:"id" doc:"26 letters and digits."`
	To           string            `json:"to" doc:"The number in E.164 form."`
	UsageType    string            `json:"usage_type" doc:"What the code is for."`
	Channel      string            `json:"channel" enum:"sms" doc:"How the code travels."`
	Status       string            `json:"status" enum:"pending,approved,canceled,expired,exhausted" doc:"All but pending are final. approved says that the right code was given at some time; proof for this request is only valid in the answer to a check."`
	Reason       string            `json:"reason,omitempty" enum:"caller,send_rejected,key_lost" doc:"Why it was canceled."`
	AttemptsLeft int               `json:"attempts_left" minimum:"0" doc:"How many checks remain."`
	CreatedAt    time.Time         `json:"created_at" doc:"RFC 3339, UTC."`
	ExpiresAt    time.Time         `json:"expires_at" doc:"From when on its code is worthless."`
	ResendAfter  time.Time         `json:"resend_after" doc:"From when on another text may be asked for."`
	Joined       bool              `json:"joined,omitempty" doc:"Of a start: a pending verification of the same session was used."`
	Test         bool              `json:"test,omitempty" doc:"A test number: its code is fixed and no text is sent."`
	Metadata     map[string]string `json:"metadata,omitempty" doc:"As the start gave it."`
	Sends        []Send            `json:"sends" nullable:"false" doc:"Its texts, the oldest first."`
}

// Send is one text of a verification.
type Send struct {
	ID         string     `json:"id" doc:"The verification's id, a dot and a number from 1."`
	Channel    string     `json:"channel" enum:"sms" doc:"How the code travels."`
	Connector  string     `json:"connector" doc:"The name of the connector that carried it; test for a test number."`
	Status     string     `json:"status" enum:"sending,unknown,accepted,sent,delivered,undelivered,failed,rejected" doc:"unknown: nobody can tell whether the provider took it. Many carriers send no receipts: their texts stay at sent."`
	ProviderID string     `json:"provider_id,omitempty" doc:"The provider's id of the text."`
	Error      *SendError `json:"error,omitempty" doc:"Why it was not delivered."`
	Segments   int        `json:"segments" minimum:"0" doc:"How many parts the text has, which is what providers charge for."`
	CreatedAt  time.Time  `json:"created_at" doc:"RFC 3339, UTC."`
}

// SendError is why a text was not delivered.
type SendError struct {
	Kind         string `json:"kind" enum:"invalid_recipient,unreachable,opted_out,blocked,fraud,filtered,geo,throttled,auth,account,sender,temporary,unclassified" doc:"Why, in words that hold for every provider."`
	ProviderCode string `json:"provider_code,omitempty" doc:"The provider's own code."`
	Advice       string `json:"advice" doc:"What to tell the person, in English."`
	AdviceKey    string `json:"advice_key" doc:"The advice as a key, for translations."`
}

// CheckAnswer is what a check comes to.
type CheckAnswer struct {
	Valid        bool         `json:"valid" doc:"Whether this code, now, was the right one. Nothing else is proof."`
	Status       string       `json:"status" enum:"pending,approved,canceled,expired,exhausted" doc:"The verification's status after the check."`
	AttemptsLeft int          `json:"attempts_left" minimum:"0" doc:"How many checks remain."`
	Verification Verification `json:"verification" doc:"The verification after the check."`
}

// render makes a record into its answer, as it stands at a time.
func render(v *verify.Verification, now time.Time) Verification {
	sends := make([]Send, len(v.Sends))
	for i := range v.Sends {
		sends[i] = renderSend(&v.Sends[i])
	}
	return Verification{
		ID: v.ID, To: v.To.E164(), UsageType: string(v.Usage), Channel: string(v.Channel),
		Status: string(v.StatusAt(now)), Reason: string(v.Reason), AttemptsLeft: v.AttemptsLeft(),
		CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(), ResendAfter: v.ResendAfter.UTC(),
		Test: v.Test, Metadata: v.Metadata, Sends: sends,
	}
}

func renderSend(s *verify.Send) Send {
	out := Send{
		ID: s.ID, Channel: string(s.Channel), Connector: s.Connector, Status: string(s.Status),
		ProviderID: s.ProviderID, Segments: s.Segments, CreatedAt: s.CreatedAt.UTC(),
	}
	if f := s.Error; f != nil {
		out.Error = &SendError{
			Kind: string(f.Kind), ProviderCode: f.ProviderCode, Advice: f.Advice.Text(0), AdviceKey: string(f.Advice),
		}
	}
	return out
}
