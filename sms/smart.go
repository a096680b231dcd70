package sms

import (
	"strings"
	"unicode/utf8"
)

// replacement says that each character of from is written as to.
type replacement struct{ to, from string }

// replacements are Twilio's Smart Encoding as its public segment calculator
// applies it, apart from the full-width forms, which smart computes.
var replacements = [...]replacement{
	// Quotes: curly, low, angled, ornamental, and modifier letters.
	{`"`, "«»“”‟„❝❞〝〞ʺˮ"},
	{`'`, "‘’‛❛❜`´ʹʻʼʽˈˊˋ\u0313\u0314︐︑"},
	{`<`, "‹﹤"},
	{`>`, "›﹥"},

	// Dashes, bullets, lines.
	{`-`, "‐–—―•⁃⎼⎽﹣"},
	{`_`, "‗\u0332"},
	{`|`, "∣⎸⎹⏐⎜⎟\u20D2\u20D3"},
	{`/`, "÷⁄∕⧸\u0337\u0338"},
	{`\`, "⧵⧹﹨\u20E5"},
	{`~`, "˜˷∼\u0303\u0330\u0334"},
	{`^`, "ˆ\u0302\u1DCD"},

	// Stops and marks.
	{`.`, "。﹒｡"},
	{`,`, "‚、､﹐﹑\u0326"},
	{`:`, "ː˸⦂꞉︓"},
	{`;`, "⁏︔﹔"},
	{`!`, "ǃ︕﹗"},
	{`?`, "︖﹖"},
	{`...`, "…"},
	{`!!`, "‼"},

	// Brackets.
	{`(`, "❨❪⟮⦅﹙"},
	{`)`, "❩❫⟯⦆﹚"},
	{`{`, "❴﹛"},
	{`}`, "❵﹜"},

	// Signs.
	{`*`, "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆﹡"},
	{`+`, "˖﹢"},
	{`=`, "꞊﹦\u0347"},
	{`#`, "﹟"},
	{`$`, "﹩"},
	{`%`, "﹪"},
	{`&`, "﹠"},
	{`@`, "﹫"},
	{`1/4`, "¼"},
	{`1/2`, "½"},
	{`3/4`, "¾"},

	// Small capitals.
	{`A`, "ᴀ"}, {`B`, "ʙ"}, {`C`, "ᴄ"}, {`D`, "ᴅ"}, {`E`, "ᴇ"}, {`F`, "ꜰ"},
	{`G`, "ɢ"}, {`H`, "ʜ"}, {`I`, "ɪ"}, {`J`, "ᴊ"}, {`K`, "ᴋ"}, {`L`, "ʟ"},
	{`M`, "ᴍ"}, {`N`, "ɴ"}, {`O`, "ᴏ"}, {`P`, "ᴘ"}, {`R`, "ʀ"}, {`S`, "ꜱ"},
	{`T`, "ᴛ"}, {`U`, "ᴜ"}, {`V`, "ᴠ"}, {`W`, "ᴡ"}, {`Y`, "ʏ"}, {`Z`, "ᴢ"},

	// Spaces. That most become two, and a tab seven, is Twilio's choice.
	{"  ", "\u00A0\u2000\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F\u3000" +
		"\u0080\u008D\u0090\u009B\u009F"},
	{" ", "\u2001\u2028\u2029"},
	{"       ", "\t"},

	// Removed: zero-width characters and some controls.
	{"", "\u200B\u200C\u2060\uFEFF\x00\x03\x04\x10\x11\x12\x13\x14\x17\x19"},
}

// smartTable is replacements by character. Nothing writes to it.
var smartTable = func() map[rune]string {
	t := map[rune]string{}
	for _, x := range replacements {
		for _, r := range x.from {
			t[r] = x.to
		}
	}
	return t
}()

// SmartEncode returns body as Twilio's Smart Encoding rewrites it where a
// service has that switched on: typographic characters become their plain
// look-alikes so that the text may fit GSM-7. Everything else, bytes that are
// not UTF-8 included, stays. The result can be longer than body: "…" becomes
// three full stops.
func SmartEncode(body string) string {
	var b strings.Builder
	rest := 0 // what lies before it is in b
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRuneInString(body[i:])
		if to, ok := smart(r); ok {
			b.WriteString(body[rest:i])
			b.WriteString(to)
			rest = i + size
		}
		i += size
	}
	if rest == 0 {
		return body
	}
	b.WriteString(body[rest:])
	return b.String()
}

// smart returns what stands in for r, if anything does.
func smart(r rune) (string, bool) {
	const fullWidth = '！' - '!'
	switch {
	case r > ' ' && r < 0x80 && r != '`':
		return "", false
	case r >= '！' && r <= '＿', r >= '｛' && r <= '～': // not the small letters
		return string(r - fullWidth), true
	}
	to, ok := smartTable[r]
	return to, ok
}
