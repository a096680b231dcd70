package twilio

import (
	"bytes"
	"strings"
)

// head is what counts of the head of an answer.
type head struct {
	status, length int
	size           int // its own, in bytes
}

// plainHead reads a head as nearly every answer to a send has it: HTTP/1.1, a status
// of 2xx, a length, and all of it there. Others are net/http's. Of the fields
// nothing is kept: nobody asks for those of a 2xx.
func plainHead(data []byte) (h head, ok bool) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return h, false
	}
	line, fields, _ := bytes.Cut(data[:end+2], []byte("\r\n"))
	h.size = end + 4
	if h.status, ok = plainStatus(line); ok {
		h.length, ok = plainFields(fields)
	}
	return h, ok
}

// plainStatus reads "HTTP/1.1 2xx reason". An answer of 204 has no body.
func plainStatus(line []byte) (status int, ok bool) {
	const start = "HTTP/1.1 2"
	rest, ok := bytes.CutPrefix(line, []byte(start))
	if !ok || len(rest) < 2 || !isDigit(rest[0]) || !isDigit(rest[1]) || len(rest) > 2 && rest[2] != ' ' || !printable(rest) {
		return 0, false
	}
	status = 200 + int(rest[0]-'0')*10 + int(rest[1]-'0')
	return status, status != 204
}

// plainFields reads the length, which must stand there once. It passes over what
// does not say where the answer ends.
func plainFields(fields []byte) (length int, ok bool) {
	length = -1
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found || !plainName(name) || !printable(value) {
			return 0, false
		}
		switch {
		case named(name, "Content-Length"):
			if length >= 0 {
				return 0, false
			}
			if length, ok = plainLength(bytes.Trim(value, " \t")); !ok {
				return 0, false
			}
		case named(name, "Transfer-Encoding"):
			return 0, false
		case named(name, "Connection"):
			if !strings.EqualFold(string(bytes.Trim(value, " \t")), "keep-alive") {
				return 0, false
			}
		}
	}
	return length, length >= 0
}

func named(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

func plainLength(digits []byte) (n int, ok bool) {
	for _, c := range digits {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(digits) > 0 && len(digits) < 10
}

func plainName(name []byte) bool {
	for _, c := range name {
		if !isDigit(c) && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return len(name) > 0
}

func printable(text []byte) bool {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// The buffers hold requests until they are written, and answers until they are
// understood. One that had to grow far is not kept.
const (
	typicalBuffer = 4 << 10
	largestBuffer = 16 << 10
)

func newBuffer() any {
	b := make([]byte, 0, typicalBuffer)
	return &b
}

func (w *wire) buffer() *[]byte { return w.buffers.Get().(*[]byte) }

func (w *wire) release(b *[]byte) {
	if cap(*b) <= largestBuffer {
		*b = (*b)[:0]
		w.buffers.Put(b)
	}
}
