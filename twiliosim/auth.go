package twiliosim

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// account is one of the two accounts: the default one and the test credentials.
type account struct {
	sid, token string
	trial      bool
	test       bool
	created    time.Time
}

// apiKey is a key made through the Keys resource or the control API. A main
// key may do everything, a standard key everything but /Accounts and /Keys.
type apiKey struct {
	sid, secret, name string
	main              bool
	created           time.Time
}

// caller is who made a request.
type caller struct {
	acct *account
	key  *apiKey // nil when the account's own token was used
}

// standard reports whether the caller may not use /Accounts and /Keys.
func (c caller) standard() bool { return c.key != nil && !c.key.main }

func sameSecret(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// authenticate reads the Basic credentials: the account's sid and token, or
// an API key's sid and secret.
func (s *Server) authenticate(r *http.Request) (caller, bool) {
	user, pass, ok := r.BasicAuth()
	if !ok {
		return caller{}, false
	}
	if strings.HasPrefix(user, "SK") {
		key := s.reg.key(user)
		// An unknown key costs the same comparison as a known one.
		want := apiKey{secret: strings.Repeat("0", 32)}
		if key != nil {
			want = *key
		}
		if !sameSecret(pass, want.secret) || key == nil {
			return caller{}, false
		}
		return caller{acct: &s.reg.main, key: key}, true
	}
	for _, a := range []*account{&s.reg.main, &s.reg.test} {
		if sameSecret(user, a.sid) && sameSecret(pass, a.token) {
			return caller{acct: a}, true
		}
	}
	return caller{}, false
}
