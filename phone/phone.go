package phone

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

const (
	maxInput  = 40 // bytes after the plus sign: the digits and generous punctuation
	maxDigits = 15 // E.164
	minDigits = 6  // of the shortest number that a plan has, the calling code among them
	maxCode   = 3  // digits of a calling code
)

// Why a text is not a phone number. Errors never hold the text.
var (
	ErrEmpty       = errors.New("phone: the number is empty")
	ErrNoPlus      = errors.New("phone: the number does not start with + and the country calling code")
	ErrCharacter   = errors.New("phone: the number holds something other than digits, spaces and - ( ) . /")
	ErrTooShort    = errors.New("phone: the number is too short")
	ErrTooLong     = errors.New("phone: the number is too long")
	ErrCountryCode = errors.New("phone: no country has this calling code")
	ErrLength      = errors.New("phone: no number of that country has this length")
	ErrStored      = errors.New("phone: what was stored is no number")
)

// Number is a phone number in E.164 form. The zero Number is no number.
//
// Its parts sit in a func because a func shows them to nobody: where fmt, a
// test tool or any other printer reads fields without calling methods, it
// finds an address. It also makes == a compile error; use Equal.
type Number struct {
	read func() *parts
}

// parts are worked out in two steps: most who have a number ask for its form
// alone.
type parts struct {
	e164 string

	once   sync.Once
	region string
	line   LineType
}

// Parse reads a number that starts with "+" and its country calling code, in
// ASCII digits. White space around it is passed over, and so are spaces, tabs
// and the characters - ( ) . / inside. Letters and extensions are refused: a
// text cannot be sent to either. What a country used to want in front of the
// national number is dropped: the trunk zero of +44 (0)20 and the 1 of the old
// Mexican mobile numbers. The error is one of those above.
func Parse(s string) (Number, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Number{}, ErrEmpty
	}
	if s[0] != '+' {
		return Number{}, ErrNoPlus
	}
	return parse(s[1:])
}

// ParseDigits reads a number as auth servers write it in their hooks: digits
// with the country calling code, the plus sign optional. All else is as for
// Parse; "00" in place of the plus sign is refused with ErrCountryCode.
func ParseDigits(s string) (Number, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Number{}, ErrEmpty
	}
	return parse(strings.TrimPrefix(s, "+"))
}

// Stored returns the number whose form Parse has given before, as a store kept
// it: "+" and 6 to 15 digits, or the error is ErrStored. It asks no number plan,
// so that reading a record costs next to nothing and a number that was accepted
// once stays one; what else it tells is worked out when it is asked.
func Stored(e164 string) (Number, error) {
	if !shaped(e164) {
		return Number{}, ErrStored
	}
	return number(e164), nil
}

func parse(s string) (Number, error) {
	if len(s) > maxInput {
		return Number{}, ErrTooLong
	}
	digits := make([]byte, 0, maxDigits+2)
	digits = append(digits, '+')
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case strings.IndexByte(" -().\t/", c) >= 0:
		default:
			return Number{}, ErrCharacter
		}
	}
	switch n := len(digits) - 1; {
	case n == 0:
		return Number{}, ErrEmpty
	case n > maxDigits:
		return Number{}, ErrTooLong
	case digits[1] == '0':
		return Number{}, ErrCountryCode
	}
	return build(string(digits))
}

// build makes the Number of "+" and digits. Most are written as their plan has
// them. The library reads the others, and drops one trunk prefix (+44 (0)20 …)
// in each reading; reading its form again until nothing changes gives one
// number one form, however many zeros stood before it.
func build(e164 string) (Number, error) {
	for range maxDigits {
		e164 = withoutMexicanOne(e164)
		if p, national := split(e164); p != nil && p.settles(national) {
			return number(e164), nil
		}
		n, err := read(e164)
		if err != nil {
			return Number{}, err
		}
		form := phonenumbers.Format(n, phonenumbers.E164)
		if form == e164 {
			return number(form), nil
		}
		e164 = form
	}
	return Number{}, ErrLength
}

