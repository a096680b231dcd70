package sms

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSmartEncode(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, want string }{
		{"", ""},
		{"Your code is 123456.", "Your code is 123456."},
		{"“it’s” `so` „low“ «guillemets»", `"it's" 'so' "low" "guillemets"`},
		{"a–b—c―d‐e•f", "a-b-c-d-e-f"},
		{"wait…", "wait..."},
		{"a\u00a0b\u2003c\u2001d\u2028e", "a  b  c d e"},
		{"a\tb", "a       b"},
		{"1\u200b2\u200c3\ufeff4\u20605", "12345"},
		{"½ ¼ ¾ ÷ ‼", "1/2 1/4 3/4 / !!"},
		{"ＡＢＣ１２３！？＠［］｛｝～", "ABC123!?@[]{}~"},
		{"ａｂｃ", "ａｂｃ"}, // small full-width letters stay
		{"ᴄᴏᴅᴇ ꜱɢɪɴ", "CODE SGIN"},
		{"❨1❩ ❴2❵ ‹3› ﹣﹫﹪", "(1) {2} <3> -@%"},
		{"、。｡ː꞉", ",..::"},
		{"e\u0301 o\u0302 a\u0303", "e\u0301 o^ a~"},
		{"áçêíóú 字 😀 € é", "áçêíóú 字 😀 € é"},
		{"bad \xff \xf0\x9f“", "bad \xff \xf0\x9f\""},
		{"\ufffd", "\ufffd"},
		{"line\r\nbreak\f", "line\r\nbreak\f"},
	}
	for _, tt := range tests {
		if got := SmartEncode(tt.body); got != tt.want {
			t.Errorf("SmartEncode(%q) = %q, want %q", tt.body, got, tt.want)
		}
	}
}

// The table holds each character once, none that GSM-7 has but the tab's kin,
// and replaces it by GSM-7 only.
func TestSmartTable(t *testing.T) {
	t.Parallel()
	seen := map[rune]bool{}
	for _, x := range replacements {
		for _, r := range x.to {
			if septets(r) == 0 {
				t.Errorf("%q, which stands in for %q, is not GSM-7", r, x.from)
			}
		}
		for _, r := range x.from {
			if seen[r] {
				t.Errorf("%U %q is there twice", r, r)
			}
			seen[r] = true
			if septets(r) > 0 {
				t.Errorf("%U %q is GSM-7 itself", r, r)
			}
			if r == utf8.RuneError {
				t.Errorf("a replacement of %q is not UTF-8", x.to)
			}
			if to, ok := smart(r); !ok || to != x.to {
				t.Errorf("%U %q becomes %q, want %q", r, r, to, x.to)
			}
		}
	}
	total := 0
	for r := range rune(0x110000) {
		if _, ok := smart(r); ok {
			total++
		}
	}
	if total != 271 {
		t.Errorf("%d characters are replaced; Twilio's calculator has 271", total)
	}
}

func TestSmartEncodeAllocates(t *testing.T) {
	body := strings.Repeat("Ihr Code lautet: 123456 (grüße) ", 10)
	if n := testing.AllocsPerRun(100, func() { SmartEncode(body) }); n > 0 {
		t.Errorf("SmartEncode of a body that stays makes %v allocations", n)
	}
}

func BenchmarkSmartEncode(b *testing.B) {
	for _, bm := range []struct{ name, body string }{
		{"plain", "Your sign-in code is 123456. Do not give it to anybody."},
		{"curly", "“123456” is your sign-in code – don’t give it to anybody…"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				SmartEncode(bm.body)
			}
		})
	}
}
