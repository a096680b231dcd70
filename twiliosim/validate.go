package twiliosim

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxBodyUnits      = 1600 // UTF-16 units, 21617
	maxCallbackLength = 4000 // 21609
	maxValidity       = 36000
	maxMedia          = 10
	minSchedule       = 15 * time.Minute
	maxSchedule       = 35 * 24 * time.Hour
)

// magicTo and magicFrom are the numbers of Twilio's test credentials. They
// answer their error in every account here, so that each can be provoked
// without a fault. Nothing writes to these tables.
var (
	magicTo = map[string]int{
		"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408,
		"+15005550004": 21610, "+15005550009": 21614,
	}
	magicFrom = map[string]int{
		"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611,
	}
)

// magicSender is the From that passes all validation.
const magicSender = "+15005550006"

// isE164 reports whether s is + and a plausible international number. It knows
// the length of North American numbers and no other numbering plan.
func isE164(s string) bool {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	if !allDigits(s[1:]) {
		return false
	}
	return s[1] != '1' || len(s) == 12 && s[2] >= '2'
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isShortCode(s string) bool { return len(s) >= 3 && len(s) <= 8 && allDigits(s) }

// isAlphaSender: up to 11 letters, digits, spaces and a few signs, with at
// least one letter.
func isAlphaSender(s string) bool {
	letter := false
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letter = true
		case c >= '0' && c <= '9', c == ' ', c == '-', c == '_', c == '+', c == '&':
		default:
			return false
		}
	}
	return letter && len(s) <= 11
}

// channelOf splits whatsapp:+1… into the channel and the address.
func channelOf(address string) (channel, rest string) {
	for _, c := range []string{"whatsapp", "rcs", "messenger"} {
		if rest, ok := strings.CutPrefix(address, c+":"); ok {
			return c, rest
		}
	}
	return "", address
}

// validate turns a posted form into a message, or into Twilio's error. It
// checks in this order: what is missing, the recipient, the sender, the text,
// the rest.
func (s *Server) validate(p params, acct *account, now time.Time) (*message, *apiError) {
	service, from, to := p.get("MessagingServiceSid"), p.get("From"), p.get("To")
	if acct.test {
		service = "" // test credentials know no services
	}
	switch {
	case to == "":
		return nil, refuse(21604)
	case service == "" && from == "":
		return nil, refuse(21603)
	case p.get("Body") == "" && !p.has("MediaUrl") && p.get("ContentSid") == "":
		if p.has("ContentVariables") {
			return nil, refuse(21654)
		}
		return nil, refuse(21602)
	}
	m := &message{account: acct.sid, service: service, to: to, from: from, body: p.get("Body"), created: now.UnixNano()}
	for _, check := range []func(params, *account, *message) *apiError{
		s.checkTo, s.checkSender, s.checkOptOut, s.checkContent, s.checkCallback, s.checkSettings, s.checkSchedule,
	} {
		if e := check(p, acct, m); e != nil {
			return nil, e
		}
	}
	if acct.trial {
		m.body = trialPrefix + m.body
	}
	m.segments = segments(m.body)
	return m, nil
}

// maxAddress bounds To, which is kept: a channel's addresses have no length of
// their own.
const maxAddress = 256

func (s *Server) checkTo(_ params, acct *account, m *message) *apiError {
	channel, number := channelOf(m.to)
	switch {
	case len(m.to) > maxAddress:
		return refuse(21211, m.to[:maxAddress])
	case isShortCode(m.to):
		return refuse(21265, m.to)
	case channel == "messenger":
		if number == "" {
			return refuse(21211, m.to)
		}
		return nil
	case !isE164(number):
		return refuse(21211, m.to)
	case channel != "":
		return nil
	}
	if code := magicTo[m.to]; code != 0 {
		if code == 21612 {
			return refuse(code, m.to, m.from)
		}
		return refuseNumber(code, m.to)
	}
	if acct.trial && !s.reg.verified(m.to) {
		return refuse(21608, m.to)
	}
	return nil
}

// refuseNumber names the number where the code's words have room for it.
func refuseNumber(code int, number string) *apiError {
	if strings.Contains(codeTexts[code].text, "%s") {
		return refuse(code, number)
	}
	return refuse(code)
}

func (s *Server) checkSender(_ params, acct *account, m *message) *apiError {
	if m.service != "" {
		if e := s.checkService(m); e != nil {
			return e
		}
		if m.from == "" {
			return nil
		}
	}
	toChannel, _ := channelOf(m.to)
	channel, number := channelOf(m.from)
	switch {
	case channel != toChannel:
		return refuse(21910)
	case channel == "whatsapp" && number == sandboxNumber:
		return nil
	case channel != "":
		return refuse(63007)
	case magicFrom[m.from] != 0:
		return refuse(magicFrom[m.from], m.from)
	case acct.test && m.from != magicSender:
		return refuse(21606, m.from)
	case m.from == m.to:
		return refuse(21266, m.from)
	case m.service != "":
		if !s.reg.inPool(m.service, m.from) {
			return refuse(21711)
		}
		return nil
	}
	return s.checkFrom(acct, m)
}

