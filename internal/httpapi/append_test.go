package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Answers are what encoding/json would write, whatever stands in them.
func TestAppendAsEncodingJSON(t *testing.T) {
	t.Parallel()
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	texts := []string{"", "SignIn", "+14155552671", `quo"te`, `back\slash`, "tab\t", "ä", "<&>", "\u2028", "\xff", "\x00", "\x7f", "日本"}
	text := func() string { return texts[r.IntN(len(texts))] }
	at := func() time.Time {
		zone := time.UTC
		if r.IntN(4) == 0 {
			zone = time.FixedZone("", 3600*(r.IntN(24)-12))
		}
		return time.Unix(r.Int64N(4e9), []int64{0, 0, 250e6, 123456789}[r.IntN(4)]).In(zone)
	}
	for range 3000 {
		v := Verification{
			ID: text(), To: text(), UsageType: text(), Channel: text(), Status: text(), Reason: text(), AttemptsLeft: r.IntN(9) - 2,
			CreatedAt: at(), ExpiresAt: at(), ResendAfter: at(), Joined: r.IntN(2) == 0, Test: r.IntN(2) == 0, Sends: []Send{},
		}
		for i := range r.IntN(3) {
			if v.Metadata == nil {
				v.Metadata = map[string]string{}
			}
			v.Metadata[fmt.Sprint(text(), i)] = text()
		}
		for range r.IntN(4) {
			s := Send{
				ID: text(), Channel: text(), Connector: text(), Status: text(), ProviderID: text(), Segments: r.IntN(4), CreatedAt: at(),
			}
			if r.IntN(2) == 0 {
				s.Error = &SendError{Kind: text(), ProviderCode: text(), Advice: text(), AdviceKey: text()}
			}
			v.Sends = append(v.Sends, s)
		}
		checkAppended(t, v, v.AppendJSON(nil))
		a := CheckAnswer{Valid: r.IntN(2) == 0, Status: text(), AttemptsLeft: r.IntN(4), Verification: v}
		checkAppended(t, a, a.AppendJSON([]byte("before"))[len("before"):])
	}
}

func checkAppended(t *testing.T, v any, got []byte) {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != want.String() {
		t.Fatalf("got\n%s\nencoding/json writes\n%s", got, want.String())
	}
}

// A field that an answer gains has to be written by hand as well.
func TestAppendWritesEveryField(t *testing.T) {
	t.Parallel()
	at := recordTime()
	// By place, so that it does not compile with a field more.
	v := Verification{
		"1", "2", "3", "4", "5", "6", 7, at, at, at, true, true, map[string]string{"a": "b"},
		[]Send{{"1", "2", "3", "4", "5", &SendError{"1", "2", "3", "4"}, 6, at}},
	}
	checkAppended(t, v, v.AppendJSON(nil))
	a := CheckAnswer{true, "1", 2, v}
	checkAppended(t, a, a.AppendJSON(nil))
}
