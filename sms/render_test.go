package sms

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	t.Parallel()
	payload := map[string]any{
		"code":   "123456",
		"locale": nil,
		"empty":  "",
		"trick":  "{{code}} $& $1 \\1",
		"user":   map[string]any{"name": "Ann", "age": 30.0, "none": nil, "": "blank", "deep": map[string]any{"x": "y"}},
		"typed":  map[string]string{"a": "b"},
		"named":  map[UsageType]int{UsageTest: 7},
		"list":   []any{"a", nil, 1.5, []any{true, "z"}, map[string]any{"k": "v"}},
		"words":  []string{"x", "y"},
		"_a1":    "under",
		"":       "nameless",
	}
	tests := []struct{ content, want string }{
		{"", ""},
		{"no placeholder } { }} {{", "no placeholder } { }} {{"},
		{"Your code is {{code}}.", "Your code is 123456."},
		{"{{code}}{{code}}", "123456123456"},
		{"{{ code }} {{\tcode\n}} {{\u00a0code\ufeff}} {{\v\u3000code}}", "123456 123456 123456 123456"},
		{"{{\u2000\u200a\u2028\u2029\u202f\u205f\u1680code}}", "123456"},
		{"{{\u0085code}} {{\u200bcode}} {{\u180ecode}}", "{{\u0085code}} {{\u200bcode}} {{\u180ecode}}"},
		{"{{Code}} {{other}} {{other.part}}", "{{Code}} {{other}} {{other.part}}"},
		{"{{locale}}|{{empty}}|{{_a1}}", "||under"},
		{"{{trick}}", "{{code}} $& $1 \\1"},

		{"{{{code}}}", "{123456}"},
		{"{{{{code}}}}", "{{123456}}"},
		{"{{ {{code}} }}", "{{ 123456 }}"},
		{"{{code} }", "{{code} }"},
		{"{{co de}} {{co-de}} {{cöde}} {{}} {{ }}", "{{co de}} {{co-de}} {{cöde}} {{}} {{ }}"},
		{"{{code}", "{{code}"},
		{"{{ code", "{{ code"},

		{"{{user.name}} {{ user.deep.x }}", "Ann y"},
		{"[{{user.nick}}] [{{user.none}}] [{{user.none.x}}] [{{user.name.first}}]", "[] [] [] []"},
		{"[{{code.}}] [{{code.length}}] [{{code.0}}]", "[] [] []"},
		{"{{.code}} {{.}} {{..}}", "{{.code}} {{.}} {{..}}"},
		{"[{{user..name}}] [{{user.}}]", "[] [blank]"},
		{"[{{user}}] [{{typed}}]", "[] []"},
		{"{{typed.a}} {{named.Test}}", "b 7"},
		{"{{list}} {{words}}", "a,,1.5,true,z, x,y"},
		{"{{list.0}} {{list.length}} {{words.1}} {{list.3.1}} {{list.4.k}}", "a 5 y z v"},
		{"[{{list.5}}] [{{list.-1}}] [{{list.01}}] [{{list.x}}]", "[] [{{list.-1}}] [] []"},
		{"bad \xff{{code}}\xf0\x9f {{\xffcode}}", "bad \xff123456\xf0\x9f {{\xffcode}}"},
	}
	for _, tt := range tests {
		if got := Render(tt.content, payload); got != tt.want {
			t.Errorf("Render(%q) = %q, want %q", tt.content, got, tt.want)
		}
	}
	if got := Render("{{code}}", nil); got != "{{code}}" {
		t.Errorf("without payload: %q", got)
	}
}

type valueTest struct {
	value any
	want  string
}

func checkValues(t *testing.T, tests []valueTest) {
	t.Helper()
	for _, tt := range tests {
		if got := Render("{{v}}", map[string]any{"v": tt.value}); got != tt.want {
			t.Errorf("a %T prints %q, want %q", tt.value, got, tt.want) // not the value: one holds itself
		}
	}
}

