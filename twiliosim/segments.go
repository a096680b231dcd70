package twiliosim

import (
	"strings"
	"unicode/utf8"
)

// The alphabets of 3GPP TS 23.038. A character of the extension takes two
// septets, every other character outside both forces UCS-2.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// septets is how many septets a character takes, 0 if GSM-7 lacks it.
func septets(r rune) int {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ':
		return 1
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	}
	return 0
}

func utf16Units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// utf16Len counts as Twilio counts the 1600 characters of a body: an emoji
// is more than one.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16Units(r)
	}
	return n
}

// segments counts the parts of a text: one of 160 septets or 70 UTF-16 units,
// else parts of 153 or 67. A character is never split between two parts.
func segments(body string) int {
	size, single, part := septets, 160, 153
	for _, r := range body {
		if septets(r) == 0 {
			size, single, part = utf16Units, 70, 67
			break
		}
	}
	total, parts, used := 0, 1, 0
	for _, r := range body {
		n := size(r)
		total += n
		if used+n > part {
			parts++
			used = 0
		}
		used += n
	}
	if total <= single {
		return 1
	}
	return parts
}

// smartMap is what Smart Encoding replaces here: the look-alikes that texts
// really contain. Twilio's own list is longer. It has neither the non-breaking
// hyphen nor the multiplication sign, and makes two blanks of a wide or
// unbreakable one, as Twilio's segment calculator shows. Nothing writes to it.
var smartMap = map[rune]string{
	'‘': "'", '’': "'", '‛': "'", '`': "'", '´': "'", 'ʼ': "'", '‚': ",",
	'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '«': `"`, '»': `"`,
	'‐': "-", '–': "-", '—': "-", '―': "-", '•': "-",
	'…': "...", '‹': "<", '›': ">", '⁄': "/", '∕': "/",
	'¼': "1/4", '½': "1/2", '¾': "3/4",
	'\u00a0': "  ", '\u2002': "  ", '\u2003': "  ", '\u2004': "  ", '\u2005': "  ", '\u2006': "  ",
	'\u2007': "  ", '\u2008': "  ", '\u2009': "  ", '\u200a': "  ", '\u202f': "  ", '\u205f': "  ", '\u3000': "  ",
	'\u200b': "", '\u2060': "", '\ufeff': "",
}

// smartEncode replaces look-alikes of GSM-7 characters.
func smartEncode(body string) string {
	if len(body) == utf8.RuneCountInString(body) && !strings.Contains(body, "`") {
		return body
	}
	var b strings.Builder
	for _, r := range body {
		if to, ok := smartMap[r]; ok {
			b.WriteString(to)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
