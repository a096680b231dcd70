package twiliosim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// number is a phone number of the account.
type number struct {
	sid, phone, friendly string
	sms, mms, voice      bool
	country              string
	address              string // what kind of address the country asks for
	addressSID           string
	created              time.Time
	service              string    // the one service it lives in, if any
	joined               time.Time // when it joined that service
}

func newNumber(sid, phone string, now time.Time) *number {
	n := &number{sid: sid, phone: phone, friendly: phone, sms: true, mms: true, voice: true, created: now, address: "none"}
	if c, kind := planOf(phone); c != nil {
		n.country = c.iso
		n.sms, n.mms, n.voice = kind.sms, kind.mms, kind.voice
		n.address = kind.address
	}
	return n
}

type capabilitiesJSON struct {
	Voice bool `json:"voice"`
	SMS   bool `json:"sms"`
	MMS   bool `json:"mms"`
	Fax   bool `json:"fax"`
}

// numberJSON is the IncomingPhoneNumber resource.
type numberJSON struct {
	SID                    string           `json:"sid"`
	AccountSID             string           `json:"account_sid"`
	FriendlyName           string           `json:"friendly_name"`
	PhoneNumber            string           `json:"phone_number"`
	Origin                 string           `json:"origin"`
	Status                 string           `json:"status"`
	Type                   *string          `json:"type"`
	APIVersion             string           `json:"api_version"`
	Beta                   bool             `json:"beta"`
	Capabilities           capabilitiesJSON `json:"capabilities"`
	AddressRequirements    string           `json:"address_requirements"`
	AddressSID             *string          `json:"address_sid"`
	BundleSID              *string          `json:"bundle_sid"`
	IdentitySID            *string          `json:"identity_sid"`
	TrunkSID               *string          `json:"trunk_sid"`
	EmergencyStatus        string           `json:"emergency_status"`
	EmergencyAddressSID    *string          `json:"emergency_address_sid"`
	EmergencyAddressStatus string           `json:"emergency_address_status"`
	SMSApplicationSID      string           `json:"sms_application_sid"`
	SMSURL                 string           `json:"sms_url"`
	SMSMethod              string           `json:"sms_method"`
	SMSFallbackURL         string           `json:"sms_fallback_url"`
	SMSFallbackMethod      string           `json:"sms_fallback_method"`
	StatusCallback         string           `json:"status_callback"`
	StatusCallbackMethod   string           `json:"status_callback_method"`
	VoiceApplicationSID    *string          `json:"voice_application_sid"`
	VoiceReceiveMode       string           `json:"voice_receive_mode"`
	VoiceURL               *string          `json:"voice_url"`
	VoiceMethod            string           `json:"voice_method"`
	VoiceFallbackURL       *string          `json:"voice_fallback_url"`
	VoiceFallbackMethod    string           `json:"voice_fallback_method"`
	VoiceCallerIDLookup    bool             `json:"voice_caller_id_lookup"`
	DateCreated            string           `json:"date_created"`
	DateUpdated            string           `json:"date_updated"`
	URI                    string           `json:"uri"`
}

func (n *number) resource(account string) numberJSON {
	var kind *string
	if c, k := planOf(n.phone); c != nil {
		kind = orNull(strings.ToLower(k.name))
	}
	return numberJSON{
		SID: n.sid, AccountSID: account, FriendlyName: n.friendly, PhoneNumber: n.phone,
		Origin: "twilio", Status: "in-use", Type: kind, APIVersion: apiVersion,
		Capabilities:        capabilitiesJSON{Voice: n.voice, SMS: n.sms, MMS: n.mms},
		AddressRequirements: n.address, AddressSID: orNull(n.addressSID),
		EmergencyStatus: "Inactive", EmergencyAddressStatus: "unregistered",
		SMSMethod: "POST", SMSFallbackMethod: "POST", StatusCallbackMethod: "POST",
		VoiceReceiveMode: "voice", VoiceMethod: "POST", VoiceFallbackMethod: "POST",
		DateCreated: rfc2822Time(n.created), DateUpdated: rfc2822Time(n.created),
		URI: v2010 + account + "/IncomingPhoneNumbers/" + n.sid + ".json",
	}
}

