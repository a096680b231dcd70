package twiliosim

import (
	"net/http"
	"time"
)

// maxPool is how many numbers a service may hold (21714).
const maxPool = 400

// serviceNumberJSON is a number as a member of a service's pool.
type serviceNumberJSON struct {
	SID          string   `json:"sid"`
	AccountSID   string   `json:"account_sid"`
	ServiceSID   string   `json:"service_sid"`
	DateCreated  string   `json:"date_created"`
	DateUpdated  string   `json:"date_updated"`
	PhoneNumber  string   `json:"phone_number"`
	CountryCode  *string  `json:"country_code"`
	Capabilities []string `json:"capabilities"`
	URL          string   `json:"url"`
}

func (n *number) member(x *exchange) serviceNumberJSON {
	j := serviceNumberJSON{
		SID: n.sid, AccountSID: x.who.acct.sid, ServiceSID: n.service, PhoneNumber: n.phone,
		DateCreated: iso8601(n.joined), DateUpdated: iso8601(n.joined), CountryCode: orNull(n.country),
		Capabilities: []string{}, URL: x.absolute(v1 + "Services/" + n.service + "/PhoneNumbers/" + n.sid),
	}
	for _, c := range []struct {
		name string
		has  bool
	}{{"Voice", n.voice}, {"SMS", n.sms}, {"MMS", n.mms}} {
		if c.has {
			j.Capabilities = append(j.Capabilities, c.name)
		}
	}
	return j
}

// addServiceNumber answers POST Services/{sid}/PhoneNumbers. A number lives in
// one service: the same again is 21710, another one 21712.
func (s *Server) addServiceNumber(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	g := s.reg
	g.mu.Lock()
	defer g.mu.Unlock()
	v, sid := g.service(x.path[1]), p.get("PhoneNumberSid")
	var n *number
	if isSID(sid, "PN") {
		n = g.numberBy(sid)
	}
	switch {
	case v == nil:
		return 0, nil, x.missing()
	case sid == "":
		return 0, nil, refuse(20001, "PhoneNumberSid")
	case n == nil:
		return 0, nil, refuse(20404, "/PhoneNumbers/"+sid)
	case n.service == v.sid:
		return 0, nil, refuse(21710)
	case n.service != "":
		return 0, nil, refuse(21712)
	case !n.sms:
		return 0, nil, refuse(21715)
	case len(g.pool(v.sid)) >= maxPool:
		return 0, nil, refuse(21714)
	}
	n.service, n.joined = v.sid, time.Now()
	return http.StatusCreated, n.member(x), nil
}

// listServiceNumbers answers GET Services/{sid}/PhoneNumbers.
func (s *Server) listServiceNumbers(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.service(x.path[1]) == nil {
		return 0, nil, x.missing()
	}
	var all []serviceNumberJSON
	for _, n := range g.pool(x.path[1]) {
		all = append(all, n.member(x))
	}
	return listOf(x, "phone_numbers", all)
}

// memberOf finds the number of a path Services/{sid}/PhoneNumbers/{PN}. The
// caller holds g.mu.
func (g *registry) memberOf(x *exchange) *number {
	n := g.numberBy(x.path[3])
	if n == nil || n.sid != x.path[3] || n.service != x.path[1] {
		return nil
	}
	return n
}

// getServiceNumber answers GET Services/{sid}/PhoneNumbers/{PN}.
func (s *Server) getServiceNumber(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := g.memberOf(x)
	if n == nil {
		return 0, nil, x.missing()
	}
	return http.StatusOK, n.member(x), nil
}

// removeServiceNumber answers DELETE Services/{sid}/PhoneNumbers/{PN}.
func (s *Server) removeServiceNumber(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.memberOf(x)
	if n == nil {
		return 0, nil, x.missing()
	}
	n.service = ""
	return http.StatusNoContent, nil, nil
}

// listNone answers GET for the kinds of senders that a service here never has.
func (s *Server) listNone(key string) handler {
	return func(x *exchange) (int, any, *apiError) {
		s.reg.mu.RLock()
		defer s.reg.mu.RUnlock()
		if s.reg.service(x.path[1]) == nil {
			return 0, nil, x.missing()
		}
		return listOf[any](x, key, nil)
	}
}
