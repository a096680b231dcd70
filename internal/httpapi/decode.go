package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sixdigit/sixdigit/internal/edge"
)

// maxDepth bounds nesting. The deepest body of ours is a message's, with
// maxPayloadDepth levels below its own.
const maxDepth = 8

// maxShown bounds what a problem repeats of an unknown field's name.
const maxShown = 40

// reader reads bodies of one type, strictly: UTF-8, one JSON object, each name
// once and spelled as documented, every value within its schema.
type reader[B any] struct {
	registry huma.Registry
	schema   *huma.Schema // nil for a type that is no body
	quick    quick[B]     // reads what it can in its place
}

func newReader[B any](registry huma.Registry, schema *huma.Schema) reader[B] {
	if schema != nil && schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	rd := reader[B]{registry: registry, schema: schema}
	if schema != nil {
		rd.quick = newQuick[B](schema)
	}
	return rd
}

func (rd reader[B]) decode(data []byte) (B, error) {
	var body B
	value, err := parse(data)
	if err != nil {
		return body, faultError{codeMalformed, []edge.FieldError{rd.place(data, err)}}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return body, invalid(edge.FieldError{Field: "", Detail: "the body is not a JSON object"})
	}
	if bad := rd.validate(object); len(bad) > 0 {
		return body, invalid(bad...)
	}
	if err := json.Unmarshal(data, &body); err != nil {
		// The schema passes 6.0 as an integer; Go does not.
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return body, invalid(edge.FieldError{Field: rd.known(typed.Field), Detail: "expected " + typed.Type.String()})
		}
		return body, faultError{code: codeMalformed}
	}
	return body, nil
}

// validate names every field at fault. It never repeats a value.
func (rd reader[B]) validate(object map[string]any) []edge.FieldError {
	var bad []edge.FieldError
	for name := range object {
		if _, known := rd.schema.Properties[name]; !known {
			bad = append(bad, edge.FieldError{Field: shown(name), Detail: "unknown field"})
		}
	}
	for _, name := range rd.schema.Required {
		if _, given := object[name]; !given {
			bad = append(bad, edge.FieldError{Field: name, Detail: "required"})
		}
	}
	if len(bad) == 0 {
		// Only now: huma takes names in any case and would pass "TO" as "to".
		var result huma.ValidateResult
		huma.Validate(rd.registry, rd.schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, object, &result)
		for _, err := range result.Errors {
			var detail *huma.ErrorDetail
			if errors.As(err, &detail) {
				bad = append(bad, edge.FieldError{Field: rd.known(detail.Location), Detail: detail.Message})
			}
		}
	}
	// A map has no order; an answer has one.
	slices.SortFunc(bad, func(a, b edge.FieldError) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(bad)
}

// known is the part of a field's path that the schema names; the names below it
// are the caller's.
func (rd reader[B]) known(path string) string {
	schema, end := rd.schema, 0
	for name := range strings.SplitSeq(path, ".") {
		for schema.Ref != "" {
			schema = rd.registry.SchemaFromRef(schema.Ref)
		}
		if schema = schema.Properties[name]; schema == nil {
			break
		}
		end += len(name) + 1
	}
	return path[:max(0, end-1)]
}

// shown repeats an unknown field's name where it looks like one.
func shown(name string) string {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') || i >= maxShown {
			return "…"
		}
	}
	return name
}

var (
	errNotUTF8  = errors.New("httpapi: not UTF-8")
	errTooDeep  = errors.New("httpapi: nested too deep")
	errTrailing = errors.New("httpapi: something follows the value")
)

// twiceError is a name that stands twice, as a path. It is the caller's word.
type twiceError struct{ path string }

// Error does not repeat the name.
func (twiceError) Error() string { return "httpapi: a name stands twice" }

// place says where a body cannot be read, in bytes counted from 1. It repeats
// no names but the schema's.
func (rd reader[B]) place(data []byte, err error) edge.FieldError {
	var twice twiceError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &twice):
		if known := rd.known(twice.path); known != "" && known == twice.path {
			return edge.FieldError{Field: known, Detail: "stands twice"}
		}
		return edge.FieldError{Field: rd.known(twice.path), Detail: "a name in it stands twice"}
	case errors.Is(err, errNotUTF8):
		at := 0
		for r, n := utf8.DecodeRune(data); r != utf8.RuneError || n != 1; r, n = utf8.DecodeRune(data[at:]) {
			at += n
		}
		return edge.FieldError{Detail: fmt.Sprintf("not UTF-8 at byte %d", at+1)}
	case errors.Is(err, errTooDeep):
		return edge.FieldError{Detail: fmt.Sprintf("more than %d deep", maxDepth)}
	case !errors.As(json.Unmarshal(data, new(json.RawMessage)), &syntax):
		return edge.FieldError{Detail: "a number is too large"}
	}
	return edge.FieldError{Detail: fmt.Sprintf("not one JSON value at byte %d of %d", syntax.Offset, len(data))}
}

// parse reads one JSON value. Unlike json.Unmarshal it takes no name twice, no
// broken UTF-8 and no deep nesting: two programs would read such a body in two
// ways.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	value, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return value, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token() // the bracket
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		for dec.More() {
			token, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, ok := token.(string)
			if _, twice := object[name]; twice || !ok {
				return nil, twiceError{name}
			}
			if object[name], err = parseValue(dec, depth+1); err != nil {
				var twice twiceError
				if errors.As(err, &twice) {
					return nil, twiceError{name + "." + twice.path}
				}
				return nil, err
			}
		}
		_, err := dec.Token()
		return object, err
	}
	return token, nil
}
