package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1, which SHA-1's collisions do not weaken.
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strings"

	"github.com/sixdigit/sixdigit/secret"
)

// signatureLength is that of 20 bytes in base64.
const signatureLength = 28

// signer makes the account's signatures: base64(HMAC-SHA1(token, URL + names
// and values)), see https://www.twilio.com/docs/usage/webhooks/webhooks-security.
// The hash sees no border between a name and its value, nor between fields: what
// is read of the form has to have a shape of its own besides.
//
// To set a key up costs as much as half of a callback's signature: a signer is
// used again.
type signer struct {
	macs []hash.Hash // one for each token

	// What is at work, kept for the next time.
	input, sum, made []byte
}

func newSigner(tokens []secret.String) signer {
	var s signer
	for _, token := range tokens {
		s.macs = append(s.macs, hmac.New(sha1.New, []byte(token.Reveal())))
	}
	return s
}

// signed reports whether signature is Twilio's for this URL and form. Twilio may
// have meant the URL with another port, and where a name stands more than once,
// Twilio's library for Node signs the distinct values in order, the one for Go the
// first: each is tried when the one before was not it. The time that a genuine
// signature takes tells which it was. That is how Twilio signs, and no secret; for
// any other signature all are tried.
func (s *signer) signed(publicURL string, f *form, signature string) bool {
	asGiven := signedURL(publicURL)
	if s.signedFor(asGiven, f, signature) {
		return true
	}
	ported, ok := otherPort(asGiven)
	return ok && s.signedFor(ported, f, signature)
}

func (s *signer) signedFor(url string, f *form, signature string) bool {
	var more bool
	s.input, more = f.appendFirst(append(s.input[:0], url...))
	if s.matches(signature) {
		return true
	}
	if !more {
		return false
	}
	s.input = f.appendDistinct(append(s.input[:0], url...))
	return s.matches(signature)
}

// matches tries every token, whichever matches: the time taken tells nothing of
// which.
func (s *signer) matches(signature string) bool {
	match := 0
	for _, mac := range s.macs {
		mac.Reset()
		_, _ = mac.Write(s.input) // a hash never fails
		s.sum = mac.Sum(s.sum[:0])
		s.made = base64.StdEncoding.AppendEncode(s.made[:0], s.sum)
		match |= subtle.ConstantTimeCompare(s.made, []byte(signature))
	}
	return match == 1
}

// signedURL is what Twilio signs of the URL it was given. The fragment holds
// settings for Twilio itself and the user is sent as a header: neither is signed.
// Cut by hand: url.URL would write escapes anew.
func signedURL(publicURL string) string {
	u, _, _ := strings.Cut(publicURL, "#")
	scheme, host, tail, ok := splitURL(u)
	if at := strings.LastIndexByte(host, '@'); ok && at >= 0 {
		return scheme + "://" + host[at+1:] + tail
	}
	return u
}

// otherPort is a signed URL with its port removed or the default one added: ports
// are signed differently by product.
func otherPort(u string) (string, bool) {
	scheme, host, tail, ok := splitURL(u)
	if !ok {
		return "", false
	}
	// The port's colon stands behind the brackets of an IPv6 address.
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return scheme + "://" + host[:i] + tail, true
	}
	port := ":80"
	if strings.EqualFold(scheme, "https") {
		port = ":443"
	}
	return scheme + "://" + host + port + tail, true
}

// splitURL cuts a URL without a fragment; host has the user and the port.
func splitURL(u string) (scheme, host, tail string, ok bool) {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return "", "", "", false
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return scheme, rest[:end], rest[end:], true
}
