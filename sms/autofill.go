package sms

import (
	"errors"
	"strings"
)

// Android's SMS Retriever passes on a text only up to this many bytes, and
// finds the app by this many characters of hash.
// https://developers.google.com/identity/sms-retriever/verify
const (
	maxRetriever = 140
	hashLen      = 11
)

// Why a line for automatic filling cannot be added.
var (
	errDomain = errors.New("sms: the domain is not a host name in ASCII without scheme, port or path")
	errCode   = errors.New("sms: the code for the origin line is empty or holds white space, @, # or characters outside ASCII")
	errOrigin = errors.New("sms: the body already ends in another origin line")
	errHash   = errors.New("sms: the app hash is not 11 characters of base64")
	errLong   = errors.New("sms: with the app hash the body exceeds 140 bytes, more than Android reads")
)

// WithOrigin ends body with the line "@domain #code", by which browsers offer
// the code on pages of https://domain and nowhere else. That line is the last
// and has no line break behind it; white space at the end of body goes.
// Format: https://wicg.github.io/sms-one-time-codes/
//
// The domain is a host name in ASCII, an international one in its xn-- form,
// and is written in lower case; an IP address, a port, a scheme or a path is
// an error. The code is printable ASCII without white space, "@" or "#". A
// body that already ends in this line is returned as it is; one that ends in
// another origin line is an error, as is one with an app hash that would
// exceed Android's 140 bytes.
//
// With an app hash too, call WithOrigin and WithAppHash in either order.
func WithOrigin(body, domain, code string) (string, error) {
	domain = lowerASCII(domain)
	if !validHost(domain) {
		return "", errDomain
	}
	if !validCode(code) {
		return "", errCode
	}
	body = trimEnd(body)
	line := "@" + domain + " #" + code
	_, last := cutLastLine(body)
	switch {
	case last == line:
		return body, nil
	case isOriginLine(last):
		return "", errOrigin
	}
	out := joinLines(body, line)
	if looksLikeHash(last) && len(out) > maxRetriever {
		return "", errLong
	}
	return out, nil
}

// WithAppHash adds a line with the hash of an Android app, by which the SMS
// Retriever API passes the text to that app. It becomes the last line, or the
// last but one where the body ends in an origin line. White space at the end
// of body goes.
//
// The hash is 11 characters of base64. A result of more than 140 bytes is an
// error, because Android would not read it. A body that already has the line
// in its place is returned as it is.
func WithAppHash(body, hash string) (string, error) {
	if len(hash) != hashLen || !isBase64(hash) {
		return "", errHash
	}
	body = trimEnd(body)
	text, origin := cutLastLine(body)
	if !isOriginLine(origin) {
		text, origin = body, ""
	}
	text = trimEnd(text)
	if _, last := cutLastLine(text); last != hash {
		text = joinLines(text, hash)
	}
	if origin != "" {
		text = joinLines(text, origin)
	}
	if len(text) > maxRetriever {
		return "", errLong
	}
	return text, nil
}

// trimEnd cuts spaces, tabs and line breaks from the end.
func trimEnd(s string) string { return strings.TrimRight(s, " \t\r\n") }

// cutLastLine splits at the last line feed; text is "" when there is none.
func cutLastLine(s string) (text, last string) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

func joinLines(text, line string) string {
	if text == "" {
		return line
	}
	return text + "\n" + line
}

// isOriginLine reports whether a browser would read line as "@host #code",
// whatever the host is. The line has no white space at its end.
func isOriginLine(line string) bool {
	host, code, ok := strings.Cut(line, " #")
	return ok && len(host) > 1 && host[0] == '@' && !strings.ContainsAny(host, " \t\f\r") &&
		strings.TrimLeft(code, " \t\f\r") == code && code != ""
}

// validHost reports whether h is a host name in lower-case ASCII: labels of
// 1 to 63 letters, digits and inner hyphens, 253 characters in all (RFC 1123).
// A last label that is a number would make it an IPv4 address (URL Standard,
// "ends in a number").
func validHost(h string) bool {
	if len(h) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
		last = label
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok && strings.Trim(hex, "0123456789abcdef") == "" {
		return false
	}
	return strings.Trim(last, "0123456789") != ""
}

func validCode(code string) bool {
	for i := range len(code) {
		if c := code[i]; c <= ' ' || c > '~' || c == '@' || c == '#' {
			return false
		}
	}
	return code != ""
}

// lowerASCII leaves other letters alone: folding them would let one through
// as a letter it is not, the Kelvin sign as k.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isBase64(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

// looksLikeHash tells a hash line from a word of 11 letters: a hash has a
// digit, a sign or a capital after a small letter (all but 1 in 1,500 do).
func looksLikeHash(line string) bool {
	if len(line) != hashLen || !isBase64(line) {
		return false
	}
	small := false
	for i := range len(line) {
		switch c := line[i]; {
		case c >= 'a' && c <= 'z':
			small = true
		case c >= 'A' && c <= 'Z':
			if small {
				return true
			}
		default:
			return true
		}
	}
	return false
}
