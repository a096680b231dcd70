package phone

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

// view is what a Number tells, for comparison.
type view struct {
	E164     string
	Region   string
	Code     int
	Type     LineType
	Assigned bool
}

func viewOf(n Number) view {
	return view{n.E164(), n.Region(), n.CountryCode(), n.Type(), n.Assigned()}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     view
	}{
		{"North America", "+14155552671", view{"+14155552671", "US", 1, TypeFixedOrMobile, true}},
		{"punctuation", " +1 (415) 555-26.71/ \t", view{"+14155552671", "US", 1, TypeFixedOrMobile, true}},
		{"Canada shares the code", "+1 416 555 0123", view{"+14165550123", "CA", 1, TypeFixedOrMobile, true}},
		{"Twilio's magic number", "+15005550006", view{"+15005550006", "US", 1, TypePersonal, true}},
		{"unassigned, shared code", "+15551234567", view{"+15551234567", "", 1, TypeUnknown, false}},
		{"unassigned, own code", "+861391234567", view{"+861391234567", "CN", 86, TypeUnknown, false}},
		{"toll-free", "+1 800 253 0000", view{"+18002530000", "US", 1, TypeTollFree, true}},
		{"premium", "+49 900 1234567", view{"+499001234567", "DE", 49, TypePremium, true}},

		{"Italian fixed keeps its zero", "+39 06 1234 5678", view{"+390612345678", "IT", 39, TypeFixed, true}},
		{"Italian mobile has none", "+39 312 345 6789", view{"+393123456789", "IT", 39, TypeMobile, true}},
		{"Ivory Coast keeps its zero", "+225 01 01 23 45 67", view{"+2250101234567", "CI", 225, TypeMobile, true}},
		{"British trunk zero", "+44 (0)20 7946 0018", view{"+442079460018", "GB", 44, TypeFixed, true}},
		{"German trunk zero", "+49 (0)1520 1234567", view{"+4915201234567", "DE", 49, TypeMobile, true}},
		{"Japanese trunk zero", "+81 090-1234-5678", view{"+819012345678", "JP", 81, TypeMobile, true}},
		{"two trunk zeros", "+91 00 98765 43210", view{"+919876543210", "IN", 91, TypeMobile, true}},
		{"American trunk one", "+1 1 415 555 2671", view{"+14155552671", "US", 1, TypeFixedOrMobile, true}},
		{"Mexico", "+52 55 1234 5678", view{"+525512345678", "MX", 52, TypeFixedOrMobile, true}},
		{"Mexican mobile before 2019", "+52 1 55 1234 5678", view{"+525512345678", "MX", 52, TypeFixedOrMobile, true}},
		{"Argentine mobile", "+54 9 11 2345-6789", view{"+5491123456789", "AR", 54, TypeMobile, true}},
		{"Argentine mobile, dialled at home", "+54 011 15 2345-6789", view{"+5491123456789", "AR", 54, TypeMobile, true}},
		{"Argentine fixed", "+54 11 2345-6789", view{"+541123456789", "AR", 54, TypeFixed, true}},

		{"international toll-free", "+800 1234 5678", view{"+80012345678", "", 800, TypeTollFree, true}},
		{"satellite", "+881 6 1234 5678", view{"+881612345678", "", 881, TypeMobile, true}},
		{"international network", "+883 5100 0123 4567", view{"+883510001234567", "", 883, TypeVoIP, true}},
		{"international premium", "+979 1 2345 6789", view{"+979123456789", "", 979, TypePremium, true}},
		{"shortest", "+683 1234", view{"+6831234", "NU", 683, TypeUnknown, false}},
		{"15 digits", "+49 1234567890123", view{"+491234567890123", "DE", 49, TypeUnknown, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, viewOf(n)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := ParseDigits(strings.TrimPrefix(n.E164(), "+"))
			if err != nil || !again.Equal(n) {
				t.Errorf("ParseDigits of the same: %q, %v", again.E164(), err)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     error
	}{
		{"empty", "", ErrEmpty},
		{"white space", " \t\n", ErrEmpty},
		{"plus alone", "+", ErrEmpty},
		{"plus and punctuation", "+ ()-", ErrEmpty},
		{"no plus", "14155552671", ErrNoPlus},
		{"00", "0014155552671", ErrNoPlus},
		{"full-width plus", "＋14155552671", ErrNoPlus},
		{"full-width digits", "+１４１５５５５２６７１", ErrCharacter},
		{"Arabic digits", "+١٤١٥٥٥٥٢٦٧١", ErrCharacter},
		{"letters", "+1800FLOWERS", ErrCharacter},
		{"extension", "+14155552671;ext=12", ErrCharacter},
		{"extension in words", "+14155552671 ext 12", ErrCharacter},
		{"extension by #", "+14155552671#12", ErrCharacter},
		{"tel URI", "tel:+14155552671", ErrNoPlus},
		{"two pluses", "++14155552671", ErrCharacter},
		{"plus inside", "+1415+5552671", ErrCharacter},
		{"two numbers", "+14155552671,+14155552672", ErrCharacter},
		{"dialling pause", "+14155552671,,1", ErrCharacter},
		{"no-break space inside", "+1\u00a04155552671", ErrCharacter},
		{"direction mark", "\u202a+14155552671\u202c", ErrNoPlus},
		{"NUL", "+1415555267\x001", ErrCharacter},
		{"not UTF-8", "+1415555267\xff", ErrCharacter},
		{"code alone", "+1", ErrTooShort},
		{"too short", "+1415", ErrTooShort},
		{"local number", "+1 555 2671", ErrTooShort},
		{"too short after the code", "+4912", ErrTooShort},
		{"too long for its country", "+141555526711", ErrTooLong},
		{"16 digits", "+1415555267112345", ErrTooLong},
		{"long text", "+" + strings.Repeat("1", 1<<20), ErrTooLong},
		{"long punctuation", "+1415555" + strings.Repeat(" ", 60) + "2671", ErrTooLong},
		{"code zero", "+0123456789", ErrCountryCode},
		{"no such code", "+999123456789", ErrCountryCode},
		{"spare code", "+210123456789", ErrCountryCode},
		{"length between two possible ones", "+790112345678", ErrLength},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(tt.in)
			if !errors.Is(err, tt.want) || !n.IsZero() {
				t.Errorf("got %q, %v, want %v", n.E164(), err, tt.want)
			}
		})
	}
}

