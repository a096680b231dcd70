package verify

import "github.com/sixdigit/sixdigit/connector"

// word is what is said of a send: a status, and whether it is our own guess
// rather than what the provider told us.
type word struct {
	status connector.Status
	guess  bool
}

// merge returns what holds when next is heard after w, and whether that is
// next. News come late, twice and out of order:
//
//   - delivered beats everything: the phone has it;
//   - the provider's word beats a final guess of ours, whichever came first;
//   - another final status stays;
//   - else rank only rises.
func (w word) merge(next word) (word, bool) {
	if w.status == connector.StatusDelivered {
		return w, false
	}
	wins := rank(next.status) > rank(w.status)
	switch {
	case next.status == connector.StatusDelivered:
		wins = true
	case w.status.Final() && w.guess:
		wins = !next.guess && rank(next.status) >= rank(connector.StatusAccepted)
	case w.status.Final():
		wins = false
	case next.guess:
		wins = wins && rank(w.status) < rank(connector.StatusAccepted)
	}
	if !wins {
		return w, false
	}
	return next, true
}

func (s *Send) word() word { return word{s.Status, s.Guess} }

// rank is how far a text has come.
func rank(s connector.Status) int {
	switch s {
	case connector.StatusSending:
		return 1
	case connector.StatusUnknown:
		return 2
	case connector.StatusAccepted:
		return 3
	case connector.StatusSent:
		return 4
	case connector.StatusDelivered, connector.StatusUndelivered, connector.StatusFailed, connector.StatusRejected:
		return 5
	default:
		return 0 // no status that we know: it says nothing
	}
}

// mayArrive reports whether a phone may get or have got the text.
func (s *Send) mayArrive() bool {
	return !s.Status.Final() || s.Status == connector.StatusDelivered
}

// refusedBy reports whether a connector has refused a text of v.
func (v *Verification) refusedBy(name string) bool {
	for i := range v.Sends {
		if s := &v.Sends[i]; s.Connector == name && s.Status == connector.StatusRejected {
			return true
		}
	}
	return false
}

// codeOut reports whether a text with the present code may have gone out.
func (v *Verification) codeOut() bool {
	for i := range v.Sends {
		if s := &v.Sends[i]; s.Generation == v.Generation && s.charged() {
			return true
		}
	}
	return false
}

// charged reports whether the send counts: one that the provider never took
// costs nobody anything.
func (s *Send) charged() bool {
	return s.Status != connector.StatusRejected && (s.Status != connector.StatusFailed || !s.Guess)
}

// mayArrive reports whether a text with the present code may reach the phone.
func (v *Verification) mayArrive() bool {
	for i := range v.Sends {
		if s := &v.Sends[i]; s.Generation == v.Generation && s.mayArrive() {
			return true
		}
	}
	return false
}
