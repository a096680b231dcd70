package phone

import (
	"regexp"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// What the library knows of number plans, in the form that a number in E.164
// is read with: it goes from the digits to the answer, where the library's own
// functions take a number apart and write it out again for each question. Its
// patterns are its own, compiled when they are first asked.

// plan is the number plan of one calling code.
type plan struct {
	code   int
	whole  lengths  // that a national number may have
	local  lengths  // that are good for calls within a town alone
	trunk  *pattern // what people dial before a national number; nil: nothing
	places []place  // who shares the code, the main one first
}

// place is one country's part of a plan.
type place struct {
	region  string   // "" for no country
	leading *pattern // what its numbers start with; nil: its ranges tell
	general ranges
	kinds   []kind // in the order in which the library asks them
	fixed   ranges
	mobile  ranges
	mixed   bool // fixed and mobile lines have the same ranges
}

type kind struct {
	line LineType
	ranges
}

// ranges are numbers of one kind. Where there are none, numbers is nil.
type ranges struct {
	lengths lengths
	numbers *pattern
}

// lengths is a set of counts of digits, a bit for each.
type lengths uint32

// anyLength stands for a plan that does not say.
const anyLength = ^lengths(0)

func lengthsOf(list []int32) lengths {
	var set lengths
	for _, n := range list {
		if n > 0 { // -1 is the library's word for none
			set |= 1 << n
		}
	}
	return set
}

func (l lengths) has(n int) bool { return l>>n&1 == 1 }

// pattern is a regular expression for the start of a number, or for all of it.
type pattern struct {
	source string
	end    string
	once   sync.Once
	re     *regexp.Regexp
}

func newPattern(source, end string) *pattern {
	if source == "" {
		return nil
	}
	return &pattern{source: source, end: end}
}

func (p *pattern) matches(national string) bool {
	p.once.Do(func() { p.re = regexp.MustCompile("^(?:" + p.source + ")" + p.end) })
	return p.re.MatchString(national)
}

func (r ranges) have(national string) bool {
	return r.numbers != nil && r.lengths.has(len(national)) && r.numbers.matches(national)
}

// plans are all there are, by calling code.
var plans = func() map[int]*plan {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil // cannot be: the library read the same when the program started
	}
	byRegion := map[string]*phonenumbers.PhoneMetadata{}
	out := map[int]*plan{}
	for _, m := range all.GetMetadata() {
		if m.GetId() == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			code := int(m.GetCountryCode())
			out[code] = newPlan(code, m)
			continue
		}
		byRegion[m.GetId()] = m
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		var sharing []*phonenumbers.PhoneMetadata
		for _, region := range phonenumbers.GetRegionCodesForCountryCode(code) {
			if m := byRegion[region]; m != nil {
				sharing = append(sharing, m)
			}
		}
		if len(sharing) > 0 {
			out[code] = newPlan(code, sharing...)
		}
	}
	return out
}()

func newPlan(code int, sharing ...*phonenumbers.PhoneMetadata) *plan {
	main := sharing[0]
	p := &plan{
		code:  code,
		whole: lengthsOf(main.GetGeneralDesc().GetPossibleLength()),
		local: lengthsOf(main.GetGeneralDesc().GetPossibleLengthLocalOnly()),
		trunk: newPattern(main.GetNationalPrefixForParsing(), ""),
	}
	for _, m := range sharing {
		p.places = append(p.places, newPlace(m))
	}
	return p
}

func newPlace(m *phonenumbers.PhoneMetadata) place {
	pl := place{
		region: m.GetId(), leading: newPattern(m.GetLeadingDigits(), ""),
		general: newRanges(m.GetGeneralDesc()), fixed: newRanges(m.GetFixedLine()), mobile: newRanges(m.GetMobile()),
		mixed: m.GetSameMobileAndFixedLinePattern(),
	}
	if pl.region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		pl.region = ""
	}
	for _, k := range []struct {
		typ  phonenumbers.PhoneNumberType
		desc *phonenumbers.PhoneNumberDesc
	}{
		{phonenumbers.PREMIUM_RATE, m.GetPremiumRate()},
		{phonenumbers.TOLL_FREE, m.GetTollFree()},
		{phonenumbers.SHARED_COST, m.GetSharedCost()},
		{phonenumbers.VOIP, m.GetVoip()},
		{phonenumbers.PERSONAL_NUMBER, m.GetPersonalNumber()},
		{phonenumbers.PAGER, m.GetPager()},
		{phonenumbers.UAN, m.GetUan()},
		{phonenumbers.VOICEMAIL, m.GetVoicemail()},
	} {
		if r := newRanges(k.desc); r.numbers != nil && r.lengths != 0 {
			pl.kinds = append(pl.kinds, kind{lineType(k.typ), r})
		}
	}
	return pl
}

func newRanges(d *phonenumbers.PhoneNumberDesc) ranges {
	r := ranges{lengths: anyLength, numbers: newPattern(d.GetNationalNumberPattern(), "$")}
	if list := d.GetPossibleLength(); len(list) > 0 {
		r.lengths = lengthsOf(list)
	}
	return r
}

// split finds the plan of a number in E.164 by its calling code, and the
// national number. No code is the start of another. A nil plan is no country's.
func split(e164 string) (p *plan, national string) {
	code := 0
	for i := 1; i < len(e164) && i <= maxCode; i++ {
		code = 10*code + int(e164[i]-'0')
		if p = plans[code]; p != nil {
			return p, e164[i+1:]
		}
	}
	return nil, ""
}

// settles reports whether the national number stands as it is: its length is
// possible, and nothing in front of it could be a trunk prefix.
func (p *plan) settles(national string) bool {
	n := len(national)
	return p.whole.has(n) && !p.local.has(n) && (p.trunk == nil || !p.trunk.matches(national))
}

// find tells the country of a national number and the kind of its line. A
// calling code that one country has to itself names it even when the range is
// unknown.
func (p *plan) find(national string) (region string, line LineType) {
	if len(p.places) == 1 {
		return p.places[0].region, p.places[0].kindOf(national)
	}
	for i := range p.places {
		pl := &p.places[i]
		if pl.leading != nil {
			if pl.leading.matches(national) {
				return pl.region, pl.kindOf(national)
			}
		} else if line := pl.kindOf(national); line != TypeUnknown {
			return pl.region, line
		}
	}
	return "", TypeUnknown
}

func (pl *place) kindOf(national string) LineType {
	if !pl.general.have(national) {
		return TypeUnknown
	}
	for i := range pl.kinds {
		if pl.kinds[i].have(national) {
			return pl.kinds[i].line
		}
	}
	switch {
	case pl.fixed.have(national):
		if pl.mixed || pl.mobile.have(national) {
			return TypeFixedOrMobile
		}
		return TypeFixed
	case !pl.mixed && pl.mobile.have(national):
		return TypeMobile
	}
	return TypeUnknown
}

// shaped reports whether s looks like E.164.
func shaped(s string) bool {
	n := len(s) - 1
	return n >= minDigits && n <= maxDigits && s[0] == '+' && s[1] != '0' && strings.Trim(s[1:], "0123456789") == ""
}
