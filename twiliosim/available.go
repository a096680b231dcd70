package twiliosim

import (
	"fmt"
	"strings"
)

// country is a made-up stock of numbers. The ranges are those that each
// regulator sets aside for fiction or tests, where there is one.
type country struct {
	iso, dial string
	kinds     []numberKind
}

// numberKind is Local, Mobile or TollFree within a country.
type numberKind struct {
	name            string
	prefix          string // after the dialling code; a % takes the area code
	width           int    // digits of the counter that follows
	stock           int    // how many there are
	sms, mms, voice bool
	address         string // none, any, local or foreign
}

// countries is the stock. Nothing writes to it.
var countries = []country{
	{"US", "1", []numberKind{
		{"Local", "%55501", 2, 100, true, true, true, "none"},
		{"TollFree", "80055501", 2, 100, true, true, true, "none"},
	}},
	{"CA", "1", []numberKind{
		{"Local", "%55501", 2, 100, true, true, true, "none"},
		{"TollFree", "83355501", 2, 100, true, true, true, "none"},
	}},
	{"GB", "44", []numberKind{
		{"Mobile", "7700900", 3, 100, true, false, true, "none"},
		{"Local", "207946", 4, 100, false, false, true, "any"},
		{"TollFree", "808157", 4, 100, false, false, true, "none"},
	}},
	{"AU", "61", []numberKind{
		{"Mobile", "491570", 3, 100, true, false, true, "any"},
		{"Local", "25550", 4, 100, false, false, true, "local"},
		{"TollFree", "1800160", 3, 100, false, false, true, "none"},
	}},
	{"DE", "49", []numberKind{
		{"Mobile", "152553", 5, 100, true, false, true, "local"},
		{"Local", "3023125", 3, 100, false, false, true, "local"},
	}},
	{"DK", "45", []numberKind{
		{"Mobile", "5210", 4, 100, true, false, true, "none"},
		{"TollFree", "8060", 4, 100, false, false, true, "none"},
	}},
	{"SE", "46", []numberKind{
		{"Mobile", "70174", 4, 100, true, false, true, "none"},
		{"Local", "8465004", 2, 100, false, false, true, "local"},
	}},
}

// areas are the codes of the local numbers in each country, where a search
// names none. 533 has no numbers, as with the test credentials.
func (c *country) areas() []string {
	if c.iso == "CA" {
		return []string{"416", "604", "514"}
	}
	return []string{"202", "212", "415", "512"}
}

// stock lists the numbers of a kind, in their order.
func (c *country) stock(kind, area string) []string {
	for _, k := range c.kinds {
		if k.name != kind {
			continue
		}
		prefixes := []string{k.prefix}
		if strings.HasPrefix(k.prefix, "%") {
			codes := c.areas()
			if area != "" {
				codes = []string{area}
			}
			prefixes = prefixes[:0]
			for _, code := range codes {
				if code != "533" {
					prefixes = append(prefixes, code+k.prefix[1:])
				}
			}
		} else if area != "" {
			return nil
		}
		var out []string
		for i := range k.stock {
			for _, p := range prefixes {
				out = append(out, fmt.Sprintf("+%s%s%0*d", c.dial, p, k.width, i))
			}
		}
		return out
	}
	return nil
}

// planOf finds the country and kind that a number looks like, or nil. Numbers
// of North America outside the Canadian areas count as American.
func planOf(phone string) (*country, *numberKind) {
	for i := range countries {
		c := &countries[i]
		rest, ok := strings.CutPrefix(phone, "+"+c.dial)
		if !ok {
			continue
		}
		if c.dial == "1" {
			if len(rest) >= 3 && strings.Contains(" 204 226 236 249 250 289 306 343 365 403 416 418 431 437 438 450 506 514 519 548 579 581 587 604 613 639 647 705 709 778 780 807 819 825 867 873 902 905 ", " "+rest[:3]+" ") {
				c = &countries[1]
			}
			kind := &c.kinds[0]
			if len(rest) >= 3 && strings.Contains(" 800 833 844 855 866 877 888 ", " "+rest[:3]+" ") {
				kind = &c.kinds[1]
			}
			return c, kind
		}
		for j := range c.kinds {
			if strings.HasPrefix(rest, c.kinds[j].prefix) {
				return c, &c.kinds[j]
			}
		}
		return c, &numberKind{name: "Mobile", sms: true, voice: true, address: "none"}
	}
	return nil, nil
}