func read(e164 string) (*phonenumbers.PhoneNumber, error) {
	n, err := phonenumbers.Parse(e164, phonenumbers.UNKNOWN_REGION)
	switch {
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return nil, ErrTooLong
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return nil, ErrCountryCode
	case err != nil: // of digits alone the library has no other complaint
		return nil, ErrTooShort
	}
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
		return n, nil
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return nil, ErrTooShort
	case phonenumbers.TOO_LONG:
		return nil, ErrTooLong
	case phonenumbers.INVALID_COUNTRY_CODE:
		return nil, ErrCountryCode
	}
	return nil, ErrLength
}

func number(e164 string) Number {
	p := &parts{e164: e164}
	return Number{read: func() *parts { return p }}
}

// plan returns the number's country and the kind of its line.
func (p *parts) plan() (region string, line LineType) {
	p.once.Do(func() {
		p.line = TypeUnknown
		if plan, national := split(p.e164); plan != nil {
			p.region, p.line = plan.find(national)
		}
	})
	return p.region, p.line
}

// withoutMexicanOne drops the 1 that stood between +52 and the ten digits of a
// mobile number until August 2019. Address books still hold it, networks no
// longer know it.
func withoutMexicanOne(e164 string) string {
	const old = "+521"
	if strings.HasPrefix(e164, old) && len(e164) == len(old)+10 {
		return "+52" + e164[len(old):]
	}
	return e164
}

// E164 returns the number in full, as "+14155552671"; "" for the zero Number.
func (n Number) E164() string {
	if n.read == nil {
		return ""
	}
	return n.read().e164
}

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.read == nil }

// Equal reports whether both are the same number.
func (n Number) Equal(m Number) bool { return n.E164() == m.E164() }

// Region returns the ISO 3166-1 alpha-2 code of the number's country, or ""
// where there is none (satellite and other international numbers) or it cannot
// be told (an unassigned range of a calling code that countries share).
func (n Number) Region() string {
	if n.read == nil {
		return ""
	}
	region, _ := n.read().plan()
	return region
}

// CountryCode returns the country calling code, 1 to 3 digits; 0 for the zero
// Number.
func (n Number) CountryCode() int {
	if p, _ := split(n.E164()); p != nil {
		return p.code
	}
	return 0
}

// Type returns the kind of line that the number's range is assigned to:
// TypeUnknown when it is not assigned, and for the zero Number.
func (n Number) Type() LineType {
	if n.read == nil {
		return TypeUnknown
	}
	_, line := n.read().plan()
	return line
}

// Assigned reports whether the number lies in a range that the number plan, as
// this library knows it, has assigned: those are the ranges that have a type.
func (n Number) Assigned() bool { return n.Type() != TypeUnknown }

// Prefix returns the number without its last four digits, as "+1415555": the
// block of 10,000 in which it lies, and "" for the zero Number. Limits against
// pumping count by it.
func (n Number) Prefix() string {
	e := n.E164()
	return e[:max(0, len(e)-4)]
}

// Mask returns the calling code and the last two digits, as "+1********71";
// "" for the zero Number.
func (n Number) Mask() string {
	if n.IsZero() {
		return ""
	}
	e := n.E164()
	head, tail := 1+codeDigits(n.CountryCode()), len(e)-2
	return e[:head] + strings.Repeat("*", tail-head) + e[tail:]
}

func codeDigits(code int) int {
	switch {
	case code >= 100:
		return 3
	case code >= 10:
		return 2
	}
	return 1
}

// String returns the masked number.
func (n Number) String() string { return n.Mask() }

// GoString is what %#v shows.
func (n Number) GoString() string { return "phone.Number(" + n.Mask() + ")" }

// Format writes the masked number for every verb.
func (n Number) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, n.GoString())
		return
	}
	_, _ = io.WriteString(f, n.Mask())
}

// MarshalText writes the masked number. Where the number itself must travel,
// write E164.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.Mask()), nil }

// LogValue makes every slog handler write the masked number.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Mask()) }
