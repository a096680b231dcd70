package twilioverify

import (
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/verify"
)

// Service is a service as clients of Twilio's API read it.
type Service struct {
	SID                            string            `json:"sid"`
	AccountSID                     string            `json:"account_sid"`
	FriendlyName                   string            `json:"friendly_name"`
	CodeLength                     int               `json:"code_length"`
	LookupEnabled                  bool              `json:"lookup_enabled"`
	Psd2Enabled                    bool              `json:"psd2_enabled"`
	SkipSmsToLandlines             bool              `json:"skip_sms_to_landlines"`
	DtmfInputRequired              bool              `json:"dtmf_input_required"`
	TtsName                        *string           `json:"tts_name"`
	DoNotShareWarningEnabled       bool              `json:"do_not_share_warning_enabled"`
	CustomCodeEnabled              bool              `json:"custom_code_enabled"`
	Push                           map[string]any    `json:"push"`
	Totp                           map[string]any    `json:"totp"`
	DefaultTemplateSID             *string           `json:"default_template_sid"`
	Whatsapp                       map[string]any    `json:"whatsapp"`
	Passkeys                       map[string]any    `json:"passkeys"`
	VerifyEventSubscriptionEnabled bool              `json:"verify_event_subscription_enabled"`
	DateCreated                    string            `json:"date_created"`
	DateUpdated                    string            `json:"date_updated"`
	URL                            string            `json:"url"`
	Links                          map[string]string `json:"links"`
}

// Verification is a verification as clients of Twilio's API read it.
type Verification struct {
	SID              string         `json:"sid"`
	ServiceSID       string         `json:"service_sid"`
	AccountSID       string         `json:"account_sid"`
	To               string         `json:"to"`
	Channel          string         `json:"channel"`
	Status           string         `json:"status"`
	Valid            bool           `json:"valid"`
	Lookup           map[string]any `json:"lookup"`
	Amount           *string        `json:"amount"`
	Payee            *string        `json:"payee"`
	SendCodeAttempts []SendAttempt  `json:"send_code_attempts"`
	Sna              map[string]any `json:"sna"`
	DateCreated      string         `json:"date_created"`
	DateUpdated      string         `json:"date_updated"`
	URL              string         `json:"url"`
}

// SendAttempt is one text of a Verification.
type SendAttempt struct {
	Time       string `json:"time"`
	Channel    string `json:"channel"`
	AttemptSID string `json:"attempt_sid"`
}

// Check is what a check came to. Only Valid is proof.
type Check struct {
	SID                  string   `json:"sid"`
	ServiceSID           string   `json:"service_sid"`
	AccountSID           string   `json:"account_sid"`
	To                   string   `json:"to"`
	Channel              string   `json:"channel"`
	Status               string   `json:"status"`
	Valid                bool     `json:"valid"`
	Amount               *string  `json:"amount"`
	Payee                *string  `json:"payee"`
	DateCreated          string   `json:"date_created"`
	DateUpdated          string   `json:"date_updated"`
	SnaAttemptsErrorCode []string `json:"sna_attempts_error_codes"`
}

// Attempt is one text, as the list of attempts has it.
type Attempt struct {
	SID              string         `json:"sid"`
	AccountSID       string         `json:"account_sid"`
	ServiceSID       string         `json:"service_sid"`
	VerificationSID  string         `json:"verification_sid"`
	DateCreated      string         `json:"date_created"`
	DateUpdated      string         `json:"date_updated"`
	ConversionStatus string         `json:"conversion_status"`
	Channel          string         `json:"channel"`
	Price            map[string]any `json:"price"`
	ChannelData      map[string]any `json:"channel_data"`
	URL              string         `json:"url"`
}

// Summary counts attempts.
type Summary struct {
	TotalAttempts            int    `json:"total_attempts"`
	TotalConverted           int    `json:"total_converted"`
	TotalUnconverted         int    `json:"total_unconverted"`
	ConversionRatePercentage string `json:"conversion_rate_percentage"`
	URL                      string `json:"url"`
}

// Meta leads through the pages of a list.
type Meta struct {
	Page            int     `json:"page"`
	PageSize        int     `json:"page_size"`
	FirstPageURL    string  `json:"first_page_url"`
	PreviousPageURL *string `json:"previous_page_url"`
	URL             string  `json:"url"`
	NextPageURL     *string `json:"next_page_url"`
	Key             string  `json:"key"`
}

