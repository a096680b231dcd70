package verify

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/sixdigit/sixdigit/phone"
)

// Bounds of what a request brings along.
const (
	maxLocale        = 64
	maxSession       = 256
	maxMetadata      = 16
	maxMetadataName  = 40
	maxMetadataValue = 256
)

// order is a start that policy admits, with all that Decide needs: it draws
// nothing and asks nobody.
type order struct {
	StartRequest
	id     string
	salt   Salt
	length int
	test   bool
	// noClientIP is set where nobody has to name the client: by Join, and by a
	// message that says so.
	noClientIP bool
	payload    map[string]any // what the text is made of, with zeros for a code that we make
	ways       []way
	network    MAC // of the client's address
	charges    []Charge
}

// admit applies the policy that needs no store.
func (s *Service) admit(r StartRequest) (*order, error) { return s.admitOrder(&order{StartRequest: r}) }

func (s *Service) admitOrder(o *order) (*order, error) {
	if o.Channel == "" {
		o.Channel = ChannelSMS
	}
	for _, rule := range []func(*order) error{
		s.admitNumber, s.admitUsage, s.admitDomain, s.admitClient, s.admitLength, s.admitText,
	} {
		if err := rule(o); err != nil {
			return nil, err
		}
	}
	o.Metadata = maps.Clone(o.Metadata) // the caller's may change
	o.network = s.network(o.ClientIP)
	o.charges = s.charges(o.App, o.To, o.network)
	return o, s.draw(o)
}

// admitNumber asks nothing of a test number: no text goes there.
func (s *Service) admitNumber(o *order) error {
	if o.To.IsZero() {
		return &InvalidError{"to", "number_invalid", "no phone number in E.164 form"}
	}
	if t := s.policy.testNumber(o.App, o.To); t != nil && s.now().Before(t.Until) {
		o.test, o.length = true, len(t.Code)
		return nil
	}
	if !s.policy.AllCountries && !s.countries[o.To.Region()] {
		return &InvalidError{"to", "country_not_allowed", "numbers of this country get no texts"}
	}
	line := o.To.Type()
	switch {
	case !slices.Contains(s.policy.RefusedLines, line):
		return nil
	case line == phone.TypeFixed:
		return &InvalidError{"to", "use_call", "a fixed line gets no texts, and calls are not served yet"}
	default:
		return &InvalidError{"to", "number_kind", "numbers of this kind get no texts"}
	}
}

func (s *Service) admitUsage(o *order) error {
	if !o.Usage.Known() {
		return &InvalidError{"usage_type", "usage_type_unknown", "no such usage type"}
	}
	return s.admitChannel(o.Channel)
}

func (s *Service) admitChannel(c Channel) error {
	if c != ChannelSMS {
		return &InvalidError{"channel", "channel_unsupported", "the only channel is sms"}
	}
	return nil
}

// admitDomain takes the app's own spelling of the domain.
func (s *Service) admitDomain(o *order) error {
	if o.Domain == "" {
		return nil
	}
	for _, d := range s.policy.Apps[o.App].Domains {
		if strings.EqualFold(d, o.Domain) {
			o.Domain = d
			return nil
		}
	}
	return &InvalidError{"domain", "domain_not_allowed", "not one of the app's domains"}
}

func (s *Service) admitClient(o *order) error {
	if !o.ClientIP.IsValid() && !s.policy.Apps[o.App].NoClientIP && !o.noClientIP {
		return &InvalidError{"client_ip", "client_ip_required", "the address of the person's device is needed for the limits"}
	}
	if len(o.Session) > maxSession {
		return &InvalidError{"session", "session_invalid", "longer than 256 bytes"}
	}
	if len(o.Metadata) > maxMetadata {
		return &InvalidError{"metadata", "metadata_invalid", "more than 16 entries"}
	}
	for name, value := range o.Metadata {
		if len(name) > maxMetadataName || len(value) > maxMetadataValue {
			return &InvalidError{"metadata", "metadata_invalid", "a name of more than 40 bytes, or a value of more than 256"}
		}
	}
	return nil
}

func (s *Service) admitLength(o *order) error {
	switch {
	case o.test: // its code is fixed
	case o.CodeLength == 0:
		o.length = s.policy.CodeLength
	case o.CodeLength < s.policy.CodeLength || o.CodeLength > MaxCodeLength:
		return &InvalidError{"code_length", "code_length", "more than 10, or fewer than the service's own"}
	default:
		o.length = o.CodeLength
	}
	return nil
}

// admitText makes sure that there will be a text.
func (s *Service) admitText(o *order) error {
	if !validLocale(o.Locale) {
		return &InvalidError{"locale", "locale_invalid", "no BCP 47 language tag"}
	}
	country := countryOf(o.To)
	if o.test {
		country = "" // no text goes anywhere
	}
	ways := s.ways(country)
	if len(ways) == 0 {
		return &InvalidError{"to", "country_not_allowed", "no connector serves this country"}
	}
	if o.payload == nil {
		o.payload = payloadOf(zeros(o.length), o.Locale)
	}
	var err error
	o.ways, err = measured(ways, o.Usage, o.Locale, o.Domain, o.payload)
	return err
}

// validLocale passes a tag whose parts are well formed but unknown: it gets the
// template without locale.
func validLocale(locale string) bool {
	if locale == "" {
		return true
	}
	if len(locale) > maxLocale {
		return false
	}
	_, err := language.Parse(locale)
	var unknown language.ValueError
	return err == nil || errors.As(err, &unknown)
}

// network is the place of the client's address, zero when there is none.
func (s *Service) network(client netip.Addr) MAC {
	if !client.IsValid() {
		return MAC{}
	}
	return s.keys.current.place(networkOf(client))
}

// networkOf is what counts as one client: an IPv4 address, or the /64 that one
// IPv6 customer has to itself.
func networkOf(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the bits fit the address
	return p.String()
}

// countryOf names the number's country, or else its calling code.
func countryOf(to phone.Number) string {
	if r := to.Region(); r != "" {
		return r
	}
	return "+" + strconv.Itoa(to.CountryCode())
}
