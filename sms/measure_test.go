package sms

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	gsmBasic = "\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz" +
		"¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ"
	gsmExtension = "\f[\\]^{|}~€"
)

func TestGSMAlphabet(t *testing.T) {
	t.Parallel()
	for r := range rune(0x11000) {
		want := 0
		switch {
		case r >= 0xD800 && r < 0xE000:
			continue
		case strings.ContainsRune(gsmBasic, r):
			want = 1
		case strings.ContainsRune(gsmExtension, r):
			want = 2
		}
		if got := septets(r); got != want {
			t.Errorf("%U %q takes %d septets, want %d", r, r, got, want)
		}
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	tests := []struct {
		name string
		body string
		want Size
	}{
		{"empty", "", Size{EncodingGSM7, 0, 1, nil}},
		{"one", "a", Size{EncodingGSM7, 1, 1, nil}},
		{"CR LF FF", "\r\n\f", Size{EncodingGSM7, 4, 1, nil}},
		{"GSM-7 full", rep("a", 160), Size{EncodingGSM7, 160, 1, nil}},
		{"GSM-7 one over", rep("a", 161), Size{EncodingGSM7, 161, 2, nil}},
		{"GSM-7 two full", rep("a", 306), Size{EncodingGSM7, 306, 2, nil}},
		{"GSM-7 three", rep("a", 307), Size{EncodingGSM7, 307, 3, nil}},
		{"extension full", rep("€", 80), Size{EncodingGSM7, 160, 1, nil}},
		{"extension over", rep("€", 81), Size{EncodingGSM7, 162, 2, nil}},
		// 153 is odd: each segment of pairs leaves one septet empty.
		{"escape pairs stay whole", rep("€", 153), Size{EncodingGSM7, 306, 3, nil}},
		{"escape pair at the seam", rep("a", 152) + "€" + rep("a", 152), Size{EncodingGSM7, 306, 3, nil}},
		{"escape pair before the seam", rep("a", 151) + "€" + rep("a", 153), Size{EncodingGSM7, 306, 2, nil}},

		{"UCS-2 full", rep("ê", 70), Size{EncodingUCS2, 70, 1, []rune("ê")}},
		{"UCS-2 one over", rep("ê", 71), Size{EncodingUCS2, 71, 2, []rune("ê")}},
		{"UCS-2 two full", rep("ê", 134), Size{EncodingUCS2, 134, 2, []rune("ê")}},
		{"UCS-2 three", rep("ê", 135), Size{EncodingUCS2, 135, 3, []rune("ê")}},
		{"extension characters are one unit", "ê" + rep("€", 69), Size{EncodingUCS2, 70, 1, []rune("ê")}},
		{"emoji", rep("😀", 35), Size{EncodingUCS2, 70, 1, []rune("😀")}},
		{"emoji over", rep("😀", 36), Size{EncodingUCS2, 72, 2, []rune("😀")}},
		// 67 is odd: each segment of emoji leaves one unit empty.
		{"surrogate pairs stay whole", rep("😀", 67), Size{EncodingUCS2, 134, 3, []rune("😀")}},
		{"a letter and its mark stay whole", rep("x", 66) + "e\u0301" + rep("x", 66), Size{EncodingUCS2, 134, 3, []rune("\u0301")}},
		{"a flag stays whole", rep("x", 64) + "🇩🇪" + rep("x", 66), Size{EncodingUCS2, 134, 3, []rune("🇩🇪")}},
		{"in one segment nothing is split", rep("x", 66) + "🇩🇪", Size{EncodingUCS2, 70, 1, []rune("🇩🇪")}},
		{"no segment holds it whole", "x" + rep("\u0301", 133), Size{EncodingUCS2, 134, 2, []rune("\u0301")}},
		{"CR LF may part", rep("ê", 66) + "\r\n" + rep("ê", 66), Size{EncodingUCS2, 134, 2, []rune("ê")}},

		{"what forces, in order and once", "aé“b”ê“€`", Size{EncodingUCS2, 9, 1, []rune("“”ê`")}},
		{"NUL", "\x00", Size{EncodingUCS2, 1, 1, []rune{0}}},
		{"not UTF-8", "a\xffb\xfe", Size{EncodingUCS2, 4, 1, []rune{utf8.RuneError}}},
		{"half a character", "\xf0\x9f\x98", Size{EncodingUCS2, 3, 1, []rune{utf8.RuneError}}},
		{"surrogate in UTF-8", "\xed\xa0\x80", Size{EncodingUCS2, 3, 1, []rune{utf8.RuneError}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Measure(tt.body)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMeasureManyForcing(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	var want []rune
	for r := rune(0x4E00); r < 0x4E00+5000; r++ {
		want = append(want, r)
		body.WriteString(string(r) + "a" + string(r))
	}
	body.WriteString(string(want[0]) + string(want[4999]))
	if got := Measure(body.String()).ForcedBy; !slices.Equal(got, want) {
		t.Errorf("%d characters force UCS-2, want %d in order of appearance", len(got), len(want))
	}
}

func TestBodyLength(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body string
		want int
	}{
		{"", 0}, {"abc", 3}, {"é€", 2}, {"😀", 2}, {"👩‍💻", 5}, {"\xff\xfe", 2}, {strings.Repeat("a", MaxBody), MaxBody},
	}
	for _, tt := range tests {
		if got := BodyLength(tt.body); got != tt.want {
			t.Errorf("BodyLength(%q) = %d, want %d", tt.body, got, tt.want)
		}
	}
}

// split cuts a body into segments by trial: each takes as many whole clusters
// as fit, and a cluster that fits nowhere gives way character by character.
func split(body string, e Encoding) []string {
	size, alone, joined := utf16Len, ucsAlone, ucsJoined
	if e == EncodingGSM7 {
		size, alone, joined = septetLen, gsmAlone, gsmJoined
	}
	if size(body) <= alone {
		return []string{body}
	}
	var pieces []string
	for rest := body; rest != ""; {
		n := clusterLen(rest)
		if size(rest[:n]) > joined {
			for _, r := range rest[:n] {
				pieces = append(pieces, string(r))
			}
		} else {
			pieces = append(pieces, rest[:n])
		}
		rest = rest[n:]
	}
	var segments []string
	for len(pieces) > 0 {
		n := 1
		for n < len(pieces) && size(strings.Join(pieces[:n+1], "")) <= joined {
			n++
		}
		segments = append(segments, strings.Join(pieces[:n], ""))
		pieces = pieces[n:]
	}
	return segments
}

func utf16Len(s string) int { return len(utf16.Encode([]rune(s))) }

func septetLen(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if strings.ContainsRune(gsmExtension, r) {
			n++
		}
	}
	return n
}

func checkMeasure(t *testing.T, body string) {
	t.Helper()
	if len(body) > 4000 {
		body = body[:4000] // the slow count is quadratic
	}
	got := Measure(body)
	var forced []rune
	for _, r := range body {
		if !strings.ContainsRune(gsmBasic+gsmExtension, r) && !slices.Contains(forced, r) {
			forced = append(forced, r)
		}
	}
	if !slices.Equal(got.ForcedBy, forced) {
		t.Fatalf("%q is forced by %q, want %q", body, got.ForcedBy, forced)
	}
	encoding, units, joined := EncodingGSM7, septetLen(body), gsmJoined
	if len(forced) > 0 {
		encoding, units, joined = EncodingUCS2, utf16Len(body), ucsJoined
	}
	if got.Encoding != encoding || got.Units != units {
		t.Fatalf("%q: %s, %d units, want %s, %d", body, got.Encoding, got.Units, encoding, units)
	}
	if want := len(split(body, encoding)); got.Segments != want {
		t.Fatalf("%q takes %d segments, want %d", body, got.Segments, want)
	}
	if got.Segments > 1 && got.Segments*joined < got.Units {
		t.Fatalf("%q: %d units do not fit %d segments", body, got.Units, got.Segments)
	}
	if n := BodyLength(body); n != utf16Len(body) {
		t.Fatalf("BodyLength(%q) = %d, want %d", body, n, utf16Len(body))
	}
	plain := SmartEncode(body)
	if again := SmartEncode(plain); again != plain {
		t.Fatalf("SmartEncode of %q gives %q, of that %q", body, plain, again)
	}
	if encoding == EncodingGSM7 && Measure(plain).Encoding != EncodingGSM7 {
		t.Fatalf("SmartEncode takes %q out of GSM-7", body)
	}
}

var bodies = []string{
	"", "Your code is 123456.", "“Curly” – and more…", strings.Repeat("€", 153), strings.Repeat("😀", 67),
	strings.Repeat("x", 66) + "e\u0301" + strings.Repeat("x", 66), "👩‍👩‍👧🏳️‍🌈👍🏽🇩🇪1️⃣", "รหัสของคุณคือ", "आपका कोड",
	"인증번호각ᄀ", "\xff\xfe\xed\xa0\x80", "a\r\nb\f\x00", "x" + strings.Repeat("\u0301", 200),
}

func FuzzMeasure(f *testing.F) {
	for _, b := range bodies {
		f.Add(b)
		f.Add(strings.Repeat(b+"a", 9))
	}
	f.Fuzz(checkMeasure)
}

// The fuzzer seldom comes near a seam; this does on purpose.
func TestMeasureNearSeams(t *testing.T) {
	t.Parallel()
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	pieces := []string{"a", "é", "€", "{", "\r\n", "ê", "ê", "😀", "👩‍💻", "🇩🇪", "👍🏽", "e\u0301", "คำ", "क्षि", "한", "각"}
	limits := []int{70, 134, 201, 160, 306, 459}
	for range 2000 {
		some := pieces[:1+r.IntN(len(pieces))]
		want := limits[r.IntN(len(limits))] - 4 + r.IntN(8)
		var body strings.Builder
		for BodyLength(body.String()) < want {
			body.WriteString(some[r.IntN(len(some))])
		}
		checkMeasure(t, body.String())
	}
}

func TestMeasureAllocates(t *testing.T) {
	body := strings.Repeat("Your code is {123456}. ", 20)
	if n := testing.AllocsPerRun(100, func() { Measure(body) }); n > 0 {
		t.Errorf("Measure of a GSM-7 body makes %v allocations", n)
	}
}

func BenchmarkMeasure(b *testing.B) {
	for _, bm := range []struct{ name, body string }{
		{"GSM-7", "Your sign-in code is 123456. Do not give it to anybody."},
		{"UCS-2", "Ваш код для входа: 123456. Никому его не сообщайте."},
		{"longest", strings.Repeat("验证码是", MaxBody/4)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Measure(bm.body)
			}
		})
	}
}