// keypad is the digit of each letter, a to z.
const keypad = "22233344455566677778889999"

// matches reports whether a number fits a Contains pattern: the digits appear
// anywhere, * is any digit, letters stand for their keys. An empty pattern
// fits.
func matches(phone, pattern string) bool {
	pattern = strings.TrimPrefix(strings.ToLower(pattern), "+")
	digits := strings.TrimPrefix(phone, "+")
	for start := 0; start+len(pattern) <= len(digits); start++ {
		ok := true
		for i := 0; i < len(pattern) && ok; i++ {
			want, got := pattern[i], digits[start+i]
			if want >= 'a' && want <= 'z' {
				want = keypad[want-'a']
			}
			ok = want == '*' || want == got
		}
		if ok {
			return true
		}
	}
	return false
}

// availableJSON is one number for sale.
type availableJSON struct {
	FriendlyName        string           `json:"friendly_name"`
	PhoneNumber         string           `json:"phone_number"`
	Lata                *string          `json:"lata"`
	Locality            *string          `json:"locality"`
	RateCenter          *string          `json:"rate_center"`
	Latitude            *string          `json:"latitude"`
	Longitude           *string          `json:"longitude"`
	Region              *string          `json:"region"`
	PostalCode          *string          `json:"postal_code"`
	ISOCountry          string           `json:"iso_country"`
	AddressRequirements string           `json:"address_requirements"`
	Beta                bool             `json:"beta"`
	Capabilities        capabilitiesJSON `json:"capabilities"`
}

// searchNumbers answers GET AvailablePhoneNumbers/{country}/{kind}.json. It
// honours AreaCode, Contains, SmsEnabled, MmsEnabled, VoiceEnabled and the
// three Exclude…AddressRequired; where a country sells no such kind of number
// Twilio has no such resource, and answers 404.
func (s *Server) searchNumbers(x *exchange) (int, any, *apiError) {
	var c *country
	var kind *numberKind
	for i := range countries {
		if countries[i].iso == x.path[1] {
			c = &countries[i]
			for j := range c.kinds {
				if c.kinds[j].name == x.path[2] {
					kind = &c.kinds[j]
				}
			}
		}
	}
	if kind == nil {
		return 0, nil, x.missing()
	}
	all, e := s.forSale(c, kind, x.query())
	if e != nil {
		return 0, nil, e
	}
	return listOf(x, "available_phone_numbers", all)
}

func (s *Server) forSale(c *country, k *numberKind, q params) ([]availableJSON, *apiError) {
	for _, f := range []struct {
		name string
		fits bool // whether this kind of number survives the filter
		want bool // the filter's value that narrows the search
	}{
		{"SmsEnabled", k.sms, true}, {"MmsEnabled", k.mms, true}, {"VoiceEnabled", k.voice, true},
		{"SmsEnabled", !k.sms, false}, {"MmsEnabled", !k.mms, false}, {"VoiceEnabled", !k.voice, false},
		{"ExcludeAllAddressRequired", k.address == "none", true},
		{"ExcludeLocalAddressRequired", k.address != "local", true},
		{"ExcludeForeignAddressRequired", k.address != "foreign", true},
	} {
		set, e := q.flag(f.name, !f.want)
		if e != nil {
			return nil, e
		}
		if q.get(f.name) != "" && set == f.want && !f.fits {
			return nil, nil
		}
	}
	var out []availableJSON
	s.reg.mu.RLock()
	defer s.reg.mu.RUnlock()
	for _, phone := range c.stock(k.name, q.get("AreaCode")) {
		if s.reg.numberBy(phone) != nil || !matches(phone, q.get("Contains")) {
			continue
		}
		out = append(out, availableJSON{
			FriendlyName: phone, PhoneNumber: phone, ISOCountry: c.iso, AddressRequirements: k.address,
			Capabilities: capabilitiesJSON{Voice: k.voice, SMS: k.sms, MMS: k.mms},
		})
	}
	return out, nil
}
