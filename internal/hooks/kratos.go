package hooks

import "github.com/sixdigit/sixdigit/sms"

// Ory Kratos' courier posts what the operator's Jsonnet makes of a message; ours
// is docs/integrations/kratos.jsonnet. It works from a queue: nobody waits for the
// answer, and nobody reads it. What is not 2xx it sends again after about a
// second, a permanent refusal too, and the messages behind it with it. So what
// would come to the same again, a refusal or a body that is none, is a 200 here, and
// told to the operator by log and metrics. Orders have
// no id: what says the same is the same.

func kratosUsages() map[string]sms.UsageType {
	return map[string]sms.UsageType{
		"login_code_valid": sms.UsageSignIn, "registration_code_valid": sms.UsageRegister,
		"recovery_code_valid": sms.UsageForgotPassword, "verification_code_valid": sms.UsageBindNewIdentifier,
	}
}

// readKratos reads an order as our Jsonnet writes it.
func readKratos(_ *Hook, body []byte, _ bool) (order, error) {
	var in struct {
		To           string `json:"to"`
		Code         string `json:"code"`
		TemplateType string `json:"template_type"`
		MessageType  string `json:"message_type"`
		Locale       string `json:"locale"`
	}
	if err := readJSON(body, &in); err != nil {
		return order{}, err
	}
	return order{to: in.To, code: in.Code, usage: in.TemplateType, locale: in.Locale, channel: in.MessageType}, nil
}

func replyKratos(o outcome) reply {
	switch {
	case o.result.done():
		return reply{status: 204}
	case o.result.final(), o.result == ResultTooLarge, o.result == ResultMalformed && !o.torn():
		return reply{status: 200, body: dropped{o.result}}
	}
	return reply{status: o.result.status(), body: o.words(), header: o.retryAfter()}
}
