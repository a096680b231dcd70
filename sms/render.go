package sms

import (
	"strings"
	"unicode/utf8"
)

// Render replaces the placeholders of content by the payload's values, in one
// pass: what a value holds is never expanded again.
//
// A placeholder is {{path}}, white space allowed inside the braces. A path is
// made of ASCII letters, digits, "_" and ".", and its parts lead from the
// payload inwards: {{user.name}} is payload["user"]["name"]. A placeholder
// whose first part the payload does not have stays as it is; one whose first
// part is there but leads nowhere, or to nil, becomes empty. So {{code.}} is
// empty, and {{.code}} stays.
//
// Strings go in as they are. Numbers and booleans go in as JavaScript prints
// them (1e21 as 1e+21, -0 as 0; a json.Number as the float64 that JavaScript
// reads it as), a slice as its members joined by commas. Anything else, a map
// above all, has no form that a person could read and becomes empty. A slice's
// members are reached by their index ({{items.0}}), its length as
// {{items.length}}.
//
// This is the published rule of the connector whose JSON sixdigit reads, which
// prints a map as "[object Object]".
func Render(content string, payload map[string]any) string {
	var b strings.Builder
	rest := 0 // what lies before it is in b
	for start, end, path := nextPlaceholder(content, 0); path != ""; start, end, path = nextPlaceholder(content, end) {
		value, ok := lookUp(payload, path)
		if !ok {
			continue
		}
		if rest == 0 {
			b.Grow(len(content) + typicalGrowth)
		}
		b.WriteString(content[rest:start])
		b.WriteString(display(value, 0))
		rest = end
	}
	if rest == 0 {
		return content
	}
	b.WriteString(content[rest:])
	return b.String()
}

// typicalGrowth is more than values are mostly longer than their placeholders.
const typicalGrowth = 16

// UsesPlaceholder reports whether Render puts payload[root] itself into
// content; {{root.part}} does not count.
func UsesPlaceholder(content, root string) bool {
	if strings.Contains(root, ".") {
		return false // a path, so never the name of a root
	}
	for _, end, path := nextPlaceholder(content, 0); path != ""; _, end, path = nextPlaceholder(content, end) {
		if path == root {
			return true
		}
	}
	return false
}

// nextPlaceholder finds the first placeholder of content[from:]: content[start:end]
// is it, braces included. A path of "" says that there is none.
func nextPlaceholder(content string, from int) (start, end int, path string) {
	for {
		i := strings.Index(content[from:], "{{")
		if i < 0 {
			return 0, 0, ""
		}
		start = from + i
		first := skipSpace(content, start+2)
		last := first
		for last < len(content) && isPathByte(content[last]) {
			last++
		}
		end = skipSpace(content, last)
		if last > first && strings.HasPrefix(content[end:], "}}") {
			return start, end + 2, content[first:last]
		}
		from = start + 1 // {{{code}}} holds {{code}} one byte on
	}
}

func isPathByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.'
}

// skipSpace returns the index of the first character at or after i that is not
// white space.
func skipSpace(s string, i int) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !isSpace(r) {
			break
		}
		i += size
	}
	return i
}

// isSpace reports what \s matches in JavaScript (ECMA-262, WhiteSpace and
// LineTerminator). unicode.IsSpace differs: it has U+0085 and lacks U+FEFF.
func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r',
		0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
		return true
	}
	return r >= 0x2000 && r <= 0x200A
}
