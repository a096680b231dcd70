package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1, which SHA-1's collisions do not weaken.
	"crypto/subtle"
	"encoding/base64"
	"io"
	"slices"
	"strings"

	"github.com/sixdigit/sixdigit/secret"
)

// signed reports whether signature is Twilio's for this URL and form:
// base64(HMAC-SHA1(token, URL + names and values)), see
// https://www.twilio.com/docs/usage/webhooks/webhooks-security. The hash
// sees no border between a name and its value, nor between fields: what is read
// of the form has to have a shape of its own besides.
//
// Every token, URL and reading of the form is tried, whichever matches: the
// time taken tells nothing of which.
func signed(tokens []secret.String, publicURL string, f fields, signature string) bool {
	given := []byte(signature)
	texts := f.signedTexts()
	match := 0
	for _, token := range tokens {
		key := []byte(token.Reveal())
		for _, u := range signedURLs(publicURL) {
			for _, text := range texts {
				mac := hmac.New(sha1.New, key)
				_, _ = io.WriteString(mac, u)
				_, _ = io.WriteString(mac, text)
				want := base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
				match |= subtle.ConstantTimeCompare(want, given)
			}
		}
	}
	return match == 1
}

// signedURLs are the forms in which Twilio may have signed the URL it was
// given. The fragment holds settings for Twilio itself and the user is sent as
// a header: neither is signed. Ports are signed differently by product, so the
// URL also counts with its port removed or the default one added. Cut by hand:
// url.URL would write escapes anew.
func signedURLs(publicURL string) []string {
	u, _, _ := strings.Cut(publicURL, "#")
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return []string{u}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, tail := rest[:end], rest[end:]
	host = host[strings.LastIndexByte(host, '@')+1:]
	build := func(host string) string { return scheme + "://" + host + tail }

	// The port's colon stands behind the brackets of an IPv6 address.
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return []string{build(host), build(host[:i])}
	}
	port := ":80"
	if strings.EqualFold(scheme, "https") {
		port = ":443"
	}
	return []string{build(host), build(host + port)}
}

// signedTexts are the readings of a form that signers use: names in byte
// order, each with its values. Where a name stands more than once, Twilio's
// library for Node takes the distinct values in order, the one for Go the
// first.
func (f fields) signedTexts() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	var all, first strings.Builder
	for _, name := range names {
		values := f[name]
		first.WriteString(name)
		first.WriteString(values[0])
		distinct := slices.Clone(values)
		slices.Sort(distinct)
		for _, v := range slices.Compact(distinct) {
			all.WriteString(name)
			all.WriteString(v)
		}
	}
	if all.String() == first.String() {
		return []string{all.String()}
	}
	return []string{all.String(), first.String()}
}
