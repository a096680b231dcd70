package twilio_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sixdigit/sixdigit/connector/twilio"
)

// The schema and the loader agree, but for what the schema cannot say.
func TestSchemaAgreesWithLoader(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	template := func(members string) string {
		return strings.Replace(withFields(""), cfgTemplate, "[{"+members+"}]", 1)
	}
	cases := []struct {
		name, file   string
		schema, load bool
	}{
		{"good", withFields(""), true, true},
		{"with $schema", withFields(`, "$schema": "./x.json"`), true, true},
		{"every option", withFields(`, "apiKeySID": "SK0123456789abcdef0123456789abcdef", "apiKeySecret": "x", "authTokenSecondary": "y", "baseURL": "https://api.twilio.com", "validityPeriod": 36000, "smartEncoded": false, "disableRiskCheck": true`), true, true},
		{"locale", template(`"usageType": "Test", "content": "{{ code }}", "locale": "zh-Hant-TW"`), true, true},
		{"wide white space", template(`"usageType": "Test", "content": "{{\u3000code\ufeff}}"`), true, true},
		{"nothing", `{}`, false, false},
		{"empty strings", strings.NewReplacer(cfgAccount, "", cfgToken, "", cfgService, "").Replace(withFields("")), false, false},
		{"unknown field", withFields(`, "acountSID": "x"`), false, false},
		{"both senders", withFields(`, "from": "Acme"`), false, false},
		{"no sender", strings.Replace(withFields(""), `"fromMessagingServiceSID": "`+cfgService+`", `, "", 1), false, false},
		{"half a key", withFields(`, "apiKeySecret": "x"`), false, false},
		{"a wrong type", withFields(`, "smartEncoded": "yes"`), false, false},
		{"a number out of range", withFields(`, "validityPeriod": 0`), false, false},
		{"a fraction", withFields(`, "validityPeriod": 1.5`), false, false},
		{"no templates", strings.Replace(withFields(""), cfgTemplate, "[]", 1), false, false},
		{"no code", template(`"usageType": "Test", "content": "{{code.x}} {{cod}} {code}"`), false, false},
		{"NEL is no white space", template(`"usageType": "Test", "content": "{{\u0085code}}"`), false, false},
		{"unknown usage type", template(`"usageType": "signin", "content": "{{code}}"`), false, false},
		{"unknown template field", template(`"usageType": "Test", "content": "{{code}}", "lang": "en"`), false, false},
		{"bad locale", template(`"usageType": "Test", "content": "{{code}}", "locale": "not a tag"`), false, false},
		// What only the loader sees.
		{"a well-formed tag of no language", template(`"usageType": "Test", "content": "{{code}}", "locale": "qqqqq-zzz-zzzzzz"`), true, false},
		{"twice", strings.Replace(withFields(""), cfgTemplate, `[{"usageType": "Test", "content": "{{code}}"}, {"usageType": "Test", "content": "{{code}}!"}]`, 1), true, false},
		{"an unencrypted host", withFields(`, "baseURL": "http://example.com"`), true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); (err == nil) != c.schema {
				t.Errorf("schema: %v, want good: %v", err, c.schema)
			}
			if _, _, err := twilio.ReadConfig([]byte(c.file)); (err == nil) != c.load {
				t.Errorf("loader: %v, want good: %v", err, c.load)
			}
		})
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := twilio.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(ecmaRegexp)
	if err := c.AddResource("connector.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("connector.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// ecmaRegexp compiles a pattern as ECMA 262 reads it, as far as ours differ.
func ecmaRegexp(pattern string) (jsonschema.Regexp, error) {
	const space = `[\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]`
	return regexp.Compile(strings.ReplaceAll(pattern, `\s`, space))
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(withFields("")))
	f.Add([]byte(`{"accountSID": "", "templates": [{"content": "", "usageType": "Register"}]}`))
	f.Add([]byte(withFields(`, "baseURL": "http://[::1%25eth0]:80", "from": "é"`)))
	for _, locale := range []string{"und-US", "x-abc", `nb"}, {"usageType": "Test", "content": "{{code}}", "locale": "no`} {
		f.Add([]byte(strings.Replace(withFields(""), `"Your code is {{code}}."`, `"{{code}}", "locale": "`+locale+`"`, 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := twilio.ReadConfig(data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("Validate refuses what ReadConfig took: %v", err)
		}
	})
}
