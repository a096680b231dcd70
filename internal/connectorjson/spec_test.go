package connectorjson_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/connectorjson"
	"github.com/sixdigit/sixdigit/sms"
)

func testSpec() connectorjson.Spec {
	return connectorjson.Spec{
		Title: "test",
		Fields: []connectorjson.Field{
			{Name: "name", Type: connectorjson.FieldString, Required: true, Pattern: `^N[0-9]{3}$`, Shape: "N and three digits", Where: "it stands on the box"},
			{Name: "loud", Type: connectorjson.FieldBool},
			{Name: "seconds", Type: connectorjson.FieldInteger, Min: 1, Max: 60},
			{Name: "templates", Type: connectorjson.FieldTemplates, Required: true},
		},
	}
}

const goodTemplates = `"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]`

func TestReadTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	v, faults, _ := testSpec().Read([]byte("\xef\xbb\xbf" + `{
		"$schema": "./x.json", "name": "N123", "loud": true, "seconds": 6e1,
		"templates": [
			{"usageType": "Generic", "content": "{{code}}"},
			{"usageType": "Generic", "content": "{{ code }}", "locale": "pt-BR"}
		]}`))
	if len(faults) != 0 {
		t.Fatalf("faults: %v", faults)
	}
	if v.String("name") != "N123" || !v.Bool("loud") || v.Int("seconds") != 60 || !v.Present("name") {
		t.Errorf("got %q %v %d", v.String("name"), v.Bool("loud"), v.Int("seconds"))
	}
	want := []sms.Template{
		{Usage: sms.UsageGeneric, Content: "{{code}}"},
		{Usage: sms.UsageGeneric, Content: "{{ code }}", Locale: "pt-BR"},
	}
	if diff := cmp.Diff(want, v.Templates()); diff != "" {
		t.Error(diff)
	}
}

