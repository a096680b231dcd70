package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sixdigit/sixdigit/secret"
)

// TestPublishedVector holds signatures to one that was published:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func TestPublishedVector(t *testing.T) {
	t.Parallel()
	k, err := key(secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	got := signature([][]byte{k}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// While a secret is rotated, whoever has either of the two can verify.
func TestRotation(t *testing.T) {
	t.Parallel()
	const first, second, third = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=", "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ="
	var keys [][]byte
	for _, s := range []string{first, second} {
		k, err := key(secret.New(s))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	body, now := []byte(`{"type":"verification.approved"}`), time.Now()
	header := func(signature string) http.Header {
		h := http.Header{}
		h.Set("webhook-id", "msg_1")
		h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		h.Set("webhook-signature", signature)
		return h
	}
	for _, c := range []struct {
		keys   [][]byte
		secret string
		ok     bool
	}{
		{keys, first, true},
		{keys, second, true},
		{keys, third, false},
		{keys[1:], first, false},
		{keys[1:], second, true},
	} {
		w, err := standardwebhooks.NewWebhook(c.secret)
		if err != nil {
			t.Fatal(err)
		}
		h := header(signature(c.keys, "msg_1", now, body))
		if err := w.Verify(body, h); (err == nil) != c.ok {
			t.Errorf("%d keys, %s: %v", len(c.keys), c.secret, err)
		}
		if w.Verify([]byte(`{}`), h) == nil {
			t.Error("another body verifies")
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_not base64", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_" + strings.Repeat("AAAA", 22), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n ",
	} {
		err := CheckSecret(secret.New(bad))
		if err == nil {
			t.Errorf("%q passes", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad[6:]) {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}
