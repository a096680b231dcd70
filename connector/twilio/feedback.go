package twilio

import (
	"context"
	"encoding/json"
)

// Feedback tells Twilio whether the code of a text was used; Twilio routes by
// it. The text must have been sent with WantFeedback. See
// https://www.twilio.com/docs/messaging/api/message-feedback-resource.
func (c *Client) Feedback(ctx context.Context, providerID string, confirmed bool) error {
	if !isMessageSID(providerID) {
		return unfit(kindSender, actPage, sayFault, "that is no message of Twilio's")
	}
	outcome := "unconfirmed"
	if confirmed {
		outcome = "confirmed"
	}
	a, e := c.exchange(ctx, &call{
		url:   c.resource("Messages/"+providerID+"/Feedback.json", ""),
		form:  []byte("Outcome=" + outcome),
		limit: maxAnswer,
	})
	if e != nil {
		return e
	}
	if a.status < 200 || a.status > 299 {
		return c.refusal(a)
	}
	var f struct {
		AccountSID string `json:"account_sid"`
		MessageSID string `json:"message_sid"`
	}
	if a.err != nil || json.Unmarshal(a.body, &f) != nil || f.MessageSID != providerID || f.AccountSID != c.account {
		return unusable(a, errNotFeedback)
	}
	return nil
}
