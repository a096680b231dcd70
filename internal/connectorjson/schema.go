package connectorjson

import (
	"encoding/json"
	"maps"

	"github.com/sixdigit/sixdigit/sms"
)

// codePattern is the placeholder rule of package sms for the name code. JSON
// Schema reads patterns as ECMA 262 does, whose \s is the same white space.
const codePattern = `\{\{\s*code\s*\}\}`

// Schema returns the JSON Schema (draft 2020-12) of the config object. What a
// schema cannot say, the loader still checks: a usage type and locale that
// stand twice, the length of a message.
func (s Spec) Schema() ([]byte, error) {
	properties := map[string]any{
		"$schema": map[string]any{"type": "string", "description": "The JSON Schema of this file, for editors."},
	}
	var required []string
	for _, f := range s.Fields {
		properties[f.Name] = f.schema()
		if f.Required {
			required = append(required, f.Name)
		}
	}
	schema := map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                s.Title,
		"type":                 "object",
		"properties":           properties,
		"required":             required,
		"additionalProperties": false,
	}
	maps.Copy(schema, s.Rules)
	return json.MarshalIndent(schema, "", "  ")
}

func (f Field) schema() map[string]any {
	m := map[string]any{"description": f.Doc}
	if f.Secret {
		m["writeOnly"] = true
	}
	if f.Example != "" {
		m["examples"] = []string{f.Example}
	}
	switch f.Type {
	case FieldString:
		m["type"], m["minLength"] = "string", 1
		if f.Pattern != "" {
			m["pattern"] = f.Pattern
		}
	case FieldBool:
		m["type"] = "boolean"
	case FieldInteger:
		m["type"], m["minimum"], m["maximum"] = "integer", f.Min, f.Max
	case FieldTemplates:
		m["type"], m["minItems"], m["items"] = "array", 1, templateSchema()
	}
	return m
}

func templateSchema() map[string]any {
	return map[string]any{
		"type":                 "object",
		"required":             []string{"usageType", "content"},
		"additionalProperties": false,
		"properties": map[string]any{
			"usageType": map[string]any{
				"type":        "string",
				"enum":        usageNames(),
				"description": "What the text is for. A type without a template of its own is served by " + string(sms.UsageGeneric) + ".",
			},
			"content": map[string]any{
				"type":        "string",
				"pattern":     codePattern,
				"maxLength":   sms.MaxBody,
				"description": "The text, with {{code}} where the code goes.",
				"examples":    []string{"Your sign-in code is {{code}}."},
			},
			"locale": map[string]any{
				"type":        "string",
				"pattern":     "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$",
				"description": "The BCP 47 language of the text; without it the template serves every language.",
				"examples":    []string{"en", "pt-BR"},
			},
		},
	}
}
