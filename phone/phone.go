package phone

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxInput bounds what Parse reads: 15 digits, the plus sign and generous
// punctuation. E.164 allows 15 digits.
const (
	maxInput  = 40
	maxDigits = 15
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
)

// Number is a phone number in E.164 form. The zero Number is no number.
//
// Its parts sit behind a pointer so that fmt cannot print them from inside
// another struct's unexported fields. == does not compile; use Equal.
type Number struct {
	_ [0]func()
	p *parts
}

type parts struct {
	e164     string
	region   string
	code     int
	line     LineType
	assigned bool
}

// Parse reads a number that starts with "+" and its country calling code.
// Spaces and the characters - ( ) . / are passed over. Letters and extensions
// are refused: a text cannot be sent to either.
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
// with the country calling code, the plus sign optional.
func ParseDigits(s string) (Number, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Number{}, ErrEmpty
	}
	return parse(strings.TrimPrefix(s, "+"))
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

func build(e164 string) (Number, error) {
	n, err := phonenumbers.Parse(e164, phonenumbers.UNKNOWN_REGION)
	switch {
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return Number{}, ErrTooShort
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return Number{}, ErrTooLong
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return Number{}, ErrCountryCode
	case err != nil:
		return Number{}, ErrTooShort
	}
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return Number{}, ErrTooShort
	case phonenumbers.TOO_LONG:
		return Number{}, ErrTooLong
	case phonenumbers.INVALID_COUNTRY_CODE:
		return Number{}, ErrCountryCode
	default:
		return Number{}, ErrLength
	}
	// The library drops a national trunk zero (+44 (0)20 …); its form is the
	// number that networks know.
	p := &parts{
		e164:     phonenumbers.Format(n, phonenumbers.E164),
		code:     int(n.GetCountryCode()),
		assigned: phonenumbers.IsValidNumber(n),
		line:     lineType(phonenumbers.GetNumberType(n)),
	}
	p.region = region(n)
	return Number{p: p}, nil
}

// region is the number's country. A calling code that one country has to
// itself names it even when the range is unknown to the library.
func region(n *phonenumbers.PhoneNumber) string {
	r := phonenumbers.GetRegionCodeForNumber(n)
	if r == "" {
		if all := phonenumbers.GetRegionCodesForCountryCode(int(n.GetCountryCode())); len(all) == 1 {
			r = all[0]
		}
	}
	if r == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		return ""
	}
	return r
}

// E164 returns the number in full, as "+14155552671"; "" for the zero Number.
func (n Number) E164() string {
	if n.p == nil {
		return ""
	}
	return n.p.e164
}

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.p == nil }

// Equal reports whether both are the same number.
func (n Number) Equal(m Number) bool { return n.E164() == m.E164() }

// Region returns the ISO 3166-1 alpha-2 code of the number's country, or ""
// where there is none (satellite and other international numbers) or it cannot
// be told (an unassigned range of a calling code that countries share).
func (n Number) Region() string {
	if n.p == nil {
		return ""
	}
	return n.p.region
}

// CountryCode returns the country calling code, 1 to 3 digits; 0 for the zero
// Number.
func (n Number) CountryCode() int {
	if n.p == nil {
		return 0
	}
	return n.p.code
}

// Type returns the kind of line that the number's range is assigned to.
func (n Number) Type() LineType {
	if n.p == nil {
		return TypeUnknown
	}
	return n.p.line
}

// Assigned reports whether the number lies in a range that the number plan, as
// this library knows it, has assigned.
func (n Number) Assigned() bool { return n.p != nil && n.p.assigned }

// Prefix returns the number without its last four digits: the block of 10,000
// in which it lies. Limits against pumping count by it.
func (n Number) Prefix() string {
	if n.p == nil {
		return ""
	}
	return n.p.e164[:len(n.p.e164)-4]
}

// Mask returns the calling code and the last two digits, as "+1********71".
func (n Number) Mask() string {
	if n.p == nil {
		return ""
	}
	e := n.p.e164
	head := 1 + codeDigits(n.p.code)
	return e[:head] + strings.Repeat("*", len(e)-head-2) + e[len(e)-2:]
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
