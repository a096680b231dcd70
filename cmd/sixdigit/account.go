package main

import (
	"fmt"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
)

// createdAccount is a key as clients of Twilio Verify need it.
type createdAccount struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	AccountSID string `json:"account_sid"`
	AuthToken  string `json:"auth_token"`
	ServiceSID string `json:"service_sid"`
}

// showAccount shows a key the way that such clients are configured. It is shown
// here and nowhere else.
func (c keysCreateCmd) showAccount(s streams, config app.Config, key access.Key, shown secret.String) error {
	account, service, token := access.AccountSID(key.App), access.DefaultServiceSID(key.App), access.Token(shown).Reveal()
	if config.TwilioVerify == nil && c.Config != "" {
		_, _ = fmt.Fprintf(s.err, "%s does not open Twilio Verify's API yet: add the line\n    twilio_verify: {}\n", c.Config)
	}
	if c.JSON {
		return writeJSON(s.out, createdAccount{key.ID, key.Name, account, token, service})
	}
	_, _ = fmt.Fprintln(s.err, "Keep the token: it is not shown again. The service needs twilio_verify: {} in its config.")
	_, err := fmt.Fprintf(s.out, "TWILIO_ACCOUNT_SID=%s\nTWILIO_AUTH_TOKEN=%s\nTWILIO_VERIFY_SERVICE_SID=%s\n", account, token, service)
	return err
}
