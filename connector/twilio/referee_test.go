package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	referee "github.com/twilio/twilio-go/client"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/secret"
)

// TestRefereeAgreesOnSignatures asks Twilio's own library about callbacks that
// chance makes, genuine ones and changed ones. The two must agree on each, for
// URLs that both read alike (see the README of testdata/twilio for the rest).
func TestRefereeAgreesOnSignatures(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	validator := referee.NewRequestValidator(goldenToken)
	client := newClient(t, twilio.Config{AccountSID: goldenAccount, MessagingServiceSID: goldenService, AuthToken: secret.New(goldenToken)})
	verdicts := map[bool]int{}
	for n := range 3000 {
		publicURL, form := randomURL(r), randomForm(r)
		body := form.Encode()
		signature := sign(goldenToken, publicURL, form)
		switch r.IntN(6) {
		case 0:
			publicURL = changePort(publicURL)
		case 1:
			body += "&" + url.Values{randomText(r): {randomText(r)}}.Encode()
		case 2:
			body = flip(r, body)
		case 3:
			publicURL = flip(r, publicURL)
		}
		parsed, err := url.ParseQuery(body)
		if err != nil || emptyFields(body) || repeats(parsed) {
			continue // no form, or one that the two read differently by design
		}
		if u, err := url.Parse(publicURL); err != nil || u.String() != publicURL || u.Fragment != "" || u.User != nil {
			continue // the referee writes it anew
		}
		want := validator.ValidateBody(publicURL, []byte(body), signature)
		_, err = client.ParseStatus(signedForm(publicURL, signature, body))
		if got := !errors.Is(err, connector.ErrSignature); got != want {
			t.Fatalf("seed %d, case %d: %v, the referee says %v\n%s\n%s", seed, n, err, want, publicURL, body)
		}
		verdicts[want]++
	}
	const fewest = 300
	if verdicts[true] < fewest || verdicts[false] < fewest {
		t.Errorf("seed %d: %d genuine and %d changed, want %d of each", seed, verdicts[true], verdicts[false], fewest)
	}
}

// emptyFields: an & with nothing beside it, which our parser refuses.
func emptyFields(body string) bool {
	return slices.Contains(strings.Split(body, "&"), "")
}

func repeats(form url.Values) bool {
	for _, values := range form {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

func sign(token, publicURL string, form url.Values) string {
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(publicURL))
	for _, name := range names {
		mac.Write([]byte(name + form.Get(name)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func randomURL(r *rand.Rand) string {
	u := []string{"http", "https"}[r.IntN(2)] + "://" + []string{"example.com", "127.0.0.1", "a-b.example.co"}[r.IntN(3)]
	if r.IntN(2) == 0 {
		u += fmt.Sprintf(":%d", 1+r.IntN(65535))
	}
	u += "/callbacks/twilio/s_" + fmt.Sprint(r.IntN(1000))
	if r.IntN(2) == 0 {
		u += "?app=" + url.QueryEscape(randomText(r)) + "&x"
	}
	return u
}

// changePort drops the port, or adds the one that the scheme implies.
func changePort(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	switch {
	case u.Port() != "":
		u.Host = u.Hostname()
	case u.Scheme == "https":
		u.Host += ":443"
	default:
		u.Host += ":80"
	}
	return u.String()
}

func randomForm(r *rand.Rand) url.Values {
	form := url.Values{
		"MessageSid": {"SM0123456789abcdef0123456789abcdef"}, "MessageStatus": {"delivered"},
		"AccountSid": {goldenAccount}, "To": {"+14155552671"},
	}
	for range r.IntN(6) {
		form.Set(randomText(r), randomText(r))
	}
	return form
}

func randomText(r *rand.Rand) string {
	const letters = "abYZ019 +&=%;#?/\t\n\u00e9\u4f60\U0001F600"
	runes := []rune(letters)
	out := make([]rune, 1+r.IntN(8))
	for i := range out {
		out[i] = runes[r.IntN(len(runes))]
	}
	return string(out)
}

func flip(r *rand.Rand, s string) string {
	b := []byte(s)
	b[r.IntN(len(b))] ^= 1 << r.IntN(3)
	return string(b)
}
