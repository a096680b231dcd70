package connector

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

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

// Values are the fields that were there and right.
type Values struct {
	fields    map[string]any
	templates []sms.Template
}

// Has reports whether the file holds the field with a right value.
func (v Values) Has(name string) bool { _, ok := v.fields[name]; return ok }

// String returns a string field, or "".
func (v Values) String(name string) string { s, _ := v.fields[name].(string); return s }

// Bool returns a boolean field, or false.
func (v Values) Bool(name string) bool { b, _ := v.fields[name].(bool); return b }

// Int returns an integer field, or 0.
func (v Values) Int(name string) int { n, _ := v.fields[name].(int); return n }

// Templates returns the templates that were right.
func (v Values) Templates() []sms.Template { return v.templates }

// Read reads a config file strictly. It returns what was right together with
// every fault, each with its place. Present tells which fields the file names,
// right or wrong.
func (s Spec) Read(data []byte) (v Values, present map[string]bool, faults []Fault) {
	v.fields = map[string]any{}
	present = map[string]bool{}
	root, faults := parseJSON(data)
	if root == nil {
		return v, present, faults
	}
	members, ok := root.value.([]member)
	if !ok {
		return v, present, append(faults, Fault{Message: "holds " + root.typeName() + ", not an object", Fix: "put the fields into curly brackets"})
	}
	byName := map[string]*node{}
	for _, m := range members {
		byName[m.name] = m.node
		if m.name != "$schema" && s.field(m.name) == nil {
			faults = append(faults, unknownFault(m.path, "field", m.name, s.names()))
		}
	}
	for _, f := range s.Fields {
		n := byName[f.Name]
		if n == nil {
			if f.Required {
				faults = append(faults, Fault{Path: "/" + f.Name, Message: "is missing", Fix: f.fix()})
			}
			continue
		}
		present[f.Name] = true
		if f.Type == FieldTemplates {
			var fs []Fault
			v.templates, fs = readTemplates(n)
			faults = append(faults, fs...)
			continue
		}
		value, fault := f.read(n)
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		v.fields[f.Name] = value
	}
	return v, present, faults
}

func (s Spec) field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

func (s Spec) names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

func (f Field) read(n *node) (any, *Fault) {
	switch f.Type {
	case FieldString:
		s, ok := n.value.(string)
		switch {
		case !ok:
			return nil, f.wrongType(n, "a string")
		case s == "":
			return nil, &Fault{n.path, "is empty", f.fix()}
		case f.Pattern != "" && !regexp.MustCompile(f.Pattern).MatchString(s):
			return nil, &Fault{n.path, "is not " + f.Shape, f.fix()}
		}
		return s, nil
	case FieldBool:
		b, ok := n.value.(bool)
		if !ok {
			return nil, f.wrongType(n, "true or false")
		}
		return b, nil
	default:
		number, ok := n.value.(json.Number)
		if !ok {
			return nil, f.wrongType(n, "a number")
		}
		x, err := strconv.ParseFloat(number.String(), 64)
		if err != nil || x != math.Trunc(x) || x < float64(f.Min) || x > float64(f.Max) {
			return nil, &Fault{n.path, fmt.Sprintf("is not a whole number from %d to %d", f.Min, f.Max), f.fix()}
		}
		return int(x), nil
	}
}

func (f Field) wrongType(n *node, want string) *Fault {
	fix := f.fix()
	if n.value == nil && !f.Required {
		fix = "remove it, or " + fix
	}
	return &Fault{n.path, "is " + n.typeName() + ", not " + want, fix}
}

// fix says what to write there and where to find it.
func (f Field) fix() string {
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

func unknownFault(path, what, word string, known []string) Fault {
	f := Fault{
		Path:    path,
		Message: "is not a known " + what,
		Fix:     fmt.Sprintf("remove it; the known ones are %s", strings.Join(known, ", ")),
	}
	if near := Nearest(word, known); near != "" {
		f.Fix = fmt.Sprintf("write %q if that is meant, else remove it", near)
	}
	return f
}