func TestParseDigits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, want string
		err      error
	}{
		{"4512345678", "+4512345678", nil},
		{"+4512345678", "+4512345678", nil},
		{" 1-415-555-2671 ", "+14155552671", nil},
		{"5215512345678", "+525512345678", nil},
		{"", "", ErrEmpty},
		{" ", "", ErrEmpty},
		{"+", "", ErrEmpty},
		{"++4512345678", "", ErrCharacter},
		{"004512345678", "", ErrCountryCode},
		{"me@example.com", "", ErrCharacter},
	}
	for _, tt := range tests {
		n, err := ParseDigits(tt.in)
		if !errors.Is(err, tt.err) || n.E164() != tt.want {
			t.Errorf("ParseDigits(%q) = %q, %v, want %q, %v", tt.in, n.E164(), err, tt.want, tt.err)
		}
	}
}

func TestZero(t *testing.T) {
	t.Parallel()
	var n Number
	if !n.IsZero() || n.Assigned() || n.CountryCode() != 0 || n.Type() != TypeUnknown {
		t.Errorf("the zero Number claims something: %+v", viewOf(n))
	}
	if s := n.E164() + n.Region() + n.Prefix() + n.Mask() + n.String(); s != "" {
		t.Errorf("the zero Number shows %q", s)
	}
	if !n.Equal(Number{}) {
		t.Error("the zero Number is not itself")
	}
	m := mustParse(t, "+14155552671")
	if m.IsZero() || n.Equal(m) || m.Equal(n) {
		t.Error("a number is equal to the zero Number")
	}
}

func TestMaskAndPrefix(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, mask, prefix string }{
		{"+14155552671", "+1********71", "+1415555"},
		{"+442079460018", "+44********18", "+44207946"},
		{"+2250101234567", "+225********67", "+225010123"},
		{"+6831234", "+683**34", "+683"},
	}
	for _, tt := range tests {
		n := mustParse(t, tt.in)
		if n.Mask() != tt.mask || n.Prefix() != tt.prefix {
			t.Errorf("%s: mask %q, prefix %q, want %q, %q", tt.in, n.Mask(), n.Prefix(), tt.mask, tt.prefix)
		}
	}
}

// Each type of the library has one of ours.
func TestLineTypes(t *testing.T) {
	t.Parallel()
	want := map[phonenumbers.PhoneNumberType]LineType{
		phonenumbers.FIXED_LINE: TypeFixed, phonenumbers.MOBILE: TypeMobile,
		phonenumbers.FIXED_LINE_OR_MOBILE: TypeFixedOrMobile, phonenumbers.TOLL_FREE: TypeTollFree,
		phonenumbers.PREMIUM_RATE: TypePremium, phonenumbers.SHARED_COST: TypeSharedCost,
		phonenumbers.VOIP: TypeVoIP, phonenumbers.PERSONAL_NUMBER: TypePersonal, phonenumbers.PAGER: TypePager,
		phonenumbers.UAN: TypeUAN, phonenumbers.VOICEMAIL: TypeVoicemail, phonenumbers.UNKNOWN: TypeUnknown,
	}
	seen := map[LineType]bool{}
	for from, to := range want {
		if got := lineType(from); got != to {
			t.Errorf("type %d is %q, want %q", from, got, to)
		}
		seen[to] = true
	}
	if len(seen) != len(want) {
		t.Error("two types share a name")
	}
}

