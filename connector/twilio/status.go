package twilio

import "github.com/sixdigit/sixdigit/connector"

// statusOf maps Twilio's words onto ours. ok is false for words that are not
// about an outbound text (receiving, received), that Twilio has given up
// (partially_delivered), or that are new.
func statusOf(word string) (s connector.Status, ok bool) {
	switch word {
	case "accepted", "scheduled", "queued", "sending":
		return connector.StatusAccepted, true
	case "sent":
		return connector.StatusSent, true
	case "delivered", "read": // read is of channels: WhatsApp and RCS
		return connector.StatusDelivered, true
	case "undelivered":
		return connector.StatusUndelivered, true
	case "failed", "canceled":
		return connector.StatusFailed, true
	}
	return "", false
}

// failed reports whether a text with this status did not arrive, so that it
// has an Err. Other statuses have none: a code beside them is a warning.
func failed(s connector.Status) bool {
	return s == connector.StatusUndelivered || s == connector.StatusFailed
}

// isSID reports whether s is an identifier of Twilio's: the prefix and 32
// hexadecimal digits. SIDs go into paths, so nothing else may pass.
func isSID[T string | []byte](s T, prefix string) bool {
	const digits = 32
	if len(s) != len(prefix)+digits || string(s[:len(prefix)]) != prefix {
		return false
	}
	for i := len(prefix); i < len(s); i++ {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isMessageSID allows both kinds: a text with a picture, or one that became
// long, is an MM.
func isMessageSID[T string | []byte](s T) bool { return isSID(s, "SM") || isSID(s, "MM") }
