package twilio

import "bytes"

// A scanner walks JSON (RFC 8259) without building anything. The answer to a
// send is read with it: encoding/json looks at every byte twice and costs a
// tenth of the whole send. It takes exactly what encoding/json takes, apart
// from nesting over maxDepth, which no message has.
type scanner struct {
	data []byte
	at   int
}

const maxDepth = 16

// members calls f with each member of the object that data is: the name with
// its quotes, and the value as it stands. It reports whether data is one JSON
// object.
func members(data []byte, f func(name, value []byte)) bool {
	s := scanner{data: data}
	s.space()
	ok := s.object(maxDepth, f)
	s.space()
	return ok && s.at == len(data)
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// next steps over c, if c is next.
func (s *scanner) next(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) object(depth int, f func(name, value []byte)) bool {
	if !s.next('{') {
		return false
	}
	s.space()
	if s.next('}') {
		return true
	}
	for {
		from := s.at
		if !s.text() {
			return false
		}
		name := s.data[from:s.at]
		s.space()
		if !s.next(':') {
			return false
		}
		s.space()
		from = s.at
		if !s.value(depth - 1) {
			return false
		}
		if f != nil {
			f(name, s.data[from:s.at])
		}
		s.space()
		if !s.next(',') {
			return s.next('}')
		}
		s.space()
	}
}

func (s *scanner) array(depth int) bool {
	if !s.next('[') {
		return false
	}
	s.space()
	if s.next(']') {
		return true
	}
	for {
		if !s.value(depth - 1) {
			return false
		}
		s.space()
		if !s.next(',') {
			return s.next(']')
		}
		s.space()
	}
}

func (s *scanner) value(depth int) bool {
	if depth == 0 || s.at == len(s.data) {
		return false
	}
	switch s.data[s.at] {
	case '"':
		return s.text()
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.data[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) text() bool {
	if !s.next('"') {
		return false
	}
	for s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\' && !s.escaped():
			return false
		}
	}
	return false
}

// escaped steps over what follows a backslash.
func (s *scanner) escaped() bool {
	if s.at == len(s.data) {
		return false
	}
	c := s.data[s.at]
	s.at++
	if c != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), c) >= 0
	}
	for range 4 {
		if s.at == len(s.data) || !isHex(s.data[s.at]) {
			return false
		}
		s.at++
	}
	return true
}

func (s *scanner) number() bool {
	s.next('-')
	if !s.next('0') && !s.digits() {
		return false
	}
	if s.next('.') && !s.digits() {
		return false
	}
	if s.next('e') || s.next('E') {
		if !s.next('+') {
			s.next('-')
		}
		return s.digits()
	}
	return true
}

// digits steps over one or more.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
