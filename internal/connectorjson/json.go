package connectorjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sixdigit/sixdigit/connector"
)

// Bounds of a config file. A connector's config is a page of text.
const (
	maxConfigBytes = 1 << 20
	maxConfigDepth = 16
)

// A node is a JSON value that keeps what encoding/json throws away: the order
// of an object's members, and names that stand twice. Its path is made when it
// is asked for: paths kept with every node would take gigabytes for a hostile
// file of kilobytes.
type node struct {
	parent *node
	name   string // in the parent: a member's name or an element's index
	value  any    // string, json.Number, bool, nil, []*node, []member; a json.Delim when nested too deep
}

type member struct {
	name string
	*node
}

// path is the node's JSON Pointer.
func (n *node) path() string {
	if n.parent == nil {
		return ""
	}
	return n.parent.path() + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(n.name)
}

// parseJSON reads one JSON value. Its faults are the syntax error that ended
// it, or every name that an object holds twice.
func parseJSON(data []byte) (*node, []connector.Fault) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors add a byte order mark
	switch {
	case len(data) > maxConfigBytes:
		return nil, []connector.Fault{{Message: "is larger than 1 MiB", Fix: "name the connector JSON, which is a page of text"}}
	case len(bytes.TrimSpace(data)) == 0:
		return nil, []connector.Fault{{Message: "is empty", Fix: "put the connector JSON into it: an object in curly brackets"}}
	}
	if f := invalidUTF8(data); f != nil {
		return nil, []connector.Fault{*f}
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, []connector.Fault{syntaxFault(data, err)}
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	return p.value(nil, "", 0), p.faults
}

// parser reads text that was found valid: its decoder has no errors.
type parser struct {
	dec    *json.Decoder
	faults []connector.Fault
}

func (p *parser) token() json.Token {
	t, _ := p.dec.Token()
	return t
}

func (p *parser) value(parent *node, name string, depth int) *node {
	n := &node{parent: parent, name: name, value: p.token()}
	d, nested := n.value.(json.Delim)
	switch {
	case !nested:
	case depth >= maxConfigDepth:
		p.faults = append(p.faults, fault(n.path(), "is nested too deep", "remove it: nothing in a connector JSON is nested that deep"))
		p.skip()
	case d == '[':
		n.value = p.array(n, depth)
	default:
		n.value = p.object(n, depth)
	}
	return n
}

func (p *parser) array(n *node, depth int) []*node {
	elems := []*node{}
	for p.dec.More() {
		elems = append(elems, p.value(n, strconv.Itoa(len(elems)), depth+1))
	}
	p.token() // the closing bracket
	return elems
}

func (p *parser) object(n *node, depth int) []member {
	members := []member{}
	seen := map[string]bool{}
	for p.dec.More() {
		name, _ := p.token().(string)
		v := p.value(n, name, depth+1)
		if seen[name] {
			p.faults = append(p.faults, fault(v.path(), "is there twice", "keep one of the two"))
			continue
		}
		seen[name] = true
		members = append(members, member{name, v})
	}
	p.token() // the closing bracket
	return members
}

// skip reads past the rest of an array or object whose bracket was read.
func (p *parser) skip() {
	for open := 1; open > 0; {
		switch p.token() {
		case json.Delim('['), json.Delim('{'):
			open++
		case json.Delim(']'), json.Delim('}'):
			open--
		}
	}
}

// typeName says what a value is, in JSON's words.
func (n *node) typeName() string {
	switch n.value.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []*node:
		return "an array"
	case []member:
		return "an object"
	case nil:
		return "null"
	default:
		return "something nested"
	}
}

func invalidUTF8(data []byte) *connector.Fault {
	if utf8.Valid(data) {
		return nil
	}
	offset := 0
	for {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		offset += size
	}
	line, column := position(data, offset)
	return &connector.Fault{
		Message: fmt.Sprintf("is not UTF-8 at line %d, column %d", line, column),
		Fix:     "save the file as UTF-8",
	}
}

// syntaxFault puts encoding/json's words into a place and an expectation. A
// test pins the phrases, which the standard library does not promise.
func syntaxFault(data []byte, err error) connector.Fault {
	offset, found := len(data), "the end of the file"
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && !strings.HasPrefix(syntax.Error(), "unexpected end") {
		offset = int(syntax.Offset) - 1 // Offset counts the offending byte
		if offset >= 0 && offset < len(data) {
			r, _ := utf8.DecodeRune(data[offset:])
			found = strconv.QuoteRune(r)
		}
	}
	line, column := position(data, offset)
	expected, fix := expectation(err)
	switch {
	case expected == "a value" && (found == "']'" || found == "'}'" || found == "','"):
		fix = "remove a comma too many, or write the value"
	case found == "'/'" || found == "'#'":
		fix = "remove it: JSON has no comments"
	}
	return connector.Fault{
		Message: fmt.Sprintf("is not valid JSON at line %d, column %d: found %s, expected %s", line, column, found, expected),
		Fix:     fix,
	}
}

func expectation(err error) (expected, fix string) {
	text := err.Error()
	for _, p := range []struct{ phrase, expected, fix string }{
		{"looking for beginning of object key string", "a name in double quotes", "remove a comma too many, or put the name in double quotes"},
		{"looking for beginning of value", "a value", "write a value there: text stands in double quotes"},
		{"after object key:value pair", `"," or "}"`, "put a comma between two members, or close the object"},
		{"after object key", `":"`, "put a colon between name and value"},
		{"after array element", `"," or "]"`, "put a comma between two elements, or close the array"},
		{"after top-level value", "the end of the file", "keep one JSON object in the file and remove what follows it"},
		{"in string literal", "a printable character", `write a line break as \n and a tab as \t`},
		{"in string escape code", `an escape such as \n, \" or \\`, `write a backslash as \\`},
		{`in \u hexadecimal character escape`, "four hexadecimal digits", `write \u and four hexadecimal digits`},
		{"in literal", "true, false or null", "write true, false or null in full and in lower case"},
		{"in numeric literal", "a digit", "write the number as JSON does: 600, 0.5"},
		{"after decimal point", "a digit", "write the number as JSON does: 600, 0.5"},
		{"in exponent", "a digit", "write the number as JSON does: 600, 0.5"},
		{"unexpected end", "more", "close what is open: a quote, a square or a curly bracket"},
		{"exceeded max depth", "fewer brackets", "remove the nesting"},
	} {
		if strings.Contains(text, p.phrase) {
			return p.expected, p.fix
		}
	}
	return "something else", "check the JSON at that place"
}

// position turns an offset into line and column, both from 1, the column in
// characters.
func position(data []byte, offset int) (line, column int) {
	offset = max(0, min(offset, len(data)))
	before := data[:offset]
	line = 1 + bytes.Count(before, []byte("\n"))
	column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, column
}
