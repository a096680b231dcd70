package twiliosim

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// What Reply refuses.
var (
	errReplyFrom   = errors.New("twiliosim: from is no phone number in E.164")
	errReplyTo     = errors.New("twiliosim: to is no number of the account's")
	errReplyBody   = errors.New("twiliosim: a reply has 1 to 1,600 characters")
	errReplyOptOut = errors.New("twiliosim: too many people have opted out; Reset forgets them")
	errClosed      = errors.New("twiliosim: the simulator is closed")
)

// Reply is a text from a person to one of the account's numbers. It is kept as
// a message of direction inbound, which the lists show. If the number is in a
// service that has an inbound request URL, the text is handed on there: as a
// POST, or a GET where the service says so, signed, and retried as a status
// callback is. What that URL answers is not read.
//
// A body that is nothing but one of Twilio's default keywords counts: after
// STOP, a create to that person from that service, or from that number if it is
// in none, is refused with 21610, until START. The webhook then says OptOutType,
// as from a service with Advanced Opt-Out.
func (s *Server) Reply(from, to, body string) (Message, error) {
	n := utf16Len(body)
	switch {
	case s.ctx.Err() != nil:
		return Message{}, errClosed
	case !isE164(from) || from == to:
		return Message{}, errReplyFrom
	case n < 1 || n > maxBodyUnits:
		return Message{}, errReplyBody
	}
	kind := keyword(body)
	service, at, err := s.reg.receive(from, to, kind, s.o.MaxMessages)
	if err != nil {
		return Message{}, err
	}
	now := time.Now()
	m := &message{
		sid: s.ids.sid("SM"), account: s.o.AccountSID, service: service, to: to, from: from, body: body,
		inbound: true, segments: segments(body), created: now.UnixNano(), sent: now.UnixNano(), entry: -1, target: at,
	}
	m.enter(statusReceived, now)
	b := s.box
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(m)
	if m.target != nil {
		s.calls.push(m, call{m: m, status: m.status, token: s.ids.uuid(), inbound: m.webhook(kind)})
	}
	s.hub.publishMessage(m)
	return m.public(), nil
}

// webhook is what the inbound request URL is told. Twilio adds what it knows of
// the two numbers' places, which is nothing here.
func (m *message) webhook(optOutType string) [][2]string {
	p := [][2]string{
		{"SmsMessageSid", m.sid}, {"NumMedia", itoa(m.media)}, {"SmsSid", m.sid}, {"SmsStatus", m.status}, {"Body", m.body},
		{"To", m.to}, {"NumSegments", itoa(m.segments)}, {"MessageSid", m.sid}, {"AccountSid", m.account},
		{"From", m.from}, {"ApiVersion", apiVersion},
	}
	if m.service != "" {
		p = append(p, [2]string{"MessagingServiceSid", m.service})
	}
	if optOutType != "" {
		p = append(p, [2]string{"OptOutType", optOutType})
	}
	return p
}

// The OptOutTypes.
const (
	optOutStop  = "STOP"
	optOutStart = "START"
	optOutHelp  = "HELP"
)

// keyword is the OptOutType of a body, or "". See
// https://help.twilio.com/articles/223134027 for Twilio's default keywords.
func keyword(body string) string {
	switch strings.ToLower(strings.TrimSpace(body)) {
	case "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout":
		return optOutStop
	case "start", "yes", "unstop":
		return optOutStart
	case "help", "info":
		return optOutHelp
	}
	return ""
}

// optOut is a person who wants no texts from a sender: a service, or a number
// that is in none.
type optOut struct{ sender, person string }

// receive notes what a text of this kind means, and tells where it goes: the
// service that the number is in, and its inbound request URL.
func (g *registry) receive(from, to, kind string, limit int) (service string, at *target, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.numberBy(to)
	if n == nil || n.phone != to {
		return "", nil, errReplyTo
	}
	key := optOut{g.senderOf("", to), from}
	switch kind {
	case optOutStop:
		if _, known := g.optOuts[key]; !known && len(g.optOuts) >= limit {
			return "", nil, errReplyOptOut
		}
		g.optOuts[key] = struct{}{}
	case optOutStart:
		delete(g.optOuts, key)
	}
	// Where the number's own webhook is to be used there is none: numbers have
	// no webhooks here.
	if v := g.service(n.service); v != nil && !v.inboundOnNumber {
		if at = parseTarget(v.inboundURL); at != nil {
			at.get = v.inboundMethod == http.MethodGet
		}
	}
	return n.service, at, nil
}

// senderOf is whom a person has opted out of who answers texts of the service,
// or else of the number. The caller holds g.mu.
func (g *registry) senderOf(service, from string) string {
	if service != "" {
		return service
	}
	if n := g.numberBy(from); n != nil && n.service != "" {
		return n.service
	}
	return from
}

// optedOut reports whether a create would reach somebody who said STOP.
func (g *registry) optedOut(service, from, to string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, out := g.optOuts[optOut{g.senderOf(service, from), to}]
	return out
}

// simInbound answers POST /sim/inbound.
func (s *Server) simInbound(w http.ResponseWriter, r *http.Request) {
	var in struct {
		From string `json:"from"`
		To   string `json:"to"`
		Body string `json:"body"`
	}
	if err := readJSON(w, r, &in); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	m, err := s.Reply(in.From, in.To, in.Body)
	if err != nil {
		controlError(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), "twiliosim: "))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, http.StatusCreated, m)
}
