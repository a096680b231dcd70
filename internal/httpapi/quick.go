package httpapi

import (
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// quick reads the bodies that nearly every caller sends: one flat object of
// texts in plain ASCII, each name once, all within the schema. It is the schema,
// compiled. Whatever else a body holds, be it right or wrong, it leaves to the
// reader, so it knows no errors.
type quick[B any] struct {
	fields   []quickField
	required uint64 // a bit for each field that must be there
	never    bool   // what must be there is no text
}

// quickField is a field that holds a text, of which nothing is asked but its
// length and to be one of a few.
type quickField struct {
	name      string
	index     int // in B
	enum      []string
	low, high int // of its length
}

// maxQuick is how many fields there is a bit for.
const maxQuick = 64

func newQuick[B any](schema *huma.Schema) (q quick[B]) {
	body := reflect.TypeFor[B]()
	for i := range body.NumField() {
		name, _, _ := strings.Cut(body.Field(i).Tag.Get("json"), ",")
		property, required := schema.Properties[name], slices.Contains(schema.Required, name)
		f, ok := newQuickField(property)
		if !ok || body.Field(i).Type.Kind() != reflect.String || len(q.fields) == maxQuick {
			q.never = q.never || required
			continue
		}
		if required {
			q.required |= 1 << len(q.fields)
		}
		f.name, f.index = name, i
		q.fields = append(q.fields, f)
	}
	return q
}

// newQuickField is ok where it knows all that the schema asks.
func newQuickField(s *huma.Schema) (f quickField, ok bool) {
	if s == nil || s.Type != huma.TypeString {
		return f, false
	}
	f.high = maxBody
	if s.MinLength != nil {
		f.low = *s.MinLength
	}
	if s.MaxLength != nil {
		f.high = *s.MaxLength
	}
	for _, v := range s.Enum {
		text, isText := v.(string)
		if !isText {
			return f, false
		}
		f.enum = append(f.enum, text)
	}
	more := s.Pattern != "" || s.Format != "" || s.ContentEncoding != "" || s.Nullable || s.ReadOnly ||
		s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil
	return f, !more
}

// read fills body in and returns true, or leaves the data to the reader. It may
// have filled in a part by then.
func (q *quick[B]) read(data []byte, body *B) bool {
	if q.never {
		return false
	}
	into := reflect.ValueOf(body).Elem()
	seen := uint64(0)
	s := scanner{data: data}
	for more := s.byte('{'); more; more = s.byte(',') {
		name := s.text()
		if s.broken || !s.byte(':') {
			return false
		}
		value := s.text()
		i := slices.IndexFunc(q.fields, func(f quickField) bool { return f.name == string(name) })
		if s.broken || i < 0 || seen>>i&1 == 1 {
			return false
		}
		text, ok := q.fields[i].take(value)
		if !ok {
			return false
		}
		into.Field(q.fields[i].index).SetString(text)
		seen |= 1 << i
	}
	return seen != 0 && s.byte('}') && s.ended() && seen&q.required == q.required
}

func (f *quickField) take(value []byte) (text string, ok bool) {
	if len(value) < f.low || len(value) > f.high {
		return "", false
	}
	if f.enum == nil {
		return string(value), true
	}
	for _, text := range f.enum {
		if text == string(value) {
			return text, true
		}
	}
	return "", false
}

// scanner takes a JSON text apart as far as quick goes.
type scanner struct {
	data   []byte
	broken bool
}

// blank passes over white space.
func (s *scanner) blank() {
	for len(s.data) > 0 && (s.data[0] == ' ' || s.data[0] == '\n' || s.data[0] == '\r' || s.data[0] == '\t') {
		s.data = s.data[1:]
	}
}

// byte takes c, if that is what comes next.
func (s *scanner) byte(c byte) bool {
	s.blank()
	if len(s.data) == 0 || s.data[0] != c {
		return false
	}
	s.data = s.data[1:]
	return true
}

// text takes a string of printable ASCII without escapes and returns what is
// inside.
func (s *scanner) text() []byte {
	if !s.byte('"') {
		s.broken = true
		return nil
	}
	for i, c := range s.data {
		switch {
		case c == '"':
			inside := s.data[:i]
			s.data = s.data[i+1:]
			return inside
		case c < ' ' || c > '~' || c == '\\':
			s.broken = true
			return nil
		}
	}
	s.broken = true
	return nil
}

func (s *scanner) ended() bool {
	s.blank()
	return len(s.data) == 0
}
