package twilio

import (
	"bytes"
	"cmp"
	"slices"
)

// Bounds of a callback and of a reply. Twilio's callbacks have about 10 fields
// and 500 bytes; a reply has up to 30, among them a text of 1,600 characters.
const (
	maxCallback = 64 << 10
	maxFields   = 200
)

// form is a decoded form: its fields by name, those of one name in the order in
// which they came. It is filled by parse, again and again; what it hands out lies
// in the body that was parsed or in memory that the next parse writes over.
type form struct {
	fields  []field
	decoded []byte // of names and values that have escapes
}

type field struct{ name, value []byte }

// parse decodes a form strictly: what it passes over would be a way to change a
// callback without changing its signature.
func (f *form) parse(body []byte) error {
	f.fields, f.decoded = f.fields[:0], f.decoded[:0]
	if len(body) > maxCallback {
		return malformed("it is too long")
	}
	for rest := body; len(rest) > 0; {
		if len(f.fields) == maxFields {
			return malformed("it has too many fields")
		}
		var raw []byte
		raw, rest = cut(rest, '&')
		rawName, rawValue := cut(raw, '=')
		name, ok1 := f.decode(rawName)
		value, ok2 := f.decode(rawValue)
		// Some parsers split at semicolons as well.
		if len(raw) == 0 || !ok1 || !ok2 || bytes.IndexByte(raw, ';') >= 0 {
			return malformed("its form cannot be decoded")
		}
		f.fields = append(f.fields, field{name, value})
	}
	slices.SortStableFunc(f.fields, func(a, b field) int { return bytes.Compare(a.name, b.name) })
	return nil
}

// forget lets go of the body.
func (f *form) forget() { clear(f.fields) }

func cut(s []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, nil
}

// decode undoes the escapes of a name or value. Most have none, and stay where
// they are.
func (f *form) decode(s []byte) ([]byte, bool) {
	for i, c := range s {
		if c == '%' || c == '+' {
			return f.unescape(s, i)
		}
	}
	return s, true
}

func (f *form) unescape(s []byte, first int) ([]byte, bool) {
	from := len(f.decoded)
	out := append(f.decoded, s[:first]...)
	for i := first; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return nil, false
			}
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		out = append(out, c)
	}
	f.decoded = out
	return out[from:], true
}

// unhex is the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10 // either case
}

// get is the first value of a name, empty where there is none.
func (f *form) get(name string) []byte {
	for i := range f.fields {
		if string(f.fields[i].name) == name {
			return f.fields[i].value
		}
	}
	return nil
}

// again reports whether the field before has the same name.
func (f *form) again(i int) bool {
	return i > 0 && bytes.Equal(f.fields[i-1].name, f.fields[i].name)
}

// repeated reports whether a name stands more than once.
func (f *form) repeated(name string) bool {
	for i := range f.fields {
		if string(f.fields[i].name) == name && f.again(i) {
			return true
		}
	}
	return false
}

// appendFirst appends each name with its first value, in byte order of the names.
// It reports whether there are other values.
func (f *form) appendFirst(text []byte) (_ []byte, more bool) {
	for i := range f.fields {
		if f.again(i) {
			more = true
			continue
		}
		text = append(text, f.fields[i].name...)
		text = append(text, f.fields[i].value...)
	}
	return text, more
}

// appendDistinct appends each name with each of its distinct values, in byte
// order of both.
func (f *form) appendDistinct(text []byte) []byte {
	sorted := slices.Clone(f.fields)
	slices.SortFunc(sorted, func(a, b field) int {
		return cmp.Or(bytes.Compare(a.name, b.name), bytes.Compare(a.value, b.value))
	})
	for i, next := range sorted {
		if i > 0 && bytes.Equal(next.name, sorted[i-1].name) && bytes.Equal(next.value, sorted[i-1].value) {
			continue
		}
		text = append(text, next.name...)
		text = append(text, next.value...)
	}
	return text
}
