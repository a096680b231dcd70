package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/connectorjson"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
)

// SendRequest is one text that an operator sends by hand, as they wrote it.
type SendRequest struct {
	To, Usage, Locale string
	Code              string // a random one of six digits when empty
}

// text is a SendRequest that was understood.
type text struct {
	to     phone.Number
	usage  sms.UsageType
	locale string
	code   string
}

// parse reads the request. Its faults have the flag in the path's place, so
// that one list holds all that is wrong.
func (r SendRequest) parse() (text, []connector.Fault) {
	var faults []connector.Fault
	bad := func(flag, message, fix string) {
		faults = append(faults, connector.Fault{Path: flag, Message: message, Fix: fix})
	}
	to, err := phone.Parse(r.To)
	if err != nil {
		bad("--to", "is not a phone number: "+strings.TrimPrefix(err.Error(), "phone: "), "write it in E.164 form, as +14155550134")
	}
	usage := sms.UsageType(r.Usage)
	if !usage.Known() {
		bad("--usage", "is not a known usage type", usageFix(r.Usage))
	}
	if _, err := sms.ParseLocale(r.Locale); r.Locale != "" && err != nil {
		bad("--locale", "is not a BCP 47 language tag", "write one such as en or pt-BR")
	}
	code := r.Code
	switch {
	case code == "":
		code = randomCode()
	case !codePattern.MatchString(code):
		bad("--code", "is not 4 to 10 letters or digits", "write six digits, or leave it out")
	}
	return text{to, usage, r.Locale, code}, faults
}

var codePattern = regexp.MustCompile(`^[0-9A-Za-z]{4,10}$`)

func usageFix(word string) string {
	var names []string
	for _, u := range sms.UsageTypes() {
		names = append(names, string(u))
	}
	if near := connectorjson.Nearest(word, names); near != "" {
		return "write " + near
	}
	return "write one of " + strings.Join(names, ", ")
}

// Sent is what `connector send` says of a text that the provider took.
type Sent struct {
	ProviderID string           `json:"provider_id"`
	Status     connector.Status `json:"status"`
	To         string           `json:"to"`
	Usage      sms.UsageType    `json:"usage_type"`
	Segments   int              `json:"segments"`
}

// Send sends one text straight through the connector of a file, once. When the
// report is not OK, file or request are wrong and nothing was sent; otherwise
// every error is a *connector.Error.
func Send(ctx context.Context, file string, stdin io.Reader, r SendRequest) (Sent, Report, error) {
	c, report := ReadConnector(file, stdin)
	t, faults := r.parse()
	if len(faults) > 0 {
		report.OK, report.Faults = false, append(report.Faults, faults...)
	}
	if !report.OK {
		return Sent{}, report, nil
	}
	sent, err := send(ctx, c, t)
	return sent, report, err
}

func send(ctx context.Context, c twilio.Config, t text) (Sent, error) {
	catalog, err := sms.NewCatalog(c.Templates)
	if err != nil {
		return Sent{}, unsendable(err)
	}
	client, err := twilio.New(c, twilio.Options{})
	if err != nil {
		return Sent{}, unsendable(err)
	}
	defer client.Close()
	template, err := catalog.Choose(t.usage, t.locale)
	if err != nil {
		return Sent{}, unsendable(fmt.Errorf("%w: no template of the connector JSON serves %s", err, t.usage))
	}
	body := sms.Render(template.Content, map[string]any{connectorjson.CodePlaceholder: t.code, "locale": t.locale})
	receipt, err := client.Send(ctx, connector.Message{To: t.to, Body: secret.New(body)})
	if err != nil {
		return Sent{}, err
	}
	if c.SmartEncoded {
		body = sms.SmartEncode(body)
	}
	return Sent{receipt.ProviderID, receipt.Status, t.to.E164(), t.usage, sms.Measure(body).Segments}, nil
}

// unsendable is a failure before any provider saw the text.
func unsendable(err error) error {
	return &connector.Error{
		Kind:    connector.KindSender,
		Outcome: connector.OutcomeNotProcessed,
		Actions: connector.ActPage,
		Advice:  connector.AdviceOurFault,
		Err:     err,
	}
}

// randomCode returns six digits, each code as likely as any other.
func randomCode() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(1_000_000)) // the reader never fails
	return fmt.Sprintf("%06d", n)
}
