package phone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

// libraryView reads a number by the library's own functions alone.
func libraryView(e164 string) (view, error) {
	for range maxDigits {
		n, err := read(withoutMexicanOne(e164))
		if err != nil {
			return view{}, err
		}
		form := phonenumbers.Format(n, phonenumbers.E164)
		if form != e164 {
			e164 = form
			continue
		}
		v := view{E164: form, Code: int(n.GetCountryCode()), Type: lineType(phonenumbers.GetNumberType(n)), Assigned: phonenumbers.IsValidNumber(n)}
		if v.Region = phonenumbers.GetRegionCodeForNumber(n); v.Region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			v.Region = ""
		}
		return v, nil
	}
	return view{}, ErrLength
}

func checkAgrees(t *testing.T, e164 string) (assigned bool) {
	t.Helper()
	want, wantErr := libraryView(e164)
	n, err := Parse(e164)
	if !errors.Is(err, wantErr) {
		t.Errorf("%s: %v, the library says %v", e164, err, wantErr)
	}
	if err != nil || wantErr != nil {
		return false
	}
	if diff := cmp.Diff(want, viewOf(n)); diff != "" {
		t.Errorf("%s (-library +ours):\n%s", e164, diff)
	}
	kept, err := Stored(n.E164())
	if err != nil || viewOf(kept) != viewOf(n) {
		t.Errorf("%s: stored it is %+v, %v", e164, viewOf(kept), err)
	}
	return want.Assigned
}

// Numbers of every plan are read as the library reads them: samples of every
// kind, samples with digits changed, dropped and put in front, and digits by
// chance behind every code.
func TestAgreesWithLibrary(t *testing.T) {
	t.Parallel()
	const seed = 11
	r := rand.New(rand.NewPCG(seed, seed))
	assigned := 0
	check := func(e164 string) {
		if len(e164) <= 1+maxDigits && checkAgrees(t, e164) {
			assigned++
		}
	}
	digit := func() byte { return byte('0' + r.IntN(10)) }
	around := func(sample *phonenumbers.PhoneNumber) {
		e164 := phonenumbers.Format(sample, phonenumbers.E164)
		code := strconv.Itoa(int(sample.GetCountryCode()))
		national := e164[1+len(code):]
		check(e164)
		check(e164[:len(e164)-1])
		check(e164 + "0")
		for _, trunk := range []string{"0", "1", "8", "9", "00", "15"} {
			check("+" + code + trunk + national)
		}
		for range 4 {
			changed := []byte(e164)
			changed[1+len(code)+r.IntN(len(national))] = digit()
			check(string(changed))
		}
	}
	kinds := []phonenumbers.PhoneNumberType{
		phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOIP, phonenumbers.PERSONAL_NUMBER, phonenumbers.PAGER, phonenumbers.UAN, phonenumbers.VOICEMAIL,
	}
	for region := range phonenumbers.GetSupportedRegions() {
		for _, typ := range kinds {
			if sample := phonenumbers.GetExampleNumberForType(region, typ); sample != nil {
				around(sample)
			}
		}
	}
	for code := range phonenumbers.GetSupportedGlobalNetworkCallingCodes() {
		around(phonenumbers.GetExampleNumberForNonGeoEntity(code))
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		for range 12 {
			e164 := fmt.Appendf(nil, "+%d", code)
			for range 2 + r.IntN(13) {
				e164 = append(e164, digit())
			}
			check(string(e164))
		}
	}
	if assigned < 1500 {
		t.Errorf("only %d of the numbers were assigned: the test shows little", assigned)
	}
}

// Every plan of the library's is here, and none has a shorter number than
// Stored takes.
func TestEveryPlan(t *testing.T) {
	t.Parallel()
	codes := phonenumbers.GetSupportedCallingCodes()
	if len(plans) != len(codes) || len(codes) < 200 {
		t.Errorf("%d plans of %d", len(plans), len(codes))
	}
	for code := range codes {
		p := plans[code]
		if p == nil || p.code != code || p.whole == 0 {
			t.Errorf("+%d: %+v", code, p)
			continue
		}
		shortest := 1
		for !p.whole.has(shortest) {
			shortest++
		}
		if total := len(strconv.Itoa(code)) + shortest; total < minDigits {
			t.Errorf("+%d has numbers of %d digits", code, total)
		}
		for i := 10; i <= code; i *= 10 {
			if plans[code/i] != nil {
				t.Errorf("+%d is the start of +%d", code/i, code)
			}
		}
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "+", "14155552671", "+14155", "+1415555267112345", "+04155552671", "+1415555267a", "+1 4155552671", "+1415555267\x00", "+١٤١٥٥٥", " +14155552671",
	} {
		if n, err := Stored(s); !errors.Is(err, ErrStored) || !n.IsZero() {
			t.Errorf("%q: %v, %v", s, n, err)
		}
	}
	tests := map[string]view{
		"+14155552671":     {"+14155552671", "US", 1, TypeFixedOrMobile, true},
		"+491234":          {"+491234", "DE", 49, TypeUnknown, false},
		"+491234567890123": {"+491234567890123", "DE", 49, TypeUnknown, false},
		// What a plan no longer has stays what it was.
		"+999123456789": {"+999123456789", "", 0, TypeUnknown, false},
		"+141555526711": {"+141555526711", "", 1, TypeUnknown, false},
	}
	for s, want := range tests {
		n, err := Stored(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if diff := cmp.Diff(want, viewOf(n)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if mask := n.Mask(); len(mask) != len(s) || mask[len(mask)-2:] != s[len(s)-2:] {
			t.Errorf("%s is masked as %s", s, mask)
		}
	}
}

func TestStoredIsSharedByManyGoroutines(t *testing.T) {
	t.Parallel()
	n, err := Stored("+447400123456")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if got := viewOf(n); got != (view{"+447400123456", "GB", 44, TypeMobile, true}) {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
}

func BenchmarkStored(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Stored("+14155552671"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan reads a number and asks all that a policy does.
func BenchmarkPlan(b *testing.B) {
	for _, s := range []string{"+14155552671", "+14165550123", "+447911123456", "+4915201234567"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n, err := Parse(s)
				if err != nil || n.Region() == "" || n.Type() == TypeUnknown {
					b.Fatal(n, err)
				}
			}
		})
	}
}
