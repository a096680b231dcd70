package twilio

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/sixdigit/sixdigit/connector"
)

// Bounds of a callback and of a reply. Twilio's callbacks have about 10 fields
// and 500 bytes; a reply has up to 30, among them a text of 1,600 characters.
const (
	maxCallback = 64 << 10
	maxFields   = 200
)

// ParseStatus reads a status callback. A callback that Twilio did not sign with
// one of the account's tokens is ErrSignature, whatever else is wrong with it,
// unless its body cannot be read as a form at all: such a body has no
// signature. A callback carries no time; that it is not an old one is for the
// caller to judge, by the order of statuses.
func (c *Client) ParseStatus(in connector.Inbound) (connector.StatusUpdate, error) {
	var none connector.StatusUpdate
	form, err := c.genuine(in, "MessageStatus", "ErrorCode")
	if err != nil {
		return none, err
	}
	word, code := form.get("MessageStatus"), form.get("ErrorCode")
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
	update := connector.StatusUpdate{ProviderID: form.get("MessageSid"), Status: status}
	if failed(status) {
		update.Err = failure(word, parseCode(code))
	}
	return update, nil
}

// genuine reads the form of a request that Twilio made for this account about
// one of its messages: the signature first, then what every such request has.
// Of the fields that the caller is going to read, names are those besides.
func (c *Client) genuine(in connector.Inbound, names ...string) (fields, error) {
	header := http.Header(in.Header)
	signatures := header.Values("X-Twilio-Signature")
	if len(signatures) != 1 || signatures[0] == "" {
		return nil, connector.ErrSignature
	}
	form, err := parseForm(in.Body)
	if err != nil {
		return nil, err
	}
	if !signed(c.tokens, in.PublicURL, form, signatures[0]) {
		return nil, connector.ErrSignature
	}
	if t, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, malformed("it is not a form")
	}
	// A name that stands twice has values that one reading of the signature
	// does not see. Of the fields that are read, none may.
	for _, name := range append([]string{"AccountSid", "MessageSid"}, names...) {
		if len(form[name]) > 1 {
			return nil, malformed("it repeats " + name)
		}
	}
	switch {
	case form.get("AccountSid") != c.account:
		return nil, malformed("it is another account's")
	case !isMessageSID(form.get("MessageSid")):
		return nil, malformed("its MessageSid is none")
	}
	return form, nil
}

// malformed says why in words that hold nothing of the callback.
func malformed(why string) error {
	return fmt.Errorf("%w: %s", connector.ErrMalformed, why)
}

// fields is a decoded form: each name's values in order.
type fields map[string][]string

func (f fields) get(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// parseForm decodes a form strictly: what it passes over would be a way to
// change a callback without changing its signature.
func parseForm(body []byte) (fields, error) {
	if len(body) > maxCallback {
		return nil, malformed("it is too long")
	}
	form := fields{}
	rest := string(body)
	for n := 0; rest != ""; n++ {
		if n == maxFields {
			return nil, malformed("it has too many fields")
		}
		var field string
		field, rest, _ = strings.Cut(rest, "&")
		// Some parsers split at semicolons as well.
		if field == "" || strings.Contains(field, ";") {
			return nil, malformed("its form cannot be decoded")
		}
		rawName, rawValue, _ := strings.Cut(field, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, malformed("its form cannot be decoded")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, malformed("its form cannot be decoded")
		}
		form[name] = append(form[name], value)
	}
	return form, nil
}
