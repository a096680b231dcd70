package verify

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// scanner reads JSON as Record writes it. Whatever else it meets, an escape, a
// blank, a null, a member that it does not know, makes it give up, and
// encoding/json reads the record: nothing that is kept depends on the scanner
// (FuzzScan). Strings are parts of the record's, which is copied once.
type scanner struct {
	in    string
	at    int
	first bool // nothing has been read of the object or array yet
	bad   bool
}

// done reports whether all was read, and understood.
func (s *scanner) done() bool { return !s.bad && s.at == len(s.in) }

func (s *scanner) byte(c byte) {
	if s.at >= len(s.in) || s.in[s.at] != c {
		s.bad, s.at = true, len(s.in)
		return
	}
	s.at++
}

func (s *scanner) open(c byte) {
	s.byte(c)
	s.first = true
}

// more reports whether there is another member or element, and reads what is
// before it, or behind the last.
func (s *scanner) more(end byte) bool {
	if s.bad || s.at >= len(s.in) {
		s.bad = true
		return false
	}
	if s.in[s.at] == end {
		s.at, s.first = s.at+1, false
		return false
	}
	if !s.first {
		s.byte(',')
	}
	s.first = false
	return !s.bad
}

func (s *scanner) name() string {
	name := s.text()
	s.byte(':')
	return name
}

// text reads a string of plain ASCII.
func (s *scanner) text() string {
	s.byte('"')
	for i := s.at; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			value := s.in[s.at:i]
			s.at = i + 1
			return value
		case c < ' ', c >= 0x7f, c == '\\':
			s.bad = true
			return ""
		}
	}
	s.bad = true
	return ""
}

func (s *scanner) number() int {
	from := s.at
	for s.at < len(s.in) && (s.in[s.at] >= '0' && s.in[s.at] <= '9' || s.at == from && s.in[s.at] == '-') {
		s.at++
	}
	digits := s.in[from:s.at]
	value, err := strconv.Atoi(digits)
	digits = strings.TrimPrefix(digits, "-")
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		s.bad = true
	}
	return value
}

// yes reads true, which stands where false is left out.
func (s *scanner) yes() bool {
	const word = "true"
	if !strings.HasPrefix(s.in[s.at:], word) {
		s.bad = true
		return false
	}
	s.at += len(word)
	return true
}

func (s *scanner) bytes(to []byte) {
	if err := unmarshalBytes(to, []byte(s.text())); err != nil {
		s.bad = true
	}
}

// time reads a time in UTC.
func (s *scanner) time() time.Time {
	text := s.text()
	const seconds = len("2006-01-02T15:04:05")
	if len(text) <= seconds || text[len(text)-1] != 'Z' || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' {
		s.bad = true
		return time.Time{}
	}
	year, month, day := s.digits(text[:4]), s.digits(text[5:7]), s.digits(text[8:10])
	hour, minute, second := s.digits(text[11:13]), s.digits(text[14:16]), s.digits(text[17:seconds])
	nanos, fraction := 0, text[seconds:len(text)-1]
	if fraction != "" {
		const places = 9
		if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 1+places {
			s.bad = true
			return time.Time{}
		}
		nanos = s.digits(fraction[1:])
		for range places - (len(fraction) - 1) {
			nanos *= 10
		}
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if at.Day() != day || at.Month() != time.Month(month) || hour > 23 || minute > 59 || second > 59 {
		s.bad = true // no such day or time
	}
	return at
}

