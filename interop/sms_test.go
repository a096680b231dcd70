package interop

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/sms"
)

// measured is what the calculator says of one text.
type measured struct {
	Encoding sms.Encoding
	Units    int
	Segments int
	Text     string
}

func measureAll(r *referee, bodies []string, smart bool) []measured {
	r.t.Helper()
	var all []measured
	r.ask("segments.measure", map[string]any{"bodies": bodies, "smart": smart}, &all)
	if len(all) != len(bodies) {
		r.t.Fatalf("%d answers to %d bodies", len(all), len(bodies))
	}
	return all
}

func ours(body string, smart bool) measured {
	if smart {
		body = sms.SmartEncode(body)
	}
	s := sms.Measure(body)
	return measured{s.Encoding, s.Units, s.Segments, body}
}

// compare measures bodies with both and reports the first few that differ.
func compare(t *testing.T, r *referee, bodies []string, smart bool) {
	t.Helper()
	differ := 0
	for i, theirs := range measureAll(r, bodies, smart) {
		if diff := cmp.Diff(theirs, ours(bodies[i], smart)); diff != "" {
			if differ++; differ <= 3 {
				t.Errorf("%+q, smart %t (-theirs +ours):\n%s", bodies[i], smart, diff)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d texts differ", differ, len(bodies))
	}
}

// TestSegmentsOfEachCharacter asks about every character of the planes that
// hold today's scripts and emoji, by itself.
func TestSegmentsOfEachCharacter(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	var bodies []string
	add := func(from, to rune) {
		for c := from; c <= to; c++ {
			if utf8.ValidRune(c) {
				bodies = append(bodies, string(c))
			}
		}
	}
	add(0, 0xFFFF)
	add(0x1D400, 0x1D7FF) // mathematical letters, which look like plain ones
	add(0x1F000, 0x1FAFF) // emoji
	for _, smart := range []bool{false, true} {
		compare(t, r, bodies, smart)
	}
}

// TestSegmentsOfTexts asks about thousands of generated texts, most of them a
// few units from where one more segment begins.
func TestSegmentsOfTexts(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	random := seeded(t)
	bodies := []string{"", "\r\n"}
	for range 2500 {
		bodies = append(bodies, generateText(random))
	}
	for n := range 8 { // whatever chance has made: one more segment each, in both encodings
		bodies = append(bodies, strings.Repeat("a", 150*n+10), strings.Repeat("ж", 66*n+10))
	}
	for _, smart := range []bool{false, true} {
		compare(t, r, bodies, smart)
	}
	kinds := map[sms.Encoding]map[int]bool{sms.EncodingGSM7: {}, sms.EncodingUCS2: {}}
	for _, body := range bodies {
		s := sms.Measure(body)
		kinds[s.Encoding][s.Segments] = true
	}
	for encoding, segments := range kinds {
		if len(segments) < 5 {
			t.Errorf("the texts in %s are too tame: only %d different numbers of segments", encoding, len(segments))
		}
	}
}

// TestSegmentsOfClusters asks which characters stay together. Each text puts a
// place between two characters where a segment ends: it takes two segments if
// they may be parted there, and three if not.
func TestSegmentsOfClusters(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	random := seeded(t)
	const segment = 67
	var bodies []string
	for len(bodies) < 3000 {
		var b strings.Builder
		class := pick(random, [][]string{marks, flags})
		for range 2 + random.IntN(5) {
			b.WriteString(pick(random, class))
		}
		piece := []rune(b.String())
		i := 1 + random.IntN(len(piece)-1)
		before, behind := sms.BodyLength(string(piece[:i])), sms.BodyLength(string(piece[i:]))
		bodies = append(bodies, strings.Repeat("я", segment-before)+string(piece)+strings.Repeat("я", segment-behind))
	}
	compare(t, r, bodies, false)
}

// TestSegmentsDiffer pins where we differ from the calculator, in texts that
// nobody sends.
func TestSegmentsDiffer(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	for name, test := range map[string]struct {
		body         string
		theirs, ours int
	}{
		// The calculator keeps it whole, in a segment that no network carries.
		"a pile of marks longer than a segment": {"a" + strings.Repeat("\u0301", 199), 2, 3},
		// Its library does not follow the rules it cites there (UAX #29, GB9 to GB10).
		"a tone behind marks":  {strings.Repeat("я", 62) + "e\u0301\u200d👨" + "🏽" + strings.Repeat("я", 65), 2, 3},
		"marks on a flag":      {strings.Repeat("я", 62) + "🇩🇪\u200d" + "\ufe0f" + strings.Repeat("я", 66), 2, 3},
		"a sign before a flag": {strings.Repeat("я", 64) + "\u0600🇩🇪" + strings.Repeat("я", 65), 2, 3},
	} {
		if theirs := measureAll(r, []string{test.body}, false)[0].Segments; theirs != test.theirs {
			t.Errorf("%s: theirs are %d segments, not %d", name, theirs, test.theirs)
		}
		if ours := sms.Measure(test.body).Segments; ours != test.ours {
			t.Errorf("%s: ours are %d segments, not %d", name, ours, test.ours)
		}
	}
}

// Pieces of texts, by what they do to a count.
var (
	gsmBasic    = strings.Split("abcdefghijklmnopqrstuvwxyz ABC0123456789@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉÄÖÑÜ§äöñüà¿¡\n\r!\"#¤%&'()*+,-./:;<=>?", "")
	gsmExtended = strings.Split("^{}\\[~]|€\f", "")
	ucsSingle   = strings.Split("óíáúêçãžшкодאבגقد你好验证码日本語한국어ไทย\u0085", "")
	ucsPair     = strings.Split("😀🎉🔒𝟙𝒜𠮷", "")
	lookAlikes  = strings.Split("‘’“”…–—•«»`´\u00a0\u2003\u200b½¼！？：（）～ᴀʙ", "")
	// What joins with its neighbours into one character, and such characters.
	// Flags and skin tones have a list of their own: see TestSegmentsDiffer.
	marks = append(strings.Split("\u200d\u0301\u0308\ufe0f\u20e3\u093f\u0940\u0600\u1100\u1161\u11a8가각👍👩👨❤", ""),
		"👩\u200d👩\u200d👧\u200d👦", "❤\ufe0f\u200d🔥", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1\ufe0f\u20e3", "क\u094dष\u093f", "e\u0301\u0323")
	flags = append(strings.Split("🇩🇪🇫🇷가각👍👩❤🏽яa", ""), "🇩🇪", "🇺🇸", "🇨🇦", "👍🏽")
)

// generateText returns a text of about a number of units at which the number
// of segments changes.
func generateText(r *rand.Rand) string {
	classes := [][]string{gsmBasic}
	for _, class := range [][]string{gsmBasic, gsmExtended, lookAlikes, ucsSingle, ucsPair, pick(r, [][]string{marks, flags})} {
		if r.IntN(3) == 0 {
			classes = append(classes, class)
		}
	}
	target := pick(r, []int{5, 67, 70, 134, 153, 160, 201, 268, 306, 335, 459}) + r.IntN(9) - 4
	if r.IntN(100) == 0 {
		target = 1600 // as long as a text may be
	}
	var b strings.Builder
	for n := 0; n < target; {
		piece := pick(r, pick(r, classes))
		b.WriteString(piece)
		n += sms.Measure(piece).Units
	}
	return b.String()
}
