package httpapi

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/sms"
)

func startReader(t testing.TB) reader[StartRequest] {
	t.Helper()
	r := newDocument("").Components.Schemas
	return newReader[StartRequest](r, r.Schema(reflect.TypeFor[StartRequest](), true, ""))
}

func messageReader(t testing.TB) reader[MessageRequest] {
	t.Helper()
	r := newDocument("").Components.Schemas
	return newReader[MessageRequest](r, r.Schema(reflect.TypeFor[MessageRequest](), true, ""))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	rd := startReader(t)
	must := `"to":"+1","usage_type":"Test"`
	for _, tt := range []struct {
		body   string
		code   string // "" is none
		fields []string
	}{
		{`{` + must + `}`, "", nil},
		{" \t\r\n{" + must + ",\"code_length\" : 10 }\n", "", nil},
		{`{` + must + `,"locale":null,"metadata":null}`, "", nil},
		{`{` + must + `,"metadata":{"":""}}`, "", nil},
		{`{"t\u006f":"+1","usage_type":"Test"}`, "", nil},
		{`null`, codeInvalid, []string{""}},
		{`1`, codeInvalid, []string{""}},
		{`{"to":null,"usage_type":"Test"}`, codeInvalid, []string{"to"}},
		{`{"TO":"+1","usage_type":"Test"}`, codeInvalid, []string{"TO", "to"}},
		{`{` + must + `,"Locale":"en"}`, codeInvalid, []string{"Locale"}},
		{`{` + must + `,"":1,"7":2,"a b":3}`, codeInvalid, []string{"", "…"}},
		{`{` + must + `,"` + strings.Repeat("x", 41) + `":1}`, codeInvalid, []string{"…"}},
		{`{` + must + `,"code_length":6.5}`, codeInvalid, []string{"code_length"}},
		{`{` + must + `,"code_length":6.0}`, codeInvalid, []string{"code_length"}},
		{`{` + must + `,"code_length":1e1}`, codeInvalid, []string{"code_length"}},
		{`{` + must + `,"code_length":5}`, codeInvalid, []string{"code_length"}},
		{`{` + must + `,"code_length":99999999999999999999}`, codeInvalid, []string{"code_length"}},
		{`{` + must + `,"code_length":1e400}`, codeMalformed, nil},
		{`{` + must + `,"metadata":{"a":{"b":"c"}}}`, codeInvalid, []string{"metadata"}},
		{`{` + must + `,"metadata":{"a":"1","a":"2"}}`, codeMalformed, nil},
		{`{` + must + `,"to":"+2"}`, codeMalformed, nil},
		{`{` + must + `,"t\u006f":"+2"}`, codeMalformed, nil},
		{`{` + must + `,}`, codeMalformed, nil},
		{`{` + must + `} x`, codeMalformed, nil},
		{`{` + must + `}{}`, codeMalformed, nil},
		{`{` + must + `}]`, codeMalformed, nil},
		{`{"to" "+1"}`, codeMalformed, nil},
		{`{"to":"+1"`, codeMalformed, nil},
		{`[1 2]`, codeMalformed, nil},
		{`{"a":[1,2}`, codeMalformed, nil},
		{"{\"to\":\"\xff\"}", codeMalformed, nil},
		{"\xef\xbb\xbf{}", codeMalformed, nil},
		{strings.Repeat("[", 8000), codeMalformed, nil},
		{strings.Repeat(`{"a":`, 3000), codeMalformed, nil},
		{`{` + must + `,"session":"` + strings.Repeat("s", 257) + `"}`, codeInvalid, []string{"session"}},
		{`{` + must + `,"metadata":{` + strings.TrimSuffix(numbered(17), ",") + `}}`, codeInvalid, []string{"metadata"}},
	} {
		_, err := rd.decode([]byte(tt.body))
		var f faultError
		if errors.As(err, &f) != (tt.code != "") || f.code != tt.code {
			t.Errorf("%.80s: %v, want %q", tt.body, err, tt.code)
			continue
		}
		if tt.code == codeMalformed {
			continue // TestMalformedSaysWhere
		}
		var fields []string
		for _, e := range f.fields {
			fields = append(fields, e.Field)
		}
		if diff := cmp.Diff(tt.fields, fields); diff != "" {
			t.Errorf("%.80s: %s", tt.body, diff)
		}
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"k` + strings.Repeat("x", i) + `":"",`)
	}
	return b.String()
}

// A body that cannot be read is answered with the place, and none of its words.
func TestMalformedSaysWhere(t *testing.T) {
	t.Parallel()
	rd := messageReader(t)
	for body, want := range map[string]edge.FieldError{
		`to=+1`:                                       {Detail: "not one JSON value at byte 2 of 5"},
		`{"to":"+1"`:                                  {Detail: "not one JSON value at byte 10 of 10"},
		`{"to" "+1"}`:                                 {Detail: "not one JSON value at byte 7 of 11"},
		`{} {}`:                                       {Detail: "not one JSON value at byte 4 of 5"},
		"{\"to\":\"é\xff\"}":                          {Detail: "not UTF-8 at byte 10"},
		"{\"to\":\"\xef\xbf\xbd\xff\"}":               {Detail: "not UTF-8 at byte 11"},
		`{"payload":{"n":1e400}}`:                     {Detail: "a number is too large"},
		strings.Repeat("[", 20):                       {Detail: "more than 8 deep"},
		`{"to":"1","to":"2"}`:                         {Field: "to", Detail: "stands twice"},
		`{"payload":{"code":"1","code":"2"}}`:         {Field: "payload.code", Detail: "stands twice"},
		`{"payload":{"secret":"1","secret":"2"}}`:     {Field: "payload", Detail: "a name in it stands twice"},
		`{"payload":{"a":[{"secret":1,"secret":2}]}}`: {Field: "payload", Detail: "a name in it stands twice"},
		`{"secret":1,"secret":2}`:                     {Detail: "a name in it stands twice"},
		`{"":1,"":2}`:                                 {Detail: "a name in it stands twice"},
	} {
		_, err := rd.decode([]byte(body))
		var f faultError
		if !errors.As(err, &f) || f.code != codeMalformed {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff([]edge.FieldError{want}, f.fields); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// What a problem says of a nested field is what the schema names of it.
func TestDecodePayload(t *testing.T) {
	t.Parallel()
	rd := messageReader(t)
	for _, tt := range []struct {
		payload string
		want    []edge.FieldError
		code    string
	}{
		{`{"code":"1"}`, nil, ""},
		{`{"code":"1","a":{"b":{"c":[1,null,true]}}}`, nil, ""}, // the handler's to judge
		{`{"code":482913}`, []edge.FieldError{{Field: "payload.code", Detail: "expected string"}}, codeInvalid},
		{`{"code":null}`, []edge.FieldError{{Field: "payload.code", Detail: "expected string"}}, codeInvalid},
		{`{"code":""}`, []edge.FieldError{{Field: "payload.code", Detail: "expected length >= 1"}}, codeInvalid},
		{`{"code":"` + strings.Repeat("1", 65) + `"}`, []edge.FieldError{{Field: "payload.code", Detail: "expected length <= 64"}}, codeInvalid},
		{`{"secret":"482913"}`, []edge.FieldError{{Field: "payload", Detail: "expected required property code to be present"}}, codeInvalid},
		{`[["code","482913"]]`, []edge.FieldError{{Field: "payload", Detail: "expected object"}}, codeInvalid},
		{`"482913"`, []edge.FieldError{{Field: "payload", Detail: "expected object"}}, codeInvalid},
		{`null`, []edge.FieldError{{Field: "payload", Detail: "expected object"}}, codeInvalid},
		{`{"code":"1","code":"2"}`, []edge.FieldError{{Field: "payload.code", Detail: "stands twice"}}, codeMalformed},
		{`{"code":"1","a":{"b":1,"b":2}}`, []edge.FieldError{{Field: "payload", Detail: "a name in it stands twice"}}, codeMalformed},
		{`{"code":"1","a":` + strings.Repeat(`{"a":`, 7) + `1` + strings.Repeat(`}`, 7) + `}`, []edge.FieldError{{Detail: "more than 8 deep"}}, codeMalformed},
	} {
		_, err := rd.decode([]byte(`{"to":"+1","usage_type":"Test","payload":` + tt.payload + `}`))
		var f faultError
		if errors.As(err, &f) != (tt.code != "") || f.code != tt.code {
			t.Errorf("%.80s: %v, want %q", tt.payload, err, tt.code)
		}
		if diff := cmp.Diff(tt.want, f.fields); diff != "" {
			t.Errorf("%.80s: %s", tt.payload, diff)
		}
	}
}

// The schema's list of usage types is the domain's.
func TestUsageTypes(t *testing.T) {
	t.Parallel()
	var want []any
	for _, u := range sms.UsageTypes() {
		want = append(want, string(u))
	}
	for name, schema := range map[string]*huma.Schema{"start": startReader(t).schema, "message": messageReader(t).schema} {
		if diff := cmp.Diff(want, schema.Properties["usage_type"].Enum); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzDecode looks for a body that we read and encoding/json does not, or that
// has a second meaning for it.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{startBody, `{"to":"+1","usage_type":"Test","metadata":{"a":"b"}}`, `[{}]`, `{"to":1}`, `{"a":1,"a":2}`, "\xff", `{"code_length":6.0}`} {
		f.Add([]byte(s))
	}
	rd := startReader(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := rd.decode(data)
		if err != nil {
			var fault faultError
			if !errors.As(err, &fault) || faultOf(fault.code).status >= 500 {
				t.Fatalf("%v", err)
			}
			return
		}
		var object map[string]any
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatalf("decoded what is no JSON: %v", err)
		}
		if object["to"] != body.To || object["usage_type"] != body.UsageType {
			t.Errorf("%q is read as %+v", data, body)
		}
		for name := range object {
			if _, known := rd.schema.Properties[name]; !known {
				t.Errorf("the unknown field %q passed", name)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	rd := startReader(b)
	data := []byte(startBody)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rd.decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
