package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/sms"
)

// generator makes what both connectors accept: valid values, and as nasty as
// valid values can be.
type generator struct{ *rand.Rand }

// number is a JSON number as it is written, which a float64 would lose.
type number string

// loneSurrogate stands, in a generated string, for half of a surrogate pair:
// JSON can say it, UTF-8 cannot.
const loneSurrogate = "\uf8ff"

// Half of what looks like white space to somebody is white space to JavaScript.
var (
	jsSpaces = strings.Split(" \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff", "")
	noSpaces = strings.Split("\u0085\u180e\u200b\u200c\u200d\u2060\u001c\u001d\u001e\u001f\u0008\u00ad", "")
	words    = []string{
		"Your code is ", "It expires in 10 minutes.", "Ihr Code lautet ", "Tu código es ", "您的验证码是", "رمزك هو ", "קוד ", "🔑 ", "e\u0301",
		"\r\n", "\n", "\t", " ", "+", "&", "=", "%", "%7B", ";", "#", "\\", "\"", "/", "<b>", "~", "*", "\x00", "\x7f", "\u2028", "$&", "$1", "$$",
		"{", "}", "{{", "}}", "{{}}", "{{ }}", "{{code}", "{code}}", "{{co de}}", "{{code-x}}", "{{cöde}}", "{{code,link}}", "{{#code}}", loneSurrogate,
	}
	// Names that every JavaScript object inherits. As a payload's own they are
	// like any other.
	inherited = []string{"constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"}
	missing   = []string{"missing", "Code", "CODE", "code2", "_", "9"}
)

// leaf returns a JSON value without members.
func (g generator) leaf() any {
	switch g.IntN(8) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2, 3, 4:
		return g.number()
	default:
		return g.text(3)
	}
}

func (g generator) number() number {
	switch g.IntN(5) {
	case 0:
		return number(strconv.FormatFloat(math.Float64frombits(g.Uint64()&^(1<<62)), 'g', -1, 64)) // not Inf, not NaN
	case 1:
		return number(fmt.Sprintf("%d.%de%d", g.IntN(10), g.IntN(1e6), g.IntN(60)-30))
	case 2:
		return number(strconv.Itoa(g.IntN(1e6)))
	default:
		return pick(g.Rand, []number{
			"0", "-0", "0.0", "-0.0e5", "1e20", "1e21", "1E21", "999999999999999999999", "123456789012345680000", "1e-6", "1e-7", "0.000001", "0.0000001",
			"0.1", "0.30000000000000004", "5e-324", "-5e-324", "1e-400", "1.7976931348623157e308", "9007199254740993", "-9007199254740993", "100000000000000000000000",
			"1.50", "1e+2", "4.35", "123456", "-1", "2147483648", "18446744073709551616",
		})
	}
}

func (g generator) text(most int) string {
	var b strings.Builder
	for range g.IntN(most + 1) {
		switch g.IntN(5) {
		case 0:
			b.WriteString(pick(g.Rand, words))
		case 1:
			b.WriteString("{{code}}") // a value that looks like a placeholder
		case 2:
			b.WriteString(pick(g.Rand, noSpaces))
		default:
			b.WriteString(strconv.Itoa(g.IntN(1e6)))
		}
	}
	return b.String()
}

// value returns a JSON value that is nested depth deep at most.
func (g generator) value(depth int) any {
	if depth == 0 || g.IntN(3) > 0 {
		return g.leaf()
	}
	if g.IntN(2) == 0 {
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	}
	object := map[string]any{}
	for range g.IntN(4) {
		object[pick(g.Rand, slices.Concat([]string{"name", "a", "b", "0", "", "a.b", "length"}, inherited))] = g.value(depth - 1)
	}
	return object
}

func (g generator) payload() map[string]any {
	p := map[string]any{}
	if g.IntN(12) > 0 {
		p["code"] = fmt.Sprintf("%06d", g.IntN(1e6))
	}
	if g.IntN(8) == 0 {
		p["code"] = g.leaf()
	}
	for range g.IntN(6) {
		p[pick(g.Rand, slices.Concat([]string{"link", "locale", "uiLocales", "user", "list", "organization", "0", "_", "", "a.b", "é"}, inherited))] = g.value(4)
	}
	return p
}

// path returns a path of which both say the same: it leads to a leaf or a list
// of leaves, or nowhere.
func (g generator) path(payload map[string]any) string {
	if len(payload) == 0 || g.IntN(5) == 0 {
		return pick(g.Rand, []string{".code", ".", "..", "...code", ".code."}) + pick(g.Rand, missing)
	}
	names := slices.Sorted(maps.Keys(payload))
	names = slices.DeleteFunc(names, func(s string) bool { return !wordOnly(s) || s == "" })
	if len(names) == 0 || g.IntN(12) == 0 {
		return pick(g.Rand, absentFrom(payload))
	}
	root := pick(g.Rand, names)
	return root + g.descend(payload[root])
}

func (g generator) descend(value any) string {
	if printable(value) && g.IntN(4) > 0 {
		return ""
	}
	switch v := value.(type) {
	case map[string]any:
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(v)), func(s string) bool { return !wordOnly(s) })
		if len(names) == 0 || g.IntN(6) == 0 {
			names = absentFrom(v)
		}
		name := pick(g.Rand, names)
		return "." + name + g.descend(v[name])
	case []any:
		if len(v) == 0 || g.IntN(3) == 0 {
			return "." + pick(g.Rand, []string{"length", "length.x", "01", "00", "1e0", "0x0", "999", "", "_1", "18446744073709551616"})
		}
		i := g.IntN(len(v))
		return "." + strconv.Itoa(i) + g.descend(v[i])
	default:
		// Nothing is inside a leaf, whatever JavaScript's strings inherit.
		return "." + pick(g.Rand, slices.Concat(missing, inherited, []string{"", "length", "0"}))
	}
}

