package sms

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func clusters(s string) []string {
	var out []string
	for s != "" {
		n := clusterLen(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

func TestClusters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		want []string // joined, they are the input
	}{
		{"letters", []string{"a", "é", "Ω", "字"}},
		{"line breaks", []string{"\r", "\n", "\n", "a"}},
		{"marks", []string{"e\u0301", "a\u0308\u0323", "x"}},
		{"mark at the start and after a control", []string{"\u0301", "\n", "\u0301"}},
		{"soft hyphen", []string{"a", "\u00AD", "b"}},
		{"zero-width non-joiner", []string{"a\u200C", "b"}},
		{"zero-width space", []string{"a", "\u200B", "b"}},
		{"Thai", []string{"ร", "หั", "ส", "คำ", "เ", "ป็", "น"}},
		{"Lao", []string{"ຄຳ"}},
		{"Hindi", []string{"स", "त्", "या", "प", "न"}},
		{"Tamil", []string{"கு", "றி", "யீ", "டு"}},
		{"Burmese", []string{"က", "ာ", "က", "း", "ကို"}},
		{"Arabic", []string{"هُ", "وَ"}},
		{"Arabic number sign", []string{"\u0600١"}},
		{"Malayalam dot reph", []string{"ൎക"}},
		{"Hangul syllables", []string{"한", "글"}},
		{"Hangul parts", []string{"\u1100\u1161\u11A8", "\u1100\u1100\uAC00\u11A8", "\uAC01\u11A8", "\u1161\u1161\u11A8"}},
		{"Hangul that does not join", []string{"\uAC01", "\u1161", "\u1100", "a", "\u11A8", "\u1100"}},
		{"skin tones", []string{"👍🏽", "☝🏿", "👩🏻"}},
		{"a tone alone", []string{"a", "🏽", "👍🏽", "🏽"}},
		{"flags", []string{"🇩🇪", "🇺🇸", "🇦"}},
		{"odd indicator before a letter", []string{"🇩🇪", "🇺", "a", "🇸"}},
		{"flag of England", []string{"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "x"}},
		{"family", []string{"👨‍👩‍👧‍👦", "👨", "👩"}},
		{"professions", []string{"👩‍💻", "👩🏽‍🚒", "🏃🏻‍♂️"}},
		{"rainbow flag", []string{"🏳️‍🌈"}},
		{"keycap", []string{"1️⃣", "2"}},
		{"heart", []string{"❤️", "❤"}},
		{"joiner before what does not join", []string{"a\u200D", "b"}},
		{"not UTF-8", []string{"\xff", "\xfe", "a", "\xf0", "\x9f"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s string
			for _, c := range tt.want {
				s += c
			}
			if diff := cmp.Diff(tt.want, clusters(s)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