// listNumbers answers GET IncomingPhoneNumbers.json.
func (s *Server) listNumbers(x *exchange) (int, any, *apiError) {
	q := x.query()
	var all []numberJSON
	s.reg.mu.RLock()
	for _, n := range s.reg.numbers {
		if matches(n.phone, q.get("PhoneNumber")) && (q.get("FriendlyName") == "" || q.get("FriendlyName") == n.friendly) {
			all = append(all, n.resource(x.who.acct.sid))
		}
	}
	s.reg.mu.RUnlock()
	return listOf(x, "incoming_phone_numbers", all)
}

// buyNumber answers POST IncomingPhoneNumbers.json. Any well-formed number that
// the account doesn't own is for sale, and costs nothing.
func (s *Server) buyNumber(x *exchange) (int, any, *apiError) {
	p, e := x.form()
	if e != nil {
		return 0, nil, e
	}
	n, e := s.reg.buy(s.ids, p, x.who.acct)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusCreated, n.resource(x.who.acct.sid), nil
}

// The numbers of the test credentials; they answer in every account. Nothing
// writes to this table.
var magicPurchase = map[string]int{"+15005550000": 21422, "+15005550001": 21421}

func (g *registry) buy(ids *idSource, p params, acct *account) (number, *apiError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	phone := p.get("PhoneNumber")
	if area := p.get("AreaCode"); phone == "" && area != "" {
		var e *apiError
		if phone, e = g.firstIn(area); e != nil {
			return number{}, e
		}
	}
	owned := g.numberBy(phone)
	switch {
	case phone == "":
		return number{}, refuse(20422, "PhoneNumber or AreaCode")
	case magicPurchase[phone] != 0:
		return number{}, refuse(magicPurchase[phone], phone)
	case !isE164(phone):
		return number{}, refuse(21421, phone)
	case owned != nil && phone == magicSender:
		return *owned, nil // passes every time, as with test credentials
	case owned != nil:
		return number{}, refuse(21422, phone)
	case acct.trial && len(g.numbers) > 0:
		return number{}, refuse(21404)
	}
	if e := full(len(g.numbers)); e != nil && !acct.test {
		return number{}, e
	}
	n := newNumber(ids.sid("PN"), phone, time.Now())
	if name := p.get("FriendlyName"); name != "" {
		n.friendly = short(name)
	}
	n.addressSID = short(p.get("AddressSid"))
	if n.address != "none" && n.addressSID == "" {
		return number{}, refuse(21631)
	}
	if !acct.test {
		g.numbers = append(g.numbers, n)
	}
	return *n, nil
}

// firstIn finds a number to buy in an area. The caller holds g.mu.
func (g *registry) firstIn(area string) (string, *apiError) {
	if len(area) != 3 || !allDigits(area) || area[0] < '2' {
		return "", refuse(21451, area)
	}
	if area == "500" {
		return magicSender, nil
	}
	us, _ := planOf("+1")
	for _, phone := range us.stock("Local", area) {
		if g.numberBy(phone) == nil {
			return phone, nil
		}
	}
	return "", refuse(21452, area)
}

// getNumber answers GET IncomingPhoneNumbers/{sid}.json.
func (s *Server) getNumber(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := g.numberBy(x.path[1])
	if n == nil || n.sid != x.path[1] {
		return 0, nil, x.missing()
	}
	return http.StatusOK, n.resource(x.who.acct.sid), nil
}

// releaseNumber answers DELETE IncomingPhoneNumbers/{sid}.json; the number
// leaves its service too.
func (s *Server) releaseNumber(x *exchange) (int, any, *apiError) {
	g := s.reg
	g.mu.Lock()
	defer g.mu.Unlock()
	before := len(g.numbers)
	g.numbers = slices.DeleteFunc(g.numbers, func(n *number) bool { return n.sid == x.path[1] })
	if len(g.numbers) == before {
		return 0, nil, x.missing()
	}
	return http.StatusNoContent, nil, nil
}
