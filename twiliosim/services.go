package twiliosim

import (
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxFriendlyName bounds a service's name, in characters.
const maxFriendlyName = 64

// service is a Messaging Service.
type service struct {
	sid, name        string
	created, updated time.Time
	usecase          string

	inboundURL, inboundMethod   string
	fallbackURL, fallbackMethod string
	statusCallback              string
	scan                        string
	validity                    int
	stickySender, mmsConverter  bool
	smartEncoding               bool
	fallbackToLongCode          bool
	areaCodeGeomatch            bool
	synchronousValidation       bool
	inboundOnNumber             bool
}

// newService has Twilio's defaults, except that Smart Encoding is off until it
// is asked for: here a text arrives as it was posted.
func newService(sid, name string, now time.Time) *service {
	return &service{
		sid: sid, name: name, created: now, updated: now, usecase: "undeclared",
		inboundMethod: "POST", fallbackMethod: "POST", scan: "inherit", validity: maxValidity,
		stickySender: true, mmsConverter: true, fallbackToLongCode: true, areaCodeGeomatch: true,
	}
}

// serviceJSON is the Service resource of messaging v1.
type serviceJSON struct {
	SID                       string            `json:"sid"`
	AccountSID                string            `json:"account_sid"`
	FriendlyName              string            `json:"friendly_name"`
	DateCreated               string            `json:"date_created"`
	DateUpdated               string            `json:"date_updated"`
	InboundRequestURL         *string           `json:"inbound_request_url"`
	InboundMethod             string            `json:"inbound_method"`
	FallbackURL               *string           `json:"fallback_url"`
	FallbackMethod            string            `json:"fallback_method"`
	StatusCallback            *string           `json:"status_callback"`
	StickySender              bool              `json:"sticky_sender"`
	SmartEncoding             bool              `json:"smart_encoding"`
	MMSConverter              bool              `json:"mms_converter"`
	FallbackToLongCode        bool              `json:"fallback_to_long_code"`
	ScanMessageContent        string            `json:"scan_message_content"`
	AreaCodeGeomatch          bool              `json:"area_code_geomatch"`
	SynchronousValidation     bool              `json:"synchronous_validation"`
	ValidityPeriod            int               `json:"validity_period"`
	Usecase                   string            `json:"usecase"`
	UsAppToPersonRegistered   bool              `json:"us_app_to_person_registered"`
	UseInboundWebhookOnNumber bool              `json:"use_inbound_webhook_on_number"`
	URL                       string            `json:"url"`
	Links                     map[string]string `json:"links"`
}

func (v *service) resource(x *exchange) serviceJSON {
	url := x.absolute(v1 + "Services/" + v.sid)
	return serviceJSON{
		SID: v.sid, AccountSID: x.who.acct.sid, FriendlyName: v.name,
		DateCreated: iso8601(v.created), DateUpdated: iso8601(v.updated),
		InboundRequestURL: orNull(v.inboundURL), InboundMethod: v.inboundMethod,
		FallbackURL: orNull(v.fallbackURL), FallbackMethod: v.fallbackMethod,
		StatusCallback: orNull(v.statusCallback), StickySender: v.stickySender,
		SmartEncoding: v.smartEncoding, MMSConverter: v.mmsConverter,
		FallbackToLongCode: v.fallbackToLongCode, ScanMessageContent: v.scan,
		AreaCodeGeomatch: v.areaCodeGeomatch, SynchronousValidation: v.synchronousValidation,
		ValidityPeriod: v.validity, Usecase: v.usecase, UseInboundWebhookOnNumber: v.inboundOnNumber,
		URL: url, Links: map[string]string{
			"phone_numbers": url + "/PhoneNumbers", "short_codes": url + "/ShortCodes", "alpha_senders": url + "/AlphaSenders",
		},
	}
}

// apply reads the posted parameters into a copy, so that a bad one changes
// nothing.
func (v service) apply(p params) (*service, *apiError) {
	if p.has("FriendlyName") {
		v.name = p.get("FriendlyName")
	}
	if v.name == "" {
		return nil, refuse(20001, "FriendlyName")
	}
	if utf8.RuneCountInString(v.name) > maxFriendlyName {
		return nil, refuse(20422, "FriendlyName")
	}
	if p.has("Usecase") {
		v.usecase = p.get("Usecase")
		if !slices.ContainsFunc(usecases, func(u usecaseJSON) bool { return u.Usecase == v.usecase }) {
			return nil, refuse(21713, v.usecase)
		}
	}
	for name, at := range v.urls() {
		if !p.has(name) {
			continue
		}
		if *at = p.get(name); *at != "" && (len(*at) > maxCallbackLength || !isWebURL(*at)) {
			return nil, refuse(20422, name)
		}
	}
	for name, at := range map[string]*string{"InboundMethod": &v.inboundMethod, "FallbackMethod": &v.fallbackMethod} {
		if e := p.among(name, "GET", "POST"); e != nil {
			return nil, e
		}
		if p.get(name) != "" {
			*at = p.get(name)
		}
	}
	for name, at := range v.flags() {
		var e *apiError
		if *at, e = p.flag(name, *at); e != nil {
			return nil, e
		}
	}
	if e := p.among("ScanMessageContent", "inherit", "enable", "disable"); e != nil {
		return nil, e
	}
	if scan := p.get("ScanMessageContent"); scan != "" {
		v.scan = scan
	}
	if raw := p.get("ValidityPeriod"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || n > maxValidity {
			return nil, refuse(21624, raw)
		}
		v.validity = n
	}
	return &v, nil
}

func (v *service) urls() map[string]*string {
	return map[string]*string{
		"InboundRequestUrl": &v.inboundURL, "FallbackUrl": &v.fallbackURL, "StatusCallback": &v.statusCallback,
	}
}

func (v *service) flags() map[string]*bool {
	return map[string]*bool{
		"StickySender": &v.stickySender, "MmsConverter": &v.mmsConverter, "SmartEncoding": &v.smartEncoding,
		"FallbackToLongCode": &v.fallbackToLongCode, "AreaCodeGeomatch": &v.areaCodeGeomatch,
		"SynchronousValidation": &v.synchronousValidation, "UseInboundWebhookOnNumber": &v.inboundOnNumber,
	}
}

// createService answers POST Services.
func (s *Server) createService(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	v, e := newService(s.ids.sid("MG"), "", time.Now()).apply(p)
	if e != nil {
		return 0, nil, e
	}
	s.reg.mu.Lock()
	defer s.reg.mu.Unlock()
	if e := full(len(s.reg.services)); e != nil {
		return 0, nil, e
	}
	s.reg.services = append(s.reg.services, v)
	return http.StatusCreated, v.resource(x), nil
}

// updateService answers POST Services/{sid}.
func (s *Server) updateService(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	g := s.reg
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.service(x.path[1])
	if v == nil {
		return 0, nil, x.missing()
	}
	changed, e := v.apply(p)
	if e != nil {
		return 0, nil, e
	}
	changed.updated = time.Now()
	*v = *changed
	return http.StatusOK, v.resource(x), nil
}

// getService answers GET Services/{sid}.
func (s *Server) getService(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.RLock()
	defer g.mu.RUnlock()
	v := g.service(x.path[1])
	if v == nil {
		return 0, nil, x.missing()
	}
	return http.StatusOK, v.resource(x), nil
}

// deleteService answers DELETE Services/{sid}; its numbers stay the account's.
func (s *Server) deleteService(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.service(x.path[1])
	if v == nil {
		return 0, nil, x.missing()
	}
	g.services = slices.DeleteFunc(g.services, func(o *service) bool { return o == v })
	for _, n := range g.pool(v.sid) {
		n.service = ""
	}
	return http.StatusNoContent, nil, nil
}

// listServices answers GET Services.
func (s *Server) listServices(x *exchange) (int, any, *apiError) {
	var all []serviceJSON
	s.reg.mu.RLock()
	for _, v := range s.reg.services {
		all = append(all, v.resource(x))
	}
	s.reg.mu.RUnlock()
	return listOf(x, "services", all)
}

type usecaseJSON struct {
	Usecase      string `json:"usecase"`
	FriendlyName string `json:"friendly_name"`
	Purpose      string `json:"purpose"`
}

// usecases are what a service can be for. Nothing writes to this table.
var usecases = []usecaseJSON{
	{"notifications", "Notifications", "Notify my users."},
	{"marketing", "Marketing", "Market my services."},
	{"verification", "Verification", "Verify users."},
	{"discussion", "Discussion", "Engage in a discussion."},
	{"poll", "Poll", "Ask my users."},
	{"undeclared", "Undeclared", "Something else."},
}

// listUsecases answers GET Services/Usecases.
func (s *Server) listUsecases(*exchange) (int, any, *apiError) {
	return http.StatusOK, map[string]any{"usecases": usecases}, nil
}