func (s *scanner) digits(text string) (n int) {
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			s.bad = true
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func (s *scanner) verification(v *Verification) {
	s.open('{')
	for s.more('}') {
		switch name := s.name(); name {
		case "app":
			v.App = s.text()
		case "subject":
			s.bytes(v.Subject[:])
		case "usage":
			v.Usage = sms.UsageType(s.text())
		case "locale":
			v.Locale = s.text()
		case "channel":
			v.Channel = Channel(s.text())
		case "status":
			v.Status = Status(s.text())
		case "network":
			s.bytes(v.Network[:])
		case "salt":
			s.bytes(v.Salt[:])
		case "key":
			v.KeyID = s.text()
		case "gen":
			v.Generation = s.number()
		case "len":
			v.CodeLength = s.number()
		case "checks":
			v.Checks = s.number()
		case "max_checks":
			v.MaxChecks = s.number()
		case "max_sends":
			v.MaxSends = s.number()
		case "created":
			v.CreatedAt = s.time()
		case "expires":
			v.ExpiresAt = s.time()
		case "resend_after":
			v.ResendAfter = s.time()
		case "ended":
			v.EndedAt = s.time()
		case "sends":
			v.Sends = s.sends(v.Sends)
		default:
			s.option(v, name)
		}
	}
}

// option reads the value of a member that most verifications are without.
func (s *scanner) option(v *Verification, name string) {
	switch name {
	case "reason":
		v.Reason = Reason(s.text())
	case "test":
		v.Test = s.yes()
	case "domain":
		v.Domain = s.text()
	case "session":
		s.bytes(v.Session[:])
	case "metadata":
		v.Metadata = s.metadata(v.Metadata)
	case "service":
		v.Service = s.text()
	case "name":
		v.Name = s.text()
	case "app_hash":
		v.AppHash = s.text()
	case "code_mac":
		s.bytes(v.CodeMAC[:])
	case "supplied":
		v.Supplied = s.yes()
	case "sealed":
		v.Sealed = s.sealed()
	default:
		s.bad = true
	}
}

func (s *scanner) sealed() []byte {
	data, err := base64.StdEncoding.DecodeString(s.text())
	if err != nil {
		s.bad = true
	}
	return data
}

func (s *scanner) metadata(had map[string]string) map[string]string {
	s.bad = s.bad || had != nil // twice
	all := map[string]string{}
	s.open('{')
	for s.more('}') {
		k := s.name()
		all[k] = s.text()
	}
	return all
}

func (s *scanner) sends(had []Send) []Send {
	s.bad = s.bad || had != nil // twice
	all := make([]Send, 0, 1)
	s.open('[')
	for s.more(']') {
		all = append(all, Send{})
		s.send(&all[len(all)-1])
	}
	return all
}

func (s *scanner) send(v *Send) {
	s.open('{')
	for s.more('}') {
		switch s.name() {
		case "id":
			v.ID = s.text()
		case "channel":
			v.Channel = Channel(s.text())
		case "connector":
			v.Connector = s.text()
		case "status":
			v.Status = connector.Status(s.text())
		case "guess":
			v.Guess = s.yes()
		case "provider_id":
			v.ProviderID = s.text()
		case "gen":
			v.Generation = s.number()
		case "segments":
			v.Segments = s.number()
		case "created":
			v.CreatedAt = s.time()
		case "updated":
			v.UpdatedAt = s.time()
		case "lease":
			v.LeaseUntil = s.time()
		case "epoch":
			v.Epoch = s.number()
		case "next":
			v.NextAt = s.time()
		case "tries":
			v.Tries = s.number()
		case "posted":
			v.PostedAt = s.time()
		case "looked":
			v.LookedAt = s.time()
		case "feedback":
			v.Feedback = Feedback(s.text())
		default: // errors and histories are rare
			s.bad = true
		}
	}
}

func (s *scanner) subject(v *Subject) {
	s.open('{')
	for s.more('}') {
		switch s.name() {
		case "failures":
			v.Failures = s.number()
		case "failed":
			v.FailedAt = s.time()
		case "blocked":
			v.BlockedUntil = s.time()
		case "pending":
			v.Pending = s.pending(v.Pending)
		default: // holds and what was taken are rare
			s.bad = true
		}
	}
}

func (s *scanner) pending(had []Pending) []Pending {
	s.bad = s.bad || had != nil // twice
	all := make([]Pending, 0, 1)
	s.open('[')
	for s.more(']') {
		all = append(all, Pending{})
		p := &all[len(all)-1]
		s.open('{')
		for s.more('}') {
			switch s.name() {
			case "id":
				p.ID = s.text()
			case "session":
				s.bytes(p.Session[:])
			case "expires":
				p.ExpiresAt = s.time()
			default:
				s.bad = true
			}
		}
	}
	return all
}
