package twiliosim

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"slices"
	"strings"
)

// Sign computes X-Twilio-Signature as Twilio's "Webhooks security" page
// describes it: HMAC-SHA1, keyed with the account's token, over the URL and
// every posted name and value, sorted by name, without delimiters. The pairs
// are decoded; of a repeated name each different value counts once, sorted, as
// in Twilio's Node library. It is exported for tests of callback receivers.
func Sign(token, rawURL string, params [][2]string) string {
	sorted := slices.Clone(params)
	slices.SortFunc(sorted, func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, signedURL(rawURL)) // a hash never fails
	for _, p := range slices.Compact(sorted) {
		_, _ = io.WriteString(mac, p[0]+p[1])
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedURL is the part of a configured URL that is signed: everything but the
// fragment, which holds the connection overrides, and the user and password.
// The port stays, as it does for messages. The text is not normalised.
func signedURL(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return scheme + "://" + rest
}