// checkOptOut refuses who has texted STOP to this sender; see Server.Reply.
func (s *Server) checkOptOut(_ params, acct *account, m *message) *apiError {
	if !acct.test && s.reg.optedOut(m.service, m.from, m.to) {
		return refuse(21610)
	}
	return nil
}

// sandboxNumber is the shared sender of Twilio's WhatsApp sandbox.
const sandboxNumber = "+14155238886"

func (s *Server) checkService(m *message) *apiError {
	if !isSID(m.service, "MG") {
		return refuse(21705, m.service)
	}
	callback, smart, size, ok := s.reg.sendingThrough(m.service)
	if !ok {
		return refuse(21701)
	}
	if size == 0 && s.o.RefuseEmptyPool {
		return refuse(21704)
	}
	m.callback = callback
	if smart {
		m.body = smartEncode(m.body)
	}
	return nil
}

// checkFrom judges a sender that no service vouches for.
func (s *Server) checkFrom(acct *account, m *message) *apiError {
	switch {
	case m.from == magicSender:
		return nil
	case isE164(m.from):
		owned, sms := s.reg.owns(m.from)
		if !owned {
			return refuse(21659, m.from)
		}
		if !sms {
			return refuse(21606, m.from)
		}
	case isShortCode(m.from):
		return refuse(21659, m.from)
	case isAlphaSender(m.from):
		if acct.trial {
			return refuse(21267, m.from)
		}
		// Alphanumeric senders do not work in the US and Canada.
		if strings.HasPrefix(m.to, "+1") {
			return refuse(21612, m.to, m.from)
		}
	default:
		return refuse(21212, m.from)
	}
	return nil
}

func (s *Server) checkContent(p params, _ *account, m *message) *apiError {
	if utf16Len(p.get("Body")) > maxBodyUnits {
		return refuse(21617)
	}
	smart, e := p.flag("SmartEncoded", false)
	if e != nil {
		return e
	}
	if smart {
		m.body = smartEncode(m.body)
	}
	m.media = len(p["MediaUrl"])
	if m.media > maxMedia {
		return refuse(21623)
	}
	for _, u := range p["MediaUrl"] {
		if !isWebURL(u) {
			return refuse(21620)
		}
	}
	content := p.get("ContentSid")
	if content != "" && !isSID(content, "HX") {
		return refuse(21655)
	}
	if v := p.get("ContentVariables"); v != "" {
		var vars map[string]any
		if content == "" {
			return refuse(21654)
		}
		if json.Unmarshal([]byte(v), &vars) != nil {
			return refuse(21656)
		}
	}
	return nil
}

// isWebURL: absolute, http or https, and a host without underscores.
func isWebURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") &&
		u.Hostname() != "" && !strings.Contains(u.Host, "_")
}

func (s *Server) checkCallback(p params, _ *account, m *message) *apiError {
	if raw := p.get("StatusCallback"); raw != "" {
		if len(raw) > maxCallbackLength || !isWebURL(raw) {
			return refuse(21609, raw)
		}
		m.callback = raw
	}
	if app := p.get("ApplicationSid"); app != "" && !isSID(app, "AP") {
		return refuse(20422, "ApplicationSid")
	}
	return nil
}

func (s *Server) checkSettings(p params, _ *account, m *message) *apiError {
	m.validity = maxValidity * time.Second
	if v := p.get("ValidityPeriod"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxValidity {
			return refuse(21624, v)
		}
		m.validity = time.Duration(n) * time.Second
	}
	if v := p.get("Attempt"); v != "" {
		if n, err := strconv.Atoi(v); err != nil || n < 1 {
			return refuse(20422, "Attempt")
		}
	}
	if v := p.get("MaxPrice"); v != "" { // obsolete and without effect, yet a number
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return refuse(20422, "MaxPrice")
		}
	}
	var e *apiError
	if m.wantsFeedback, e = p.flag("ProvideFeedback", false); e != nil {
		return e
	}
	for _, name := range []string{"ForceDelivery", "ShortenUrls", "SendAsMms"} {
		if _, e := p.flag(name, false); e != nil {
			return e
		}
	}
	for _, enum := range [][]string{
		{"RiskCheck", "enable", "disable"},
		{"ContentRetention", "retain", "discard"},
		{"AddressRetention", "retain", "obfuscate"},
		{"TrafficType", "free"},
	} {
		if e := p.among(enum[0], enum[1:]...); e != nil {
			return e
		}
	}
	return nil
}

// checkSchedule reads ScheduleType and SendAt. Without a service Twilio drops
// them and sends at once.
func (s *Server) checkSchedule(p params, _ *account, m *message) *apiError {
	if m.service == "" || !p.has("ScheduleType") && !p.has("SendAt") {
		return nil
	}
	at, err := time.Parse(time.RFC3339, p.get("SendAt"))
	created := unixTime(m.created)
	if p.get("ScheduleType") != "fixed" || err != nil ||
		at.Before(created.Add(minSchedule)) || at.After(created.Add(maxSchedule)) {
		return refuse(35114)
	}
	m.sendAt = at
	return nil
}
