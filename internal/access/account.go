package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"github.com/sixdigit/sixdigit/secret"
)

// Clients of Twilio's API name an account and give its token. Here the account
// is the app, and the token is a key without its decoration: an account's sid
// stays the same when its keys change.

// sidLength is the length of every sid: two letters and 32 hexadecimal digits.
const sidLength = 34

// AccountSID is the account sid by which an app is known to clients of Twilio's
// API. It is no secret.
func AccountSID(app string) string { return derivedSID("AC", "account", app) }

// derivedSID makes a sid of what it names.
func derivedSID(prefix, what, name string) string {
	sum := sha256.Sum256([]byte("sixdigit/" + what + "/" + name))
	return prefix + hex.EncodeToString(sum[:(sidLength-len(prefix))/2])
}

// Token shows a key as an auth token. It has letters and digits alone: some of
// Twilio's clients take nothing else.
func Token(key secret.String) secret.String {
	id, hidden, ok := split(key.Reveal())
	if !ok {
		return secret.String{}
	}
	return secret.New(id + hidden)
}

// AuthenticateAccount is Authenticate for a client of Twilio's API: account is
// AccountSID of the key's app.
func (a *Authenticator) AuthenticateAccount(ctx context.Context, account string, token secret.String) (Caller, error) {
	t := token.Reveal()
	if len(t) != idLength+secretLength || !strings.HasPrefix(account, "AC") {
		return Caller{}, ErrUnknownKey
	}
	c, err := a.Authenticate(ctx, "Bearer "+keyPrefix+t[:idLength]+"_"+t[idLength:])
	if err != nil {
		return Caller{}, err
	}
	if subtle.ConstantTimeCompare([]byte(AccountSID(c.App)), []byte(account)) != 1 {
		return Caller{}, ErrUnknownKey
	}
	return c, nil
}
