package twilio

import (
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// DefaultBaseURL is where Twilio's API answers.
const DefaultBaseURL = "https://api.twilio.com"

// Config is the connector's configuration. ReadConfig fills it from the
// connector JSON and checks it; New checks it again.
type Config struct {
	AccountSID string        // AC and 32 hex digits
	AuthToken  secret.String // signs callbacks; sends too, unless an API key is set

	// AuthTokenSecondary also verifies callbacks, while tokens rotate.
	AuthTokenSecondary secret.String

	// APIKeySID and APIKeySecret send in the auth token's place; both or neither.
	APIKeySID    string // SK and 32 hex digits
	APIKeySecret secret.String

	// MessagingServiceSID or From names the sender: one of the two.
	MessagingServiceSID string // MG and 32 hex digits
	From                string // an E.164 number, a short code or an alphanumeric sender ID

	BaseURL          string        // "" is DefaultBaseURL; https, or http to a loopback address
	Validity         time.Duration // 1 s to 10 h, how long Twilio may queue a text; 0 leaves Twilio's 10 h
	SmartEncoded     bool          // let Twilio replace look-alike characters to stay in GSM-7
	DisableRiskCheck bool          // skip Twilio's SMS pumping protection

	Templates []sms.Template
}
