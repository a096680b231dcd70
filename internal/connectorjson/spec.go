package connectorjson

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/sms"
)

// FieldType is the JSON type of a config field.
type FieldType string

// The field types.
const (
	FieldString    FieldType = "string"
	FieldBool      FieldType = "boolean"
	FieldInteger   FieldType = "integer"
	FieldTemplates FieldType = "templates" // an array of templates, the same for every connector
)

// Field describes one member of a connector's config object. The loader, the
// JSON Schema and the docs come from the same description.
type Field struct {
	Name     string
	Type     FieldType
	Required bool
	Secret   bool   // a credential: editors mark it as write-only
	Doc      string // one sentence, for the schema
	Example  string

	Pattern string // for strings: a regular expression that the whole value matches
	Shape   string // the pattern in words, as "AC and 32 hexadecimal digits"
	Where   string // where an operator finds the value

	Min, Max int // for integers, both inclusive
}

// Spec describes a connector's config object.
type Spec struct {
	Title  string
	Fields []Field
	// Rules are further members of the JSON Schema, for what concerns several
	// fields at once. The connector's own code checks the same.
	Rules map[string]any
}

// Values are the fields of a file that were right.
type Values struct {
	fields    map[string]any
	templates []sms.Template
	present   map[string]bool
}

// Present reports whether the file names the field, right or wrong.
func (v Values) Present(name string) bool { return v.present[name] }

// String returns a string field, or "".
func (v Values) String(name string) string { s, _ := v.fields[name].(string); return s }

// Bool returns a boolean field, or false.
func (v Values) Bool(name string) bool { b, _ := v.fields[name].(bool); return b }

// Int returns an integer field, or 0.
func (v Values) Int(name string) int { n, _ := v.fields[name].(int); return n }

// Templates returns the templates that were right.
func (v Values) Templates() []sms.Template { return v.templates }

// Read reads a config file strictly. It returns what was right together with
// every fault, each with its place. object is false when the file holds no JSON
// object, so that there are no fields to compare.
func (s Spec) Read(data []byte) (v Values, faults []connector.Fault, object bool) {
	v = Values{fields: map[string]any{}, present: map[string]bool{}}
	root, faults := parseJSON(data)
	if root == nil {
		return v, faults, false
	}
	members, ok := root.value.([]member)
	if !ok {
		return v, append(faults, fault("", "holds "+root.typeName()+", not an object", "put the fields into curly brackets")), false
	}
	byName := map[string]*node{}
	for _, m := range members {
		byName[m.name] = m.node
		if m.name != "$schema" && !slices.Contains(s.names(), m.name) {
			faults = append(faults, unknownFault(m.path(), "field", m.name, s.names()))
		}
	}
	for _, f := range s.Fields {
		n := byName[f.Name]
		switch {
		case n == nil && f.Required:
			faults = append(faults, fault("/"+f.Name, "is missing", f.Fix()))
		case n == nil:
		case f.Type == FieldTemplates:
			v.present[f.Name] = true
			var fs []connector.Fault
			v.templates, fs = readTemplates(n)
			faults = append(faults, fs...)
		default:
			v.present[f.Name] = true
			value, problem := f.read(n)
			if problem != "" {
				faults = append(faults, fault(n.path(), problem, f.fixOf(n)))
				continue
			}
			v.fields[f.Name] = value
		}
	}
	return v, faults, true
}

func fault(path, message, fix string) connector.Fault {
	return connector.Fault{Path: path, Message: message, Fix: fix}
}

func (s Spec) names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

// read returns the field's value, or what is wrong with it.
func (f Field) read(n *node) (value any, problem string) {
	switch f.Type {
	case FieldString:
		s, ok := n.value.(string)
		if !ok {
			return nil, wrongType(n, "a string")
		}
		return s, f.CheckString(s)
	case FieldBool:
		b, ok := n.value.(bool)
		if !ok {
			return nil, wrongType(n, "true or false")
		}
		return b, ""
	default:
		number, ok := n.value.(json.Number)
		if !ok {
			return nil, wrongType(n, "a number")
		}
		x, err := strconv.ParseFloat(number.String(), 64)
		if err != nil || x != math.Trunc(x) || x < float64(f.Min) || x > float64(f.Max) {
			return nil, fmt.Sprintf("is not a whole number from %d to %d", f.Min, f.Max)
		}
		return int(x), ""
	}
}

// CheckString says what is wrong with a string field's value, or "".
func (f Field) CheckString(s string) (problem string) {
	switch {
	case s == "":
		return "is empty"
	case f.Secret && strings.ContainsFunc(s, unicode.IsSpace):
		return "holds a space or a line break" // mostly from copying it
	case f.Pattern != "" && !regexp.MustCompile(f.Pattern).MatchString(s):
		return "is not " + f.Shape
	}
	return ""
}

func wrongType(n *node, want string) string { return "is " + n.typeName() + ", not " + want }

func (f Field) fixOf(n *node) string {
	if n.value == nil && !f.Required {
		return "remove it, or " + f.Fix()
	}
	return f.Fix()
}

// Fix says what to write there and where to find it.
func (f Field) Fix() string {
	switch {
	case f.Type == FieldTemplates:
		return `write at least one, as {"usageType": "Generic", "content": "Your code is {{code}}."}`
	case f.Type == FieldBool:
		return "write true or false"
	case f.Type == FieldInteger:
		return fmt.Sprintf("write a whole number from %d to %d, without quotes", f.Min, f.Max)
	case f.Where != "":
		return fmt.Sprintf("write %s; %s", f.Shape, f.Where)
	default:
		return "write " + f.Shape
	}
}

func unknownFault(path, what, word string, known []string) connector.Fault {
	fix := fmt.Sprintf("remove it; the known ones are %s", strings.Join(known, ", "))
	if near := Nearest(word, known); near != "" {
		fix = fmt.Sprintf("write %q if that is meant, else remove it", near)
	}
	return fault(path, "is not a known "+what, fix)
}
