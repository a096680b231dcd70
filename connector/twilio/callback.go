package twilio

import (
	"fmt"
	"mime"

	"github.com/sixdigit/sixdigit/connector"
)

// ParseStatus reads a status callback. A callback that Twilio did not sign with
// one of the account's tokens is ErrSignature, whatever else is wrong with it,
// unless its body cannot be read as a form at all: such a body has no
// signature. A callback carries no time; that it is not an old one is for the
// caller to judge, by the order of statuses.
func (c *Client) ParseStatus(in connector.Inbound) (connector.StatusUpdate, error) {
	var none connector.StatusUpdate
	r := c.reading()
	defer c.read(r)
	if err := r.genuine(c, in, "MessageStatus", "ErrorCode"); err != nil {
		return none, err
	}
	word, code := string(r.form.get("MessageStatus")), string(r.form.get("ErrorCode"))
	switch {
	case code != "" && parseCode(code) == 0:
		return none, malformed("its ErrorCode is none")
	case word == "":
		return none, malformed("it has no MessageStatus")
	}
	status, ok := statusOf(word)
	if !ok {
		return none, connector.ErrUnknownStatus
	}
	update := connector.StatusUpdate{ProviderID: string(r.form.get("MessageSid")), Status: status}
	if failed(status) {
		update.Err = failure(word, parseCode(code))
	}
	return update, nil
}

// reading is one request being read. It is used again: neither the form nor the
// account's HMACs need new memory.
type reading struct {
	form   form
	signer signer
}

func (c *Client) reading() *reading {
	if r, ok := c.readings.Get().(*reading); ok {
		return r
	}
	return &reading{signer: newSigner(c.tokens)}
}

// read gives a reading back.
func (c *Client) read(r *reading) {
	r.form.forget()
	c.readings.Put(r)
}

// genuine reads the form of a request that Twilio made for the Client's account
// about one of its messages: the signature first, then what every such request
// has. Of the fields that the caller is going to read, names are those besides.
func (r *reading) genuine(c *Client, in connector.Inbound, names ...string) error {
	signatures := in.Header["X-Twilio-Signature"]
	if len(signatures) != 1 || len(signatures[0]) != signatureLength {
		return connector.ErrSignature
	}
	if err := r.form.parse(in.Body); err != nil {
		return err
	}
	if !r.signer.signed(in.PublicURL, &r.form, signatures[0]) {
		return connector.ErrSignature
	}
	if !isForm(in.Header["Content-Type"]) {
		return malformed("it is not a form")
	}
	// A name that stands twice has values that one reading of the signature
	// does not see. Of the fields that are read, none may.
	for _, own := range [...][]string{{"AccountSid", "MessageSid"}, names} {
		for _, name := range own {
			if r.form.repeated(name) {
				return malformed("it repeats " + name)
			}
		}
	}
	switch {
	case string(r.form.get("AccountSid")) != c.account:
		return malformed("it is another account's")
	case !isMessageSID(r.form.get("MessageSid")):
		return malformed("its MessageSid is none")
	}
	return nil
}

// isForm looks at the first Content-Type. Twilio's own is known by sight.
func isForm(types []string) bool {
	const form = "application/x-www-form-urlencoded"
	switch {
	case len(types) == 0:
		return false
	case types[0] == form, types[0] == form+"; charset=UTF-8":
		return true
	}
	t, _, err := mime.ParseMediaType(types[0])
	return err == nil && t == form
}

// malformed says why in words that hold nothing of the callback.
func malformed(why string) error {
	return fmt.Errorf("%w: %s", connector.ErrMalformed, why)
}