// stamp writes a time in whole seconds, as Twilio does; its clients read RFC 3339.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// statusOf is a status in Twilio's words.
func statusOf(s verify.Status) string {
	if s == verify.StatusExhausted {
		return "max_attempts_reached"
	}
	return string(s)
}

func renderService(s access.Service, base string) Service {
	url := base + "/v2/Services/" + s.SID
	return Service{
		SID: s.SID, AccountSID: access.AccountSID(s.App), FriendlyName: s.Name, CodeLength: s.CodeLength,
		SkipSmsToLandlines: true, DtmfInputRequired: true, CustomCodeEnabled: s.CustomCode,
		Push: map[string]any{}, Totp: map[string]any{}, Whatsapp: map[string]any{}, Passkeys: map[string]any{},
		DateCreated: stamp(s.CreatedAt), DateUpdated: stamp(s.UpdatedAt), URL: url,
		Links: map[string]string{"verifications": url + "/Verifications", "verification_checks": url + "/VerificationCheck"},
	}
}

// updated is when something was last written about the verification.
func updated(v *verify.Verification) time.Time {
	last := v.CreatedAt
	for i := range v.Sends {
		if at := v.Sends[i].UpdatedAt; at.After(last) {
			last = at
		}
	}
	if v.EndedAt.After(last) {
		last = v.EndedAt
	}
	return last
}

func renderVerification(v *verify.Verification, now time.Time, base string) Verification {
	status := v.StatusAt(now)
	out := Verification{
		SID: verificationSID(v.ID), ServiceSID: v.Service, AccountSID: access.AccountSID(v.App), To: v.To.E164(),
		Channel: string(v.Channel), Status: statusOf(status), Valid: status == verify.StatusApproved,
		Lookup: map[string]any{}, SendCodeAttempts: []SendAttempt{}, DateCreated: stamp(v.CreatedAt), DateUpdated: stamp(updated(v)),
	}
	out.URL = base + "/v2/Services/" + v.Service + "/Verifications/" + out.SID
	for i := range v.Sends {
		out.SendCodeAttempts = append(out.SendCodeAttempts, SendAttempt{stamp(v.Sends[i].CreatedAt), "SMS", attemptSID(v.Sends[i].ID)})
	}
	return out
}

// renderCheck says pending of every check that was wrong, as Twilio does; that it
// was the last one the next check will tell.
func renderCheck(c verify.Checked) Check {
	v := c.Verification
	status := string(verify.StatusPending)
	if c.Valid {
		status = string(verify.StatusApproved)
	}
	return Check{
		SID: verificationSID(v.ID), ServiceSID: v.Service, AccountSID: access.AccountSID(v.App), To: v.To.E164(),
		Channel: string(v.Channel), Status: status, Valid: c.Valid,
		DateCreated: stamp(v.CreatedAt), DateUpdated: stamp(updated(v)), SnaAttemptsErrorCode: []string{},
	}
}

// converted reports whether the text's code was used: the newest text that may have
// arrived is the one that led there.
func converted(v *verify.Verification, i int) bool {
	if v.Status != verify.StatusApproved {
		return false
	}
	last := len(v.Sends) - 1
	for last > 0 && (v.Sends[last].Status == connector.StatusRejected || v.Sends[last].Status == connector.StatusFailed) {
		last--
	}
	return i == last
}

func renderAttempt(v *verify.Verification, i int, base string) Attempt {
	send := &v.Sends[i]
	a := Attempt{
		SID: attemptSID(send.ID), AccountSID: access.AccountSID(v.App), ServiceSID: v.Service, VerificationSID: verificationSID(v.ID),
		DateCreated: stamp(send.CreatedAt), DateUpdated: stamp(send.UpdatedAt), ConversionStatus: "unconverted", Channel: string(send.Channel),
		Price: map[string]any{}, ChannelData: map[string]any{"to": v.To.E164(), "message_status": messageStatus(send.Status)},
	}
	if converted(v, i) {
		a.ConversionStatus = "converted"
	}
	if send.Error != nil && send.Error.ProviderCode != "" {
		a.ChannelData["error_code"] = send.Error.ProviderCode
	}
	a.URL = base + "/v2/Attempts/" + a.SID
	return a
}

// messageStatus is a text's status in Twilio's words.
func messageStatus(s connector.Status) string {
	switch s {
	case connector.StatusSending, connector.StatusUnknown, connector.StatusAccepted:
		return "queued"
	case connector.StatusRejected:
		return "failed"
	default:
		return string(s)
	}
}