// Each case names the faults as "path message", all of them.
func TestReadReportsEveryFault(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1600)
	cases := []struct {
		name, file string
		want       []string
	}{
		{"empty file", " \n", []string{" is empty"}},
		{"an array", `[]`, []string{" holds an array, not an object"}},
		{"null", `null`, []string{" holds null, not an object"}},
		{"nothing there", `{}`, []string{"/name is missing", "/templates is missing"}},
		{"empty strings", `{"name": "", "templates": []}`, []string{"/name is empty", "/templates is empty"}},
		{"wrong types", `{"name": 1, "loud": "yes", "seconds": "5", "templates": {}}`, []string{
			"/name is a number, not a string", "/loud is a string, not true or false",
			"/seconds is a string, not a number", "/templates is an object, not an array",
		}},
		{"nulls", `{"name": null, "loud": null, "templates": null}`, []string{
			"/name is null, not a string", "/loud is null, not true or false", "/templates is null, not an array",
		}},
		{"shapes and ranges", `{"name": "N12", "seconds": 61, ` + goodTemplates + `}`, []string{
			"/name is not N and three digits", "/seconds is not a whole number from 1 to 60",
		}},
		{"fractions", `{"name": "N123", "seconds": 1.5, ` + goodTemplates + `}`, []string{"/seconds is not a whole number from 1 to 60"}},
		{"huge numbers", `{"name": "N123", "seconds": 1e999, ` + goodTemplates + `}`, []string{"/seconds is not a whole number from 1 to 60"}},
		{"unknown and twice", `{"name": "N123", "name": "N124", "a/b~c": 1, "lloud": true, ` + goodTemplates + `}`, []string{
			"/name is there twice", "/a~1b~0c is not a known field", "/lloud is not a known field",
		}},
		{"too deep", `{"name": "N123", "loud": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `, ` + goodTemplates + `}`, []string{
			"/loud/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0 is nested too deep", "/loud is an array, not true or false",
		}},
		{"templates", `{"name": "N123", "templates": [
			{"usageType": "Signin", "content": "{{code}}"},
			{"usageType": "", "content": ""},
			{"content": "Hello", "loc": "en"},
			{"usageType": "Test", "content": "{{code}}", "locale": "not a tag"},
			{"usageType": "Test", "content": "{{code.x}} {{cod}}", "locale": ""},
			7,
			{"usageType": 1, "content": 2, "locale": 3},
			{"usageType": "BindMfa", "content": "{{code}} ` + long + `"},
			{"usageType": "SignIn", "content": "{{code}}", "locale": "en-us"},
			{"usageType": "SignIn", "content": "{{code}}", "locale": "en-US"},
			{"usageType": "Register", "content": " "},
			{"usageType": "Register", "content": "{{code}}"}
		]}`, []string{
			"/templates/0/usageType is not a known usage type",
			"/templates/1/usageType is empty", "/templates/1/content is empty",
			"/templates/2/content has no {{code}}", "/templates/2/loc is not a known template field", "/templates/2/usageType is missing",
			"/templates/3/locale is not a BCP 47 language tag",
			"/templates/4/content has no {{code}}", "/templates/4/locale is empty",
			"/templates/5 is a number, not an object",
			"/templates/6/usageType is a number, not a string", "/templates/6/content is a number, not a string", "/templates/6/locale is a number, not a string",
			"/templates/7/content makes a message of 1607 characters",
			"/templates/9 has the usage type and locale of /templates/8",
			"/templates/10/content is empty",
			"/templates/11 has the usage type and locale of /templates/10",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, faults, _ := testSpec().Read([]byte(c.file))
			var got []string
			for _, f := range faults {
				got = append(got, f.Path+" "+f.Message)
				if f.Fix == "" {
					t.Errorf("%s %s: no fix", f.Path, f.Message)
				}
			}
			if diff := cmp.Diff(c.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Syntax errors name line, column, what stands there and what was expected.
// The phrases lean on encoding/json's words; this test notices when they change.
func TestReadSaysWhereTheSyntaxBreaks(t *testing.T) {
	t.Parallel()
	cases := []struct{ file, want string }{
		{"{\n  \"a\": 1,\n}", `line 3, column 1: found '}', expected a name in double quotes`},
		{`{"ä": x}`, `line 1, column 7: found 'x', expected a value`},
		{`{"a" 1}`, `line 1, column 6: found '1', expected ":"`},
		{`{"a": 1 "b": 2}`, `line 1, column 9: found '"', expected "," or "}"`},
		{`{"a": [1 2]}`, `line 1, column 10: found '2', expected "," or "]"`},
		{`{"a": 1} {`, `line 1, column 10: found '{', expected the end of the file`},
		{"{\"a\": \"x\ny\"}", `line 1, column 9: found '\n', expected a printable character`},
		{`{"a": "\x"}`, `line 1, column 9: found 'x', expected an escape such as \n, \" or \\`},
		{`{"a": "\u12g4"}`, `line 1, column 12: found 'g', expected four hexadecimal digits`},
		{`{"a": tru}`, `line 1, column 10: found '}', expected true, false or null`},
		{`{"a": -}`, `line 1, column 8: found '}', expected a digit`},
		{`{"a": 1.}`, `line 1, column 9: found '}', expected a digit`},
		{`{"a": 1e}`, `line 1, column 9: found '}', expected a digit`},
		{`{"a": "b`, `line 1, column 9: found the end of the file, expected more`},
		{`{"a": {`, `line 1, column 8: found the end of the file, expected more`},
		{`{'a': 1}`, `line 1, column 2: found '\'', expected a name in double quotes`},
		{"{\"a\": \"\xff\"}", `is not UTF-8 at line 1, column 8`},
		{`{"a": ` + strings.Repeat("[", 20000), `expected fewer brackets`},
	}
	for _, c := range cases {
		_, faults, _ := testSpec().Read([]byte(c.file))
		if len(faults) != 1 || faults[0].Path != "" || !strings.Contains(faults[0].Message, c.want) || faults[0].Fix == "" {
			t.Errorf("%.40q\n got %+v\nwant %s", c.file, faults, c.want)
		}
	}
}

func TestNearestNameIsInTheFix(t *testing.T) {
	t.Parallel()
	_, faults, _ := testSpec().Read([]byte(`{"name": "N123", "secnods": 5, "templates": [{"usageType": "signin", "content": "{{code}}"}]}`))
	var fixes []string
	for _, f := range faults {
		fixes = append(fixes, f.Fix)
	}
	want := []string{`write "seconds" if that is meant, else remove it`, `write "SignIn" if that is meant, else remove it`}
	if diff := cmp.Diff(want, fixes); diff != "" {
		t.Error(diff)
	}
	if got := connectorjson.Nearest("entirely different", []string{"seconds", "name"}); got != "" {
		t.Errorf("Nearest finds %q where nothing is near", got)
	}
	if got := connectorjson.Nearest(strings.Repeat("seconds", 1000), []string{"seconds"}); got != "" {
		t.Errorf("Nearest finds %q for a long word", got)
	}
}

// A token pasted into the wrong field must not come back in a fault.
func TestFaultsQuoteNoValue(t *testing.T) {
	t.Parallel()
	const pasted = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
	_, faults, _ := testSpec().Read(fmt.Appendf(nil, `{"name": %q, "loud": %[1]q, "seconds": %[1]q, "templates": [{"usageType": %[1]q, "content": %[1]q, "locale": %[1]q}]}`, pasted))
	if len(faults) < 6 {
		t.Fatalf("only %d faults", len(faults))
	}
	text, err := json.Marshal(faults)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(text), (&connector.ConfigError{Faults: faults}).Error()} {
		if strings.Contains(shown, pasted[:8]) {
			t.Errorf("a fault quotes the value: %s", shown)
		}
	}
}