func TestRenderNumbers(t *testing.T) {
	t.Parallel()
	type count int
	checkValues(t, []valueTest{
		{count(5), "5"},
		{int8(-8), "-8"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{int64(math.MinInt64), "-9223372036854775808"},
		{float32(0.1), "0.1"},
		{0.0, "0"},
		{math.Copysign(0, -1), "0"},
		{math.NaN(), "NaN"},
		{math.Inf(1), "Infinity"},
		{math.Inf(-1), "-Infinity"},
		{123456.0, "123456"},
		{-1.5, "-1.5"},
		{0.30000000000000004, "0.30000000000000004"},
		{1e20, "100000000000000000000"},
		{1e21, "1e+21"},
		{-1.5e21, "-1.5e+21"},
		{123456789012345680000.0, "123456789012345680000"},
		{1e-6, "0.000001"},
		{1e-7, "1e-7"},
		{1.5e-7, "1.5e-7"},
		{1e-10, "1e-10"},
		{5e-324, "5e-324"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{json.Number("123456"), "123456"},
		{json.Number("1.0"), "1"},
		{json.Number("1E3"), "1000"},
		{json.Number("-0"), "0"},
		{json.Number("9007199254740993"), "9007199254740992"},
		{json.Number("1e400"), "Infinity"},
		{json.Number("-1e400"), "-Infinity"},
		{json.Number("none"), "none"},
	})
}

func TestRenderOtherValues(t *testing.T) {
	t.Parallel()
	type text string
	loop := []any{"x", nil}
	loop[1] = loop
	checkValues(t, []valueTest{
		{true, "true"},
		{false, "false"},
		{text("named"), "named"},
		{nil, ""},
		{[]any{}, ""},
		{[]any(nil), ""},
		{[2]int{1, 2}, "1,2"},
		{map[int]string{1: "x"}, ""},
		{struct{ Code string }{"123456"}, ""},
		{(*int)(nil), ""},
		{loop, "x,x,x,x,x,x,x,x,"},
	})
	if got := Render("[{{v.1}}]", map[string]any{"v": map[int]string{1: "x"}}); got != "[]" {
		t.Errorf("a map without string keys has a part: %q", got)
	}
}

// Every number that is printed reads back as itself.
func TestRenderNumbersReadBack(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		if r.IntN(2) == 0 { // most bit patterns are far too large or small for the decimal form
			f = float64(r.Int64N(1e12)-5e11) / 1e6
		}
		got, err := strconv.ParseFloat(number(f, 64), 64)
		if err != nil || got != f {
			t.Fatalf("%g prints %q", f, number(f, 64))
		}
	}
}

func TestUsesPlaceholder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		content, root string
		want          bool
	}{
		{"{{code}}", "code", true},
		{"{{link}} {{ code }}", "code", true},
		{"{{{code}}}", "code", true},
		{"{{code.}} {{code.x}} {{.code}} {{codes}} {{Code}}", "code", false},
		{"{{ code }", "code", false},
		{"code", "code", false},
		{"", "code", false},
		{"{{a.b}}", "a.b", false}, // Render looks for payload["a"]
		{"{{}}", "", false},
		{"{{.}}", "", false},
	}
	for _, tt := range tests {
		if got := UsesPlaceholder(tt.content, tt.root); got != tt.want {
			t.Errorf("UsesPlaceholder(%q, %q) = %t", tt.content, tt.root, got)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	got := Placeholders("{{code}} {{ user.name }} {{{code}}} {{x y}} {{.a}} {{")
	if diff := cmp.Diff([]string{"code", "user.name", ".a"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Placeholders("none"); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// slowRender says the same as Render for payloads of strings in maps, in the
// words of the published rule.
func slowRender(content string, payload map[string]any) string {
	return placeholder.ReplaceAllStringFunc(content, func(match string) string {
		path := strings.Split(placeholder.FindStringSubmatch(match)[1], ".")
		value, ok := payload[path[0]]
		if !ok || path[0] == "" {
			return match
		}
		for _, part := range path[1:] {
			m, _ := value.(map[string]any)
			value = m[part]
		}
		if s, ok := value.(string); ok {
			return s
		}
		return ""
	})
}

var placeholder = func() *regexp.Regexp {
	const space = `[\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]*`
	return regexp.MustCompile(`\{\{` + space + `([0-9A-Za-z_.]+)` + space + `\}\}`)
}()

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"Your code is {{code}}.", "{{{code}}}", "{{code.}}{{.code}}", "{{ user.name }}", "{{\u00a0code\u3000}}",
		"{{code", "{{}}", "{{ user..x }}{{user.}}", "\xff{{code}}\xf0", "{{a}}{{b}}", "{{\u0085code}}",
	} {
		f.Add(s, "123456")
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, content, value string) {
		payload := map[string]any{"code": value, "user": map[string]any{"name": value, "": "x"}, "nil": nil}
		got := Render(content, payload)
		if want := slowRender(content, payload); got != want {
			t.Fatalf("Render(%q) = %q, want %q", content, got, want)
		}
		if !strings.Contains(content, "{{") && got != content {
			t.Fatalf("Render changed %q, which has no placeholder", content)
		}
		// One pass: with a value that is itself a placeholder, only as many are
		// filled in as the content had.
		const mark = "\x00mark\x00"
		if strings.Contains(content, "\x00") {
			return // a part of a mark would spoil the count
		}
		times := strings.Count(Render(content, map[string]any{"code": mark}), mark) - strings.Count(content, mark)
		if times > 0 != UsesPlaceholder(content, "code") {
			t.Fatalf("UsesPlaceholder(%q) = %t, but Render puts it in %d times", content, times <= 0, times)
		}
		nested := Render(content, map[string]any{"code": "{{code}}" + mark})
		if n := strings.Count(nested, mark) - strings.Count(content, mark); n != times {
			t.Fatalf("%q is filled in %d times, then %d", content, times, n)
		}
	})
}

func TestRenderAllocates(t *testing.T) {
	const content = "A text without placeholder, {single} braces and 100 % more."
	if n := testing.AllocsPerRun(100, func() { Render(content, nil) }); n > 0 {
		t.Errorf("Render of a plain text makes %v allocations", n)
	}
}

func BenchmarkRender(b *testing.B) {
	payload := map[string]any{"code": "123456", "user": map[string]any{"name": "Ann"}, "minutes": 10.0}
	for _, content := range []string{"Your code is {{code}}.", "{{ user.name }}, your code is {{code}}. It lasts {{minutes}} minutes."} {
		b.Run(fmt.Sprint(len(content)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Render(content, payload)
			}
		})
	}
}