// Every country's sample number is accepted, keeps its form, and is told as
// the library tells it.
func TestEveryCountry(t *testing.T) {
	t.Parallel()
	for region := range phonenumbers.GetSupportedRegions() {
		for _, typ := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE} {
			sample := phonenumbers.GetExampleNumberForType(region, typ)
			if sample == nil {
				continue
			}
			e164 := phonenumbers.Format(sample, phonenumbers.E164)
			n, err := Parse(e164)
			// Countries that share a range (GB and IM, say) have one name there.
			want := phonenumbers.GetRegionCodeForNumber(sample)
			if err != nil || n.E164() != e164 || n.Region() != want || !n.Assigned() {
				t.Errorf("%s %s: %+v, %v", region, e164, viewOf(n), err)
			}
			checkNumber(t, n)
		}
	}
}

// Assigned reads the library's answer off the line type; both must agree.
func TestAssignedAgreesWithLibrary(t *testing.T) {
	t.Parallel()
	const seed = 5
	r := rand.New(rand.NewPCG(seed, seed))
	valid := 0
	for range 1500 {
		digits := []byte("+1415")
		if r.IntN(2) == 0 {
			digits = []byte{'+'}
		}
		for range 10 {
			digits = append(digits, byte('0'+r.IntN(10)))
		}
		n, err := Parse(string(digits[:min(len(digits), 12)]))
		if err != nil {
			continue
		}
		parsed, err := phonenumbers.Parse(n.E164(), phonenumbers.UNKNOWN_REGION)
		if err != nil {
			t.Fatal(err)
		}
		want := phonenumbers.IsValidNumber(parsed)
		if n.Assigned() != want {
			t.Errorf("%s: Assigned is %t", n.E164(), !want)
		}
		if want {
			valid++
		}
	}
	if valid < 50 {
		t.Errorf("only %d of the numbers were assigned: the test shows little", valid)
	}
}

func mustParse(tb testing.TB, s string) Number {
	tb.Helper()
	n, err := Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// checkNumber holds what is true of every Number.
func checkNumber(t *testing.T, n Number) {
	t.Helper()
	e := n.E164()
	if len(e) < 2 || len(e) > 1+maxDigits || e[0] != '+' || e[1] == '0' || strings.Trim(e[1:], "0123456789") != "" {
		t.Fatalf("%q is not E.164", e)
	}
	again, err := Parse(e)
	if err != nil || viewOf(again) != viewOf(n) {
		t.Fatalf("%q parses as %+v, %v, want %+v", e, viewOf(again), err, viewOf(n))
	}
	head := 1 + codeDigits(n.CountryCode())
	if mask := n.Mask(); len(mask) != len(e) || mask[:head] != e[:head] || mask[len(e)-2:] != e[len(e)-2:] ||
		strings.Trim(mask[head:len(e)-2], "*") != "" || len(e)-head < 4 {
		t.Fatalf("%q is masked as %q", e, mask)
	}
	if p := n.Prefix(); p != e[:len(e)-4] {
		t.Fatalf("%q has prefix %q", e, p)
	}
	if n.Assigned() != (n.Type() != TypeUnknown) {
		t.Fatalf("%q: assigned %t, type %s", e, n.Assigned(), n.Type())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"+14155552671", "+44 (0)20 7946 0018", "+5215512345678", "+54 011 15 2345-6789", "+390612345678",
		"+9100000000", "+00", "+800 1234 5678", "+6831234", "14155552671", "+１２３", "+1;ext=2", " + 7 8 495 123 45 67",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		d, errD := ParseDigits(s)
		if err == nil && (errD != nil || !d.Equal(n)) {
			t.Fatalf("ParseDigits(%q) = %q, %v, want %q", s, d.E164(), errD, n.E164())
		}
		for _, e := range []error{err, errD} {
			if e != nil && len(s) > 3 && strings.Contains(e.Error(), strings.TrimSpace(s)) && strings.ContainsAny(s, "0123456789") {
				t.Fatalf("the error holds the text: %v", e)
			}
		}
		if err != nil && !n.IsZero() || errD != nil && !d.IsZero() {
			t.Fatalf("%q gives an error and a number", s)
		}
		if errD == nil {
			checkNumber(t, d)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"+14155552671", "+447911123456"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What is worked out when it is first asked for is the same for all who ask at
// once.
func TestNumberIsSharedByManyGoroutines(t *testing.T) {
	t.Parallel()
	n, err := Parse("+14155552671")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if r, line, known := n.Region(), n.Type(), n.Assigned(); r != "US" || line != TypeFixedOrMobile || !known {
				t.Errorf("%s, %v, assigned: %t", r, line, known)
			}
		})
	}
	all.Wait()
}
