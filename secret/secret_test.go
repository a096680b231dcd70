package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"log"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestString(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"", "a", "correct horse", Redacted, "\xff\x00", strings.Repeat("x", 1<<16)} {
		s := New(v)
		if s.Reveal() != v || s.IsEmpty() != (v == "") {
			t.Errorf("New(%q) reveals %q, empty %t", v, s.Reveal(), s.IsEmpty())
		}
		if !s.Equal(New(v)) || !New(v).Equal(s) {
			t.Errorf("%q is not itself", v)
		}
		if s.Equal(New(v + "x")) {
			t.Errorf("%q is equal to a longer one", v)
		}
	}
	var zero String
	if !zero.IsEmpty() || zero.Reveal() != "" || !zero.Equal(New("")) || zero.Equal(New("a")) {
		t.Error("the zero String is not the empty one")
	}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		json string
		want string
		ok   bool
	}{
		{`{"s":"correct horse"}`, "correct horse", true},
		{`{"s":"caf\u00e9 \"x\""}`, `café "x"`, true},
		{`{"s":""}`, "", true},
		{`{"s":null}`, "", true},
		{`{}`, "", true},
		{`{"s":8273645}`, "", false},
		{`{"s":["8273645"]}`, "", false},
		{`{"s":true}`, "", false},
	}
	for _, tt := range tests {
		var v struct {
			S String `json:"s"`
		}
		err := json.Unmarshal([]byte(tt.json), &v)
		if (err == nil) != tt.ok || v.S.Reveal() != tt.want {
			t.Errorf("%s gives %q, %v", tt.json, v.S.Reveal(), err)
		}
		if err != nil && strings.Contains(err.Error(), "8273645") {
			t.Errorf("the error holds the value: %v", err)
		}
	}
	b := []byte("correct horse")
	var s String
	if err := s.UnmarshalText(b); err != nil {
		t.Fatal(err)
	}
	b[0] = 'X'
	if s.Reveal() != "correct horse" {
		t.Error("the secret changes with the bytes that it was read from")
	}
}

const leak = "correct-horse-battery"

// holder has a String wherever a struct can have one.
type holder struct {
	Open    String
	OpenPtr *String
	Many    []String
	ByName  map[string]String
	Any     any
	hidden  String
	nested  struct{ deep String }
	hiddenP *String
	hiddenA any
}

func newHolder(s String) holder {
	h := holder{Open: s, OpenPtr: &s, Many: []String{s}, ByName: map[string]String{"s": s}, Any: s, hidden: s, hiddenP: &s, hiddenA: s}
	h.nested.deep = s
	return h
}

// checkHidden fails when text holds a part of the secret, plain or encoded.
func checkHidden(t *testing.T, what, text string) {
	t.Helper()
	for _, part := range []string{"corr", "horse", "tery", fmt.Sprintf("%x", "horse"), fmt.Sprintf("%X", "horse"), fmt.Sprint([]byte("horse"))[1:20]} {
		if strings.Contains(text, part) {
			t.Errorf("%s shows the secret: %s", what, text)
			return
		}
	}
}

func TestNoVerbShowsTheSecret(t *testing.T) {
	t.Parallel()
	s := New(leak)
	h := newHolder(s)
	values := []any{s, &s, h, &h, []any{s, h}, map[string]any{"s": h}, struct{ s String }{s}, [1]String{s}}
	for c := 'A'; c <= 'z'; c++ {
		if c > 'Z' && c < 'a' {
			continue
		}
		for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "60", ".3", "#x.2"} {
			verb := "%" + flags + string(c)
			for _, v := range values {
				checkHidden(t, fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
			}
		}
	}
	for verb, want := range map[string]string{
		"%v": Redacted, "%+v": Redacted, "%s": Redacted, "%q": Redacted, "%x": Redacted, "%d": Redacted,
		"%#v": "secret.String(" + Redacted + ")",
	} {
		if got := fmt.Sprintf(verb, s); got != want {
			t.Errorf("%s prints %q, want %q", verb, got, want)
		}
	}
	if got := s.String() + fmt.Sprint(String{}); got != Redacted+Redacted {
		t.Errorf("String and the empty secret print %q", got)
	}
	checkHidden(t, "Sprint", fmt.Sprint(s, h, &h))
	checkHidden(t, "Errorf", fmt.Errorf("with %v and %+v", s, h).Error())
}

func TestNoEncoderShowsTheSecret(t *testing.T) {
	t.Parallel()
	s := New(leak)
	data, err := json.Marshal(newHolder(s))
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "JSON", string(data))
	if !strings.Contains(string(data), `"Open":"`+Redacted+`"`) {
		t.Errorf("JSON is %s", data)
	}
	type element struct {
		S    String
		Attr String `xml:",attr"`
	}
	data, err = xml.Marshal(element{s, s})
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "XML", string(data))

	var page bytes.Buffer
	tmpl := template.Must(template.New("").Parse(`{{.Open}} {{.}} <script>var s = {{.Open}}, h = {{.}}</script><a href="?s={{.Open}}">`))
	if err := tmpl.Execute(&page, newHolder(s)); err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "template", page.String())
	checkHidden(t, "cmp.Diff", cmp.Diff(struct{ S String }{s}, struct{ S String }{New("another")}))
}

func TestNoLogShowsTheSecret(t *testing.T) {
	t.Parallel()
	s := New(leak)
	h := newHolder(s)
	var out bytes.Buffer
	for name, handler := range map[string]slog.Handler{
		"text": slog.NewTextHandler(&out, nil),
		"JSON": slog.NewJSONHandler(&out, nil),
	} {
		out.Reset()
		slog.New(handler).With("with", s).WithGroup("g").Info("sent", "token", s, "ptr", &s, "holder", h, "holders", []any{h, &h},
			slog.Group("group", "token", s), slog.Any("any", s))
		checkHidden(t, "slog "+name, out.String())
		if got := strings.Count(out.String(), Redacted); got < 6 {
			t.Errorf("slog %s shows the mark %d times: %s", name, got, out.String())
		}
	}
	out.Reset()
	log.New(&out, "", 0).Println(s, h, &h)
	checkHidden(t, "log", out.String())
}

func FuzzString(f *testing.F) {
	f.Add("correct horse", "battery staple")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		s, u := New(a), New(b)
		if s.Equal(u) != (a == b) || s.Reveal() != a {
			t.Fatalf("%q and %q: equal %t, reveals %q", a, b, s.Equal(u), s.Reveal())
		}
		// Whatever is printed is the same for every secret.
		for _, verb := range []string{"%v", "%s", "%q", "%x", "%#v"} {
			if x, y := fmt.Sprintf(verb, s), fmt.Sprintf(verb, u); x != y {
				t.Fatalf("%s prints %q and %q", verb, x, y)
			}
		}
	})
}