func absentFrom(object map[string]any) []string {
	return slices.DeleteFunc(slices.Clone(missing), func(s string) bool { _, ok := object[s]; return ok })
}

// printable reports whether the value has no object in it: those print as
// [object Object] there and as nothing here.
func printable(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return false
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !printable(e) })
	}
	return true
}

func wordOnly(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func (g generator) placeholder(path string) string {
	space := func() string {
		switch g.IntN(6) {
		case 0:
			return pick(g.Rand, jsSpaces)
		case 1:
			return pick(g.Rand, jsSpaces) + pick(g.Rand, jsSpaces)
		}
		return ""
	}
	p := "{{" + space() + path + space() + "}}"
	switch g.IntN(16) {
	case 0:
		return "{" + p + "}"
	case 1:
		return "{{" + p + "}}"
	case 2:
		return "{{" + pick(g.Rand, noSpaces) + path + "}}"
	}
	return p
}

// content returns a template's text for the payload, with a visible character
// and {{code}} in it.
func (g generator) content(payload map[string]any) string {
	pieces := []string{"x", g.placeholder("code"), "{{code}}"}
	for range g.IntN(8) {
		if g.IntN(2) == 0 {
			pieces = append(pieces, g.placeholder(g.path(payload)))
		} else {
			pieces = append(pieces, pick(g.Rand, words))
		}
	}
	g.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	return strings.Join(pieces, pick(g.Rand, []string{"", "", " "}))
}

// config returns a connector JSON whose templates suit the payload.
func (g generator) config(payload map[string]any) map[string]any {
	c := map[string]any{
		"accountSID":              "AC" + g.chars(32, "0123456789abcdefABCDEF"),
		"authToken":               g.chars(1+g.IntN(64), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		"fromMessagingServiceSID": "MG" + g.chars(32, "0123456789abcdefABCDEF"),
	}
	if g.IntN(2) == 0 {
		c["disableRiskCheck"] = g.IntN(2) == 0
	}
	var templates []any
	for _, usage := range sms.UsageTypes() {
		// The published connector refuses a file without these four.
		required := slices.Contains([]sms.UsageType{sms.UsageRegister, sms.UsageSignIn, sms.UsageForgotPassword, sms.UsageGeneric}, usage)
		if required || g.IntN(2) == 0 {
			templates = append(templates, map[string]any{"usageType": string(usage), "content": g.content(payload)})
		}
	}
	g.Shuffle(len(templates), func(i, j int) { templates[i], templates[j] = templates[j], templates[i] })
	c["templates"] = templates
	return c
}

func (g generator) chars(n int, from string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(from[g.IntN(len(from))])
	}
	return b.String()
}

// recipient returns a number that phone.ParseDigits takes as it is, with or
// without the plus sign.
func (g generator) recipient() string {
	for {
		code := pick(g.Rand, []string{"1", "7", "20", "30", "31", "33", "34", "39", "44", "45", "46", "47", "49", "52", "54", "55", "61", "62", "81", "82", "86", "90", "91", "212", "234", "254", "351", "353", "358", "371", "380", "420", "880", "886", "966", "971", "972"})
		digits := code + g.chars(6+g.IntN(6), "0123456789")
		if n, err := phone.ParseDigits(digits); err == nil && n.E164() == "+"+digits {
			return pick(g.Rand, []string{"", "+"}) + digits
		}
	}
}

// usage returns a type that a caller may name.
func (g generator) usage() string {
	if g.IntN(10) == 0 {
		return pick(g.Rand, []string{"signin", "SIGNIN", "Login", "", "generic", "toString"}) // Generic serves them
	}
	return string(pick(g.Rand, sms.UsageTypes()))
}

// encode writes value as JSON, its strings in one of the ways that JSON has.
func (g generator) encode(value any) json.RawMessage {
	var b strings.Builder
	g.write(&b, value)
	return json.RawMessage(b.String())
}

func (g generator) write(b *strings.Builder, value any) {
	switch v := value.(type) {
	case string:
		g.writeString(b, v)
	case number:
		b.WriteString(string(v))
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			g.writeString(b, name)
			b.WriteByte(':')
			g.write(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			g.write(b, e)
		}
		b.WriteByte(']')
	default: // nil, true, false
		_ = json.NewEncoder(b).Encode(v)
	}
}

func (g generator) writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i, part := range strings.Split(s, loneSurrogate) {
		if i > 0 {
			b.WriteString(`\ud83d`)
		}
		for _, r := range part {
			switch {
			case r < ' ' || r == '"' || r == '\\' || r < 0x10000 && g.IntN(20) == 0:
				fmt.Fprintf(b, `\u%04x`, r)
			case r == '/' && g.IntN(2) == 0:
				b.WriteString(`\/`)
			default:
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}

// TestGenerator holds the generator to its promise: it makes the nasty cases,
// not only the tame ones.
func TestGenerator(t *testing.T) {
	t.Parallel()
	g := generator{seeded(t)}
	var all strings.Builder
	for range 500 {
		payload := g.payload()
		all.Write(g.encode(payload))
		all.Write(g.encode(g.config(payload)))
	}
	for _, want := range []string{`-0`, `1e21`, `5e-324`, `null`, `\ud83d`, `\u0000`, `{{{`, `{{.`, `.length`, `.}}`, `__proto__`, "{{\u3000", "{{\u0085", `[]`, `{}`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("500 cases and none with %q", want)
		}
	}
}
