package twilio_test

import (
	"errors"
	"testing"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/secret"
)

// TestGoldenInbound parses each golden reply.
func TestGoldenInbound(t *testing.T) {
	t.Parallel()
	client := newClient(t, twilio.Config{
		AccountSID: goldenAccount, MessagingServiceSID: goldenService,
		AuthToken: secret.New(goldenToken), AuthTokenSecondary: secret.New(goldenSecondary),
	})
	for name, sections := range readGoldens(t, "inbound/*.txt") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenInbound(t, client, sections)
		})
	}
}

func goldenInbound(t *testing.T, client *twilio.Client, sections map[string]string) {
	var want struct {
		From    string            `json:"from"`
		Consent connector.Consent `json:"consent"`
		Refused string            `json:"refused"`
	}
	decodeGolden(t, sections["expect"], &want)
	reply, err := client.ParseReply(signedForm(sections["url"], sections["signature"], sections["body"]))
	if want.Refused != "" {
		sentinel := map[string]error{"signature": connector.ErrSignature, "malformed": connector.ErrMalformed}[want.Refused]
		if sentinel == nil || !errors.Is(err, sentinel) || !reply.From.IsZero() || reply.Consent != "" {
			t.Errorf("ParseReply: %v, %v, want %s", reply, err, want.Refused)
		}
		carriesNoSecret(t, err, goldenToken, goldenSecondary, "14155552671")
		return
	}
	if err != nil || reply.From.E164() != want.From || reply.Consent != want.Consent {
		t.Errorf("ParseReply: %q from %v, %v; want %q", reply.Consent, reply.From, err, want.Consent)
	}
}
