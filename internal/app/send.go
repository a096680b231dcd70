package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// SendRequest is one text that an operator sends by hand.
type SendRequest struct {
	To     phone.Number
	Usage  sms.UsageType
	Locale string
	Code   secret.String // a random one of six digits when empty
}

// Sent is what `connector send` says of a text that the provider took.
type Sent struct {
	ProviderID string           `json:"provider_id"`
	Status     connector.Status `json:"status"`
	To         string           `json:"to"`
	Usage      sms.UsageType    `json:"usage_type"`
	Segments   int              `json:"segments"`
}

// Send sends one text straight through the connector, once. Every error is a
// *connector.Error.
func Send(ctx context.Context, c twilio.Config, r SendRequest) (Sent, error) {
	catalog, err := sms.NewCatalog(c.Templates)
	if err != nil {
		return Sent{}, ourFault(err)
	}
	client, err := twilio.New(c, twilio.Options{})
	if err != nil {
		return Sent{}, ourFault(err)
	}
	defer client.Close()
	body, err := compose(catalog, r)
	if err != nil {
		return Sent{}, err
	}
	receipt, err := client.Send(ctx, connector.Message{To: r.To, Body: secret.New(body)})
	if err != nil {
		return Sent{}, err
	}
	return Sent{
		ProviderID: receipt.ProviderID,
		Status:     receipt.Status,
		To:         r.To.E164(),
		Usage:      r.Usage,
		Segments:   segments(body, c.SmartEncoded),
	}, nil
}

func compose(catalog *sms.Catalog, r SendRequest) (string, error) {
	t, err := catalog.Choose(r.Usage, r.Locale)
	if err != nil {
		return "", ourFault(fmt.Errorf("%w: no template of the connector JSON serves %s", err, r.Usage))
	}
	code := r.Code.Reveal()
	if code == "" {
		if code, err = randomCode(); err != nil {
			return "", ourFault(err)
		}
	}
	return sms.Render(t.Content, map[string]any{connector.CodePlaceholder: code, "locale": r.Locale}), nil
}

func segments(body string, smart bool) int {
	if smart {
		body = sms.SmartEncode(body)
	}
	return sms.Measure(body).Segments
}

// ourFault is a failure that no provider had a part in.
func ourFault(err error) error {
	var e *connector.Error
	if errors.As(err, &e) {
		return e
	}
	return &connector.Error{
		Kind:    connector.KindSender,
		Outcome: connector.OutcomeRefused,
		Actions: connector.ActPage,
		Advice:  connector.AdviceOurFault,
		Err:     err,
	}
}

// randomCode returns six digits, each code as likely as any other.
func randomCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return fmt.Sprintf("%06d", n), nil
}
