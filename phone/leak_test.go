package phone

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

const (
	leakE164 = "+14155552671"
	leakMask = "+1********71"
)

// holder has a Number wherever a struct can have one.
type holder struct {
	Open    Number
	OpenPtr *Number
	Many    []Number
	ByName  map[string]Number
	Any     any
	hidden  Number
	nested  struct{ deep Number }
	hiddenP *Number
	hiddenA any
}

func newHolder(n Number) holder {
	h := holder{Open: n, OpenPtr: &n, Many: []Number{n}, ByName: map[string]Number{"n": n}, Any: n, hidden: n, hiddenP: &n, hiddenA: n}
	h.nested.deep = n
	return h
}

// checkHidden fails when text shows more of the number than its mask does. The
// address of the hidden part may stand there.
func checkHidden(t *testing.T, what, text string) {
	t.Helper()
	for _, part := range []string{"4155552671", "555267", "415555", "5552671"} {
		if strings.Contains(text, part) {
			t.Errorf("%s shows the number: %s", what, text)
			return
		}
	}
}

// verbs are all that a format string can hold, known to fmt or not.
func verbs() []string {
	var out []string
	for c := 'A'; c <= 'z'; c++ {
		if c > 'Z' && c < 'a' {
			continue
		}
		for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "60", ".3", "#x.2"} {
			out = append(out, "%"+flags+string(c))
		}
	}
	return out
}

func TestNoVerbShowsTheNumber(t *testing.T) {
	t.Parallel()
	n := mustParse(t, leakE164)
	h := newHolder(n)
	for _, verb := range verbs() {
		for _, v := range []any{n, &n, h, &h, []any{n, h}, map[string]any{"n": h}, struct{ n Number }{n}, [1]Number{n}} {
			checkHidden(t, fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
	for verb, want := range map[string]string{
		"%v": leakMask, "%+v": leakMask, "%s": leakMask, "%q": leakMask, "%x": leakMask, "%d": leakMask,
		"%#v": "phone.Number(" + leakMask + ")",
	} {
		if got := fmt.Sprintf(verb, n); got != want {
			t.Errorf("%s prints %q, want %q", verb, got, want)
		}
	}
	checkHidden(t, "Sprint", fmt.Sprint(n, h, &h))
	checkHidden(t, "wrapped error", fmt.Errorf("to %v: %w", n, ErrLength).Error())
}

func TestNoEncoderShowsTheNumber(t *testing.T) {
	t.Parallel()
	n := mustParse(t, leakE164)
	data, err := json.Marshal(newHolder(n))
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "JSON", string(data))
	if !strings.Contains(string(data), `"Open":"`+leakMask+`"`) {
		t.Errorf("JSON is %s", data)
	}
	type element struct {
		To   Number
		Attr Number `xml:",attr"`
	}
	data, err = xml.Marshal(element{n, n})
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "XML", string(data))

	var page bytes.Buffer
	tmpl := template.Must(template.New("").Parse(`{{.Open}} {{.}} <script>var n = {{.Open}}, h = {{.}}</script><a href="?n={{.Open}}">`))
	if err := tmpl.Execute(&page, newHolder(n)); err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "template", page.String())

	other := mustParse(t, "+14155559971") // where the masks are the same, cmp looks deeper
	checkHidden(t, "cmp.Diff", cmp.Diff(struct{ N Number }{n}, struct{ N Number }{other}))
}

func TestNoLogShowsTheNumber(t *testing.T) {
	t.Parallel()
	n := mustParse(t, leakE164)
	h := newHolder(n)
	var out bytes.Buffer
	for name, handler := range map[string]slog.Handler{
		"text": slog.NewTextHandler(&out, nil),
		"JSON": slog.NewJSONHandler(&out, nil),
	} {
		out.Reset()
		slog.New(handler).With("with", n).WithGroup("g").Info("sent", "to", n, "ptr", &n, "holder", h, "holders", []any{h, &h},
			slog.Group("group", "to", n), slog.Any("any", n), "text", n.String())
		checkHidden(t, "slog "+name, out.String())
		if got := strings.Count(out.String(), leakMask); got < 6 {
			t.Errorf("slog %s shows the mask %d times: %s", name, got, out.String())
		}
	}
	out.Reset()
	log.New(&out, "", 0).Println(n, h, &h)
	checkHidden(t, "log", out.String())
}
