package twilio_test

import (
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
	"github.com/sixdigit/sixdigit/twiliosim"
)

// refereeCase is a request that the simulator has signed, perhaps changed since.
type refereeCase struct {
	url, body, signature string
	// What Twilio's library is known not to take as it stands.
	user, fragment, repeats bool
	ipv6                    bool
}

// TestRefereeAgreesOnSignatures asks Twilio's own library about requests that
// chance makes and the simulator signs, genuine ones and changed ones. The
// library and the connector must agree on each: what was signed both take, what
// was changed both refuse.
//
// The library knows nothing of three things that Twilio itself does: it signs
// neither the user in a URL nor the fragment, and a name that stands twice it
// signs with each distinct value. For those the request is put into words that
// the library reads (normalised), and it must refuse the words as they stand:
// the day that it learns them, this test says so.
func TestRefereeAgreesOnSignatures(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	validator := referee.NewRequestValidator(goldenToken)
	client := newClient(t, twilio.Config{AccountSID: goldenAccount, MessagingServiceSID: goldenService, AuthToken: secret.New(goldenToken)})
	verdicts, seen := map[bool]int{}, map[string]int{}
	for n := range 5000 {
		c := randomCase(r)
		if c.user || c.fragment || c.repeats {
			if validator.ValidateBody(c.url, []byte(c.body), c.signature) {
				t.Fatalf("seed %d, case %d: Twilio's library has learned more\n%s\n%s", seed, n, c.url, c.body)
			}
		}
		changed := c.change(r)
		if _, err := url.ParseQuery(c.body); err != nil || emptyFields(c.body) {
			continue // no form
		}
		want := normalised(validator, c)
		if !changed && !want {
			t.Fatalf("seed %d, case %d: Twilio's library refuses what the simulator signed\n%s\n%s", seed, n, c.url, c.body)
		}
		in := signedForm(c.url, c.signature, c.body)
		_, status := client.ParseStatus(in)
		_, reply := client.ParseReply(in)
		for _, err := range []error{status, reply} {
			if got := !errors.Is(err, connector.ErrSignature); got != want {
				t.Fatalf("seed %d, case %d: %v, the referee says %v\n%s\n%s", seed, n, err, want, c.url, c.body)
			}
		}
		verdicts[want]++
		for name, is := range map[string]bool{"user": c.user, "fragment": c.fragment, "repeats": c.repeats, "IPv6": c.ipv6} {
			if is && want {
				seen[name]++
			}
		}
	}
	const fewest = 300
	if verdicts[true] < fewest || verdicts[false] < fewest {
		t.Errorf("seed %d: %d genuine and %d changed, want %d of each", seed, verdicts[true], verdicts[false], fewest)
	}
	for _, name := range []string{"user", "fragment", "repeats", "IPv6"} {
		if seen[name] < fewest {
			t.Errorf("seed %d: %d genuine ones with %s, want %d", seed, seen[name], name, fewest)
		}
	}
}

func randomCase(r *rand.Rand) *refereeCase {
	c := &refereeCase{user: r.IntN(3) == 0, fragment: r.IntN(3) == 0, repeats: r.IntN(3) == 0, ipv6: r.IntN(4) == 0}
	c.url = c.randomURL(r)
	pairs := [][2]string{
		{"MessageSid", "SM0123456789abcdef0123456789abcdef"}, {"MessageStatus", "delivered"},
		{"AccountSid", goldenAccount}, {"To", "+14155552671"}, {"From", "+12025550100"}, {"Body", randomText(r)},
	}
	names := map[string]bool{}
	for range r.IntN(6) {
		name, value := randomText(r), ""
		if r.IntN(3) > 0 {
			value = randomText(r) // else an empty parameter
		}
		if !names[name] { // a name that stands twice by chance would be none of c.repeats
			pairs = append(pairs, [2]string{name, value})
		}
		names[name] = true
	}
	if c.repeats {
		name := "Repeated" + randomText(r)
		for _, v := range []string{"b", "a" + randomText(r), "", "b"}[r.IntN(2):] {
			pairs = append(pairs, [2]string{name, v})
		}
	}
	r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	c.signature = twiliosim.Sign(goldenToken, c.url, pairs)
	var fields []string
	for _, p := range pairs {
		fields = append(fields, url.QueryEscape(p[0])+"="+url.QueryEscape(p[1]))
	}
	c.body = strings.Join(fields, "&")
	return c
}

func (c *refereeCase) randomURL(r *rand.Rand) string {
	u := []string{"http", "https"}[r.IntN(2)] + "://"
	if c.user {
		u += []string{"user", "user:secret", "u%40x:p%23", ":"}[r.IntN(4)] + "@"
	}
	host := []string{"example.com", "127.0.0.1", "a-b.example.co", "xn--bcher-kva.example"}[r.IntN(4)]
	if c.ipv6 {
		host = []string{"[::1]", "[2001:db8::1]"}[r.IntN(2)]
	}
	u += host
	if r.IntN(2) == 0 {
		u += fmt.Sprintf(":%d", []int{80, 443, 8443, 1 + r.IntN(65535)}[r.IntN(4)])
	}
	u += "/callbacks/" + []string{"twilio", "tw%2Filio", "a@b:1", "\u00f3\u4f60"}[r.IntN(4)] + "/s_" + fmt.Sprint(r.IntN(1000))
	if r.IntN(2) == 0 {
		u += "?app=" + url.QueryEscape(randomText(r)) + "&x&y=&x=@2"
	}
	if c.fragment {
		u += "#" + []string{"rc=3&rp=5xx,ct,rt&rt=4000", "rp=all", "a/b?c@d:1"}[r.IntN(3)]
	}
	return u
}

// change may change what was signed, or something that was not.
func (c *refereeCase) change(r *rand.Rand) bool {
	switch r.IntN(8) {
	case 0:
		plain, _, _ := strings.Cut(c.url, "#")
		if u, err := url.Parse(plain); c.ipv6 || err != nil || u.String() != plain {
			return false // which the library writes anew, or misreads (IPv6), on its way to another port
		}
		c.url = changePort(plain)
	case 1:
		c.body += "&" + url.Values{randomText(r): {randomText(r)}}.Encode()
	case 2:
		c.body = flip(r, c.body)
	case 3:
		c.url = flip(r, c.url)
	case 4:
		c.signature = flip(r, c.signature)
	default:
		return false
	}
	return true
}

// normalised is the library's verdict on c without what it cannot read: the
// user and the fragment cut off, and repeated values as the one value that
// gives the same text to sign. Where that is not signed, the first values may
// be, as the library itself reads a form.
func normalised(validator referee.RequestValidator, c *refereeCase) bool {
	plain, _, _ := strings.Cut(c.url, "#")
	if scheme, rest, ok := strings.Cut(plain, "://"); ok {
		authority, tail := rest, ""
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			authority, tail = rest[:i], rest[i:]
		}
		plain = scheme + "://" + authority[strings.LastIndex(authority, "@")+1:] + tail
	}
	form, err := url.ParseQuery(c.body)
	if err != nil {
		return false
	}
	if validator.ValidateBody(plain, []byte(c.body), c.signature) {
		return true
	}
	for name, values := range form {
		slices.Sort(values)
		form[name] = []string{strings.Join(slices.Compact(values), name)}
	}
	return validator.ValidateBody(plain, []byte(form.Encode()), c.signature)
}

// emptyFields: an & with nothing beside it, which our parser refuses.
func emptyFields(body string) bool {
	return slices.Contains(strings.Split(body, "&"), "")
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
