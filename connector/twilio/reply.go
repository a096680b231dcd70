package twilio

import (
	"strings"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
)

var _ connector.ReplyParser = (*Client)(nil)

// ParseReply reads a text that a person sent to one of our numbers, as Twilio
// hands it to the service's inbound request URL
// (https://www.twilio.com/docs/messaging/guides/webhook-request). What it
// refuses, it refuses as ParseStatus does. A reply from anything but a phone
// number, such as a channel's address (whatsapp:+…), has a zero From and says
// nothing: who leaves a channel has not left our texts.
//
// A reply carries no time. An old one that comes again settles the matter anew;
// that is the price of a provider whose signature knows no clock.
func (c *Client) ParseReply(in connector.Inbound) (connector.Reply, error) {
	var reply connector.Reply
	r := c.reading()
	defer c.read(r)
	if err := r.genuine(c, in, "From", "Body", "OptOutType"); err != nil {
		return reply, err
	}
	number := string(r.form.get("From"))
	if number == "" {
		return reply, malformed("it has no From")
	}
	if from, err := phone.Parse(number); err == nil {
		reply = connector.Reply{From: from, Consent: consent(&r.form)}
	}
	return reply, nil
}

// consent reads what Twilio made of the text, where Advanced Opt-Out tells it,
// and the text itself elsewhere. Twilio knows the keywords that an operator
// chose, in any language, so that its word alone counts when it is there.
func consent(f *form) connector.Consent {
	switch strings.ToUpper(string(f.get("OptOutType"))) {
	case "":
		return keyword(string(f.get("Body")))
	case "STOP":
		return connector.ConsentStop
	case "START":
		return connector.ConsentStart
	}
	return connector.ConsentNone // HELP
}

// keyword knows Twilio's default keywords, which count only when they are the
// whole text, in any letter case
// (https://help.twilio.com/articles/223134027).
func keyword(body string) connector.Consent {
	switch strings.ToUpper(strings.TrimSpace(body)) {
	case "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT":
		return connector.ConsentStop
	case "START", "YES", "UNSTOP":
		return connector.ConsentStart
	}
	return connector.ConsentNone
}
