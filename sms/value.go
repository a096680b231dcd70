package sms

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// maxDepth ends the printing of lists in lists. JSON that people write stays
// far below; a list that holds itself would otherwise never end.
const maxDepth = 8

// lookUp follows path into payload. It is false when the path's first part is
// not there, or empty; a nil value says that the path leads nowhere.
func lookUp(payload map[string]any, path string) (any, bool) {
	root, rest, more := strings.Cut(path, ".")
	value, ok := payload[root]
	if root == "" || !ok {
		return nil, false
	}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ".")
		value = member(value, part)
	}
	return value, true
}

// member returns what value holds under name, or nil.
func member(value any, name string) any {
	switch v := value.(type) {
	case nil:
		return nil
	case map[string]any:
		return v[name]
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return nil
		}
		if m := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())); m.IsValid() {
			return m.Interface()
		}
	case reflect.Slice, reflect.Array:
		if name == "length" {
			return v.Len()
		}
		// Only the form in which JavaScript writes an index: no "+1", no "01".
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < v.Len() && strconv.Itoa(i) == name {
			return v.Index(i).Interface()
		}
	}
	return nil
}

// display prints a value as JavaScript does; what JavaScript calls an object, and
// null, print as nothing.
func display(value any, depth int) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return number(v, 64)
	case json.Number:
		// JavaScript reads every JSON number as a float64.
		f, err := v.Float64()
		if err != nil && !math.IsInf(f, 0) {
			return v.String()
		}
		return number(f, 64)
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32:
		return number(v.Float(), 32)
	case reflect.Float64:
		return number(v.Float(), 64)
	case reflect.Slice, reflect.Array:
		return list(v, depth+1)
	}
	return ""
}

func list(v reflect.Value, depth int) string {
	if depth > maxDepth {
		return ""
	}
	members := make([]string, v.Len())
	for i := range members {
		members[i] = display(v.Index(i).Interface(), depth)
	}
	return strings.Join(members, ",")
}

// number prints f by ECMA-262's Number::toString: the shortest digits that
// read back as f, with an exponent from 1e21 up and below 1e-6.
func number(f float64, bits int) string {
	switch abs := math.Abs(f); {
	case f == 0:
		return "0" // also for -0
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs >= 1e-6 && abs < 1e21:
		return strconv.FormatFloat(f, 'f', -1, bits)
	}
	s := strconv.FormatFloat(f, 'e', -1, bits)
	// Go writes at least two digits of exponent, JavaScript only those needed.
	if n := len(s); n >= 4 && s[n-2] == '0' && (s[n-3] == '+' || s[n-3] == '-') {
		s = s[:n-2] + s[n-1:]
	}
	return s
}