func TestTemplateWarnings(t *testing.T) {
	t.Parallel()
	templates := []sms.Template{
		{Usage: sms.UsageRegister, Content: "Tu código es {{code}}. " + strings.Repeat("a", 60)},
		{Usage: sms.UsageSignIn, Content: "“{{code}}” is the {{cod}} of {{link.url}}"},
		{Usage: sms.UsageTest, Content: "{{code}}", Locale: "de"},
	}
	var got []string
	for _, w := range connectorjson.Warnings(templates, false) {
		got = append(got, w.Path+" "+w.Message)
	}
	want := []string{
		`/templates/0/content "ó" (U+00F3) forces UCS-2: a segment holds 70 characters instead of 160, and this text takes 2 segments`,
		`/templates/0/content is sent and billed as 2 segments`,
		`/templates/1/content "“" (U+201C), "”" (U+201D) forces UCS-2: a segment holds 70 characters instead of 160, and this text takes 1 segment; with "smartEncoded": true it takes 1 segment`,
		`/templates/1/content has {{cod}}, which is sent as it stands unless the caller's payload has it`,
		`/templates no template serves ForgotPassword, Generic, OrganizationInvitation, UserPermissionValidation, BindNewIdentifier, MfaVerification, BindMfa: such sends fail with "template not found"; a Generic template would serve them`,
		`/templates Test: only people whose language has a template are served, others' sends fail with "template not found"; add a template without locale`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	generic := []sms.Template{{Usage: sms.UsageGeneric, Content: "{{code}}"}}
	if w := connectorjson.Warnings(generic, false); len(w) != 0 {
		t.Errorf("a good template has warnings: %v", w)
	}
}

// A long name over a long array: paths kept with every node would be quadratic.
func TestReadTakesNoMoreThanTheFile(t *testing.T) {
	file := `{"` + strings.Repeat("a", 60_000) + `": [1` + strings.Repeat(",1", 60_000) + `]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, faults, _ := testSpec().Read([]byte(file))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 200<<20 {
		t.Errorf("reading %d kB allocated %d MB", len(file)>>10, got>>20)
	}
	if len(faults) != 3 {
		t.Errorf("%d faults, want 3", len(faults))
	}
}

// The loader and the catalog agree on what a locale is and which are the same.
func TestLocalesAreTheCatalogs(t *testing.T) {
	t.Parallel()
	for _, locales := range [][]string{{"und"}, {"und-US"}, {"x-abcdef"}, {"nb", "no"}, {"zh", "cmn"}, {"en", "en-US"}, {"iw", "he"}, {"sr-Latn", "sr"}} {
		var file []string
		var templates []sms.Template
		for _, l := range locales {
			file = append(file, fmt.Sprintf(`{"usageType": "Test", "content": "{{code}}", "locale": %q}`, l))
			templates = append(templates, sms.Template{Usage: sms.UsageTest, Content: "{{code}}", Locale: l})
		}
		_, faults, _ := testSpec().Read([]byte(`{"name": "N123", "templates": [` + strings.Join(file, ",") + `]}`))
		if _, err := sms.NewCatalog(templates); (err == nil) != (len(faults) == 0) {
			t.Errorf("%v: the loader says %v, the catalog %v", locales, faults, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"name": "N123", ` + goodTemplates + `}`))
	f.Add([]byte(`{"name": "", "templates": [{"content": "", "usageType": "Register"}]}`))
	f.Add([]byte(`{"a": [1 2], "b": {"c`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	spec := testSpec()
	f.Fuzz(func(t *testing.T, data []byte) {
		v, faults, _ := spec.Read(data)
		for _, fault := range faults {
			if fault.Message == "" || fault.Fix == "" {
				t.Errorf("an empty fault: %+v", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		// What was found right must be JSON by another reading, and sendable.
		var again struct {
			Name      string `json:"name"`
			Templates []any  `json:"templates"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(string(data), "\xef\xbb\xbf")), &again); err != nil || again.Name != v.String("name") || len(again.Templates) != len(v.Templates()) {
			t.Errorf("read %q and %d templates; encoding/json: %+v, %v", v.String("name"), len(v.Templates()), again, err)
		}
		if _, err := sms.NewCatalog(v.Templates()); err != nil {
			t.Errorf("the loader's templates make no catalog: %v", err)
		}
	})
}
