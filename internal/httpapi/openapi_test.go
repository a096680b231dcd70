package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func loadJSON(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func document(t *testing.T) map[string]any {
	t.Helper()
	data, err := OpenAPI("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return loadJSON(t, data).(map[string]any)
}

// at walks into a document.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	doc := document(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("doc", doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	examples := 0
	for path, item := range doc["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			op := o.(map[string]any)
			name := strings.ToUpper(method) + " " + path
			id, _ := op["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s: operationId %q is missing or stands twice", name, id)
			}
			ids[id] = true
			for _, field := range []string{"summary", "description", "security"} {
				if op[field] == nil {
					t.Errorf("%s has no %s", name, field)
				}
			}
			wanted := []string{"401", "403", "500", "503"}
			contents := map[string]any{}
			if method == "post" {
				wanted = append(wanted, "400", "408", "409", "413", "415", "422", "429")
				contents["request"] = at(op, "requestBody", "content")
			}
			responses := op["responses"].(map[string]any)
			for status, r := range responses {
				contents[status] = at(r, "content")
				if (status == "429" || status == "503") != (at(r, "headers", "Retry-After") != nil) && status != "409" {
					t.Errorf("%s %s: Retry-After", name, status)
				}
			}
			for _, status := range wanted {
				if responses[status] == nil {
					t.Errorf("%s does not say when it answers %s", name, status)
				}
			}
			for where, content := range contents {
				examples += checkExamples(t, c, name+" "+where, content)
			}
		}
	}
	if examples < 50 {
		t.Errorf("only %d examples were checked", examples)
	}
	if len(ids) != 7 {
		t.Errorf("%d operations", len(ids))
	}
}

// checkExamples validates every example of a body against its schema, and
// returns how many there are.
func checkExamples(t *testing.T, c *jsonschema.Compiler, name string, content any) int {
	t.Helper()
	all, _ := content.(map[string]any)
	if len(all) == 0 {
		t.Errorf("%s has no content", name)
	}
	n := 0
	for mediaType, m := range all {
		if problem := mediaType == "application/problem+json"; !problem && mediaType != "application/json" {
			t.Errorf("%s: media type %s", name, mediaType)
		}
		ref, _ := at(m, "schema", "$ref").(string)
		schema, err := c.Compile("doc" + ref)
		if err != nil || ref == "" {
			t.Errorf("%s: schema %q: %v", name, ref, err)
			continue
		}
		examples, _ := at(m, "examples").(map[string]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for label, e := range examples {
			n++
			value := at(e, "value")
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s, example %s: %v", name, label, err)
			}
			if code := at(value, "code"); mediaType == "application/problem+json" && code != label {
				t.Errorf("%s: the example %s has code %v", name, label, code)
			}
		}
	}
	return n
}

// Every answer of the golden tests fits the document.
func TestGoldenAnswersFitTheDocument(t *testing.T) {
	t.Parallel()
	doc := document(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("doc", doc); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldenCases(t) {
		item := strings.Replace(g.path, sampleID, "{id}", 1)
		op := at(doc, "paths", item, strings.ToLower(g.method))
		if op == nil {
			continue // no route
		}
		data, err := os.ReadFile("testdata/golden/" + g.name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		_, answer, _ := strings.Cut(string(data), "\n\n")
		status, rest, _ := strings.Cut(answer, "\n")
		if status == "499" {
			continue // nobody reads it
		}
		body := rest[strings.Index(rest, "{\n"):strings.LastIndex(rest, "\n\n{")]
		content, _ := at(op, "responses", status, "content").(map[string]any)
		if len(content) == 0 {
			t.Errorf("%s: the document has no %s", g.name, status)
		}
		for mediaType, m := range content {
			schema, err := c.Compile("doc" + at(m, "schema", "$ref").(string))
			if err != nil {
				t.Fatal(err)
			}
			value := loadJSON(t, []byte(body))
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s: %v", g.name, err)
			}
			code, _ := at(value, "code").(string)
			if mediaType == "application/problem+json" && at(m, "examples", code) == nil {
				t.Errorf("%s: %s %s is not in the document", g.name, status, code)
			}
		}
	}
}

// Answers may gain fields, requests may not.
func TestSchemasOfAnswersAreOpen(t *testing.T) {
	t.Parallel()
	for name, s := range at(document(t), "components", "schemas").(map[string]any) {
		closed := at(s, "additionalProperties") == false
		if closed != strings.HasSuffix(name, "Request") {
			t.Errorf("%s: closed is %v", name, closed)
		}
	}
}

func TestDocumentIsServed(t *testing.T) {
	t.Parallel()
	ta := newTestAPI(t, &fake{})
	status, header, body := ta.do(t, httptest.NewRequest("GET", "/openapi.json", nil)) // without a key
	want, err := OpenAPI("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if status != 200 || header.Get("Content-Type") != "application/json" || body != string(want) {
		t.Errorf("%d %s, %d bytes", status, header.Get("Content-Type"), len(body))
	}
	again, err := OpenAPI("1.2.3")
	if err != nil || !bytes.Equal(want, again) {
		t.Error("the document is not the same each time")
	}
	// What the document promises and what is routed are one set.
	var routes []string
	for route := range ta.routes {
		routes = append(routes, route)
	}
	var described []string
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(want, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method := range item {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(routes)
	slices.Sort(described)
	if !slices.Equal(routes, described) {
		t.Errorf("routes %v, described %v", routes, described)
	}
}
