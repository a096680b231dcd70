package verify

import (
	"time"

	"github.com/sixdigit/sixdigit/phone"
)

// what a limit counts.
type what int

const (
	ofNumber what = iota
	ofPrefix
	ofCountry
	ofNetwork
	ofAll
	whats
)

// tariff is what a text of an app is charged.
type tariff struct {
	items []item
	local int // so many of them, the first ones, do not count the network
}

// item is a charge of each text, but for its place.
type item struct {
	Charge
	of what
}

// tariff is worked out once for each app, since it takes a dozen HMACs: apps are
// the operator's, and few.
func (s *Service) tariff(app string) *tariff {
	if known, ok := s.tariffs.Load(app); ok {
		return known.(*tariff)
	}
	t := &tariff{}
	add := func(of what, app string, limits ...Limit) {
		for _, l := range limits {
			if l.Burst > 0 {
				t.items = append(t.items, item{Charge{Limit: l, Key: s.keys.current.limitKey(l, app, MAC{}), Personal: of == ofNumber}, of})
			}
		}
	}
	l := &s.policy.Limits
	add(ofNumber, app, l.AppNumber, l.AppNumberDaily)
	add(ofPrefix, app, l.AppPrefix, l.AppPrefixDaily)
	add(ofCountry, app, l.AppCountry, l.AppCountryDaily)
	add(ofNumber, "", l.Number, l.NumberDaily)
	add(ofPrefix, "", l.Prefix)
	add(ofAll, "", l.All, l.AllDaily)
	t.local = len(t.items)
	add(ofNetwork, app, l.AppIP, l.AppIPDaily)
	add(ofNetwork, "", l.IP)
	s.tariffs.Store(app, t)
	return t
}

// charges are what a text takes from the limits. A zero network is none.
func (s *Service) charges(app string, to phone.Number, network MAC) []Charge {
	keys := s.keys.current
	places := [whats]MAC{
		ofNumber: keys.place(to.E164()), ofPrefix: keys.place(to.Prefix()), ofCountry: keys.place(countryOf(to)),
		ofNetwork: network, ofAll: s.everything,
	}
	t := s.tariff(app)
	items := t.items
	if network == (MAC{}) {
		items = items[:t.local]
	}
	all := make([]Charge, len(items), len(items)+1) // one more for decided
	for i := range items {
		all[i] = items[i].Charge
		all[i].Key.move(places[items[i].of])
	}
	return all
}

// refunds are the charges to be given back for a text that came to nothing: the
// person must not wait for our fault. The others stay. Each try has cost a
// request to the provider, and whoever can make texts fail, with numbers that
// are refused, would otherwise make as many as they like from one address.
func refunds(charges []Charge, at time.Time) []Charge {
	var back []Charge
	for _, c := range charges {
		if c.Personal {
			c.At = at
			back = append(back, c)
		}
	}
	return back
}
