package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A grapheme cluster is what a person takes for one character: a letter with
// its marks, a flag, a family of emoji. Twilio's segment calculator never
// splits one across segments. It follows Unicode 10, so this file does (UAX
// #29, revision 31): later versions join a few emoji more.

// class is a character's Grapheme_Cluster_Break property.
type class uint8

const (
	other class = iota
	control
	extend
	joiner // ZERO WIDTH JOINER
	spacing
	prepend
	regional
	leading // Hangul syllable parts and syllables
	vowel
	trailing
	leadingVowel
	leadingVowelTrailing
	person // takes a skin tone
	tone
	joined       // joins what it follows through a joiner
	joinedPerson // both
)

// clusterLen returns the length in bytes of the first cluster of s, which is
// not empty. CR and LF are clusters of their own.
func clusterLen(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	prev := classOf(r)
	flags := 0 // regional indicators at the end of the cluster
	base := prev
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		next := classOf(r)
		if prev == regional {
			flags++
		} else {
			flags = 0
		}
		if !joins(prev, next, base, flags) {
			break
		}
		if next != extend {
			base = next
		}
		prev = next
		n += size
	}
	return n
}

// joins tells whether no boundary lies between prev and next. The base is the
// last character that is no mark; flags counts the regional indicators so far.
func joins(prev, next, base class, flags int) bool {
	switch {
	case prev == control || next == control: // GB3 to GB5
		return false
	case next == extend, next == joiner, next == spacing, prev == prepend: // GB9, 9a, 9b
		return true
	}
	switch next {
	case leading, leadingVowel, leadingVowelTrailing: // GB6
		return prev == leading
	case vowel: // GB6, GB7
		return prev == leading || prev == leadingVowel || prev == vowel
	case trailing: // GB7, GB8
		return prev == leadingVowel || prev == vowel || prev == leadingVowelTrailing || prev == trailing
	case tone: // GB10
		return base == person || base == joinedPerson
	case joined, joinedPerson: // GB11
		return prev == joiner
	case regional: // GB12, GB13
		return flags%2 == 1
	}
	return false
}

// classOf returns the class of r.
func classOf(r rune) class {
	switch {
	case r < ' ' || r == 0x7F:
		return control
	case r < 0x300:
		if r == 0xAD || r >= 0x80 && r < 0xA0 {
			return control
		}
		return other
	case r >= 0x370 && r < 0x483, r >= 0x4E00 && r < 0xA000:
		return other // Greek, Cyrillic, Chinese: no need to search the tables
	case r == 0x200D:
		return joiner
	case r >= 0x1100 && r <= 0x11FF, r >= 0xA960 && r <= 0xD7FF:
		if c := hangul(r); c != other {
			return c
		}
	case r >= 0x2600 && r <= 0x27BF, r >= 0x1F000:
		if c := emoji(r); c != other {
			return c
		}
	}
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Grapheme_Extend):
		return extend
	case unicode.Is(unicode.Mc, r):
		if standsAlone(r) {
			return other
		}
		return spacing
	case r == 'ำ' || r == 'ຳ': // Thai and Lao AM, letters that act as marks
		return spacing
	case r == 'ൎ' || unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return prepend
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return control
	}
	return other
}

// hangul returns the class of a Hangul syllable or part of one (The Unicode
// Standard, 3.12).
func hangul(r rune) class {
	switch {
	case r >= 0x1100 && r <= 0x115F, r >= 0xA960 && r <= 0xA97C:
		return leading
	case r >= 0x1160 && r <= 0x11A7, r >= 0xD7B0 && r <= 0xD7C6:
		return vowel
	case r >= 0x11A8 && r <= 0x11FF, r >= 0xD7CB && r <= 0xD7FB:
		return trailing
	case r >= 0xAC00 && r <= 0xD7A3:
		if (r-0xAC00)%28 == 0 { // 27 trailing consonants, and none
			return leadingVowel
		}
		return leadingVowelTrailing
	}
	return other
}

// standsAlone reports that a spacing mark does not join the letter before it.
// Most of these are Burmese.
func standsAlone(r rune) bool {
	switch {
	case r == 0x102B, r == 0x102C, r == 0x1038, r == 0x1083, r == 0x108F,
		r >= 0x1062 && r <= 0x1064, r >= 0x1067 && r <= 0x106D,
		r >= 0x1087 && r <= 0x108C, r >= 0x109A && r <= 0x109C,
		r == 0x1A61, r == 0x1A63, r == 0x1A64, r == 0xAA7B, r == 0xAA7D:
		return true
	}
	return false
}

// Emoji that take a skin tone, and emoji that may follow a joiner.
const (
	toned = "☝⛹✊✋✌✍🎅🏂🏃🏄🏇🏊🏋🏌👂👃👆👇👈👉👊👋👌👍👎👏👐👮👰👱👲👳👴👵👶👷👸👼💁💂💃💅💆💇💪" +
		"🕴🕵🕺🖐🖕🖖🙅🙆🙇🙋🙌🙍🙎🙏🚣🚴🚵🚶🛀🛌🤘🤙🤚🤛🤜🤞🤟🤦🤰🤱🤲🤳🤴🤵🤶🤷🤸🤹🤽🤾🧑🧒🧓🧔🧕🧖🧗🧘🧙🧚🧛🧜🧝"
	afterJoiner = "♀♂⚕⚖✈❤🌈🌾🍳🎓🎤🎨🏫🏭💋💻💼🔧🔬🗨🚀🚒"
)

// emoji returns the class of an emoji that takes part in sequences.
func emoji(r rune) class {
	switch {
	case r >= 0x1F1E6 && r <= 0x1F1FF:
		return regional
	case r >= 0x1F3FB && r <= 0x1F3FF:
		return tone
	case r >= 0x1F466 && r <= 0x1F469: // boy, girl, man, woman
		return joinedPerson
	case strings.ContainsRune(toned, r):
		return person
	case strings.ContainsRune(afterJoiner, r):
		return joined
	}
	return other
}
