package twilio

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/connector"
)

// plainForm reads a form as form does, with the standard library and without a
// thought for what it costs: its fields, and the texts that may be signed of it.
func plainForm(body string) (fields [][2]string, first, distinct string, ok bool) {
	if body == "" {
		return nil, "", "", true
	}
	// One & at the end goes by; where there is nothing else it does not.
	for _, raw := range strings.Split(cmp.Or(strings.TrimSuffix(body, "&"), body), "&") {
		rawName, rawValue, _ := strings.Cut(raw, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil || raw == "" || strings.Contains(raw, ";") {
			return nil, "", "", false
		}
		fields = append(fields, [2]string{name, value})
	}
	slices.SortStableFunc(fields, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	seen := map[string]bool{}
	for _, f := range fields {
		if !seen[f[0]] {
			first += f[0] + f[1]
		}
		seen[f[0]] = true
	}
	both := slices.Clone(fields)
	slices.SortFunc(both, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	for _, f := range slices.Compact(both) {
		distinct += f[0] + f[1]
	}
	return fields, first, distinct, true
}

// TestFormAgreesWithTheStandardLibrary reads bodies that chance makes both ways,
// one form after the other in the same memory.
func TestFormAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"&", "&", "=", "=", "&a=", "&b=", "&%61=", "a", "b", "A", "ab", "+", "%41", "%4", "%e4%BD%a0", "%zz", "%", "%00", "%26", "%3D", "%2B", "é", "\xff", ";", " ", "Z9"}
	rare := map[string]bool{"%4": true, "%zz": true, "%": true, ";": true}
	var f form
	read, refused, repeated := 0, 0, 0
	for n := range 20_000 {
		var body string
		for range r.IntN(16) {
			if p := pieces[r.IntN(len(pieces))]; !rare[p] || r.IntN(8) == 0 {
				body += p
			}
		}
		want, first, distinct, ok := plainForm(body)
		err := f.parse([]byte(body))
		if (err == nil) != ok {
			t.Fatalf("seed %d, form %d: %q: %v, want ok to be %t", seed, n, body, err, ok)
		}
		if !ok {
			refused++
			continue
		}
		read++
		var got [][2]string
		for i, next := range f.fields {
			got = append(got, [2]string{string(next.name), string(next.value)})
			if again := i > 0 && got[i][0] == got[i-1][0]; again != f.again(i) || again && !f.repeated(got[i][0]) {
				t.Fatalf("seed %d, form %d: %q: field %d is not known to stand again", seed, n, body, i)
			}
		}
		gotFirst, more := f.appendFirst([]byte("x"))
		gotDistinct := f.appendDistinct([]byte("x"))
		if diff := gocmp.Diff(want, got); diff != "" || string(gotFirst) != "x"+first || string(gotDistinct) != "x"+distinct {
			t.Fatalf("seed %d, form %d: %q: %q and %q, want %q and %q\n%s", seed, n, body, gotFirst, gotDistinct, first, distinct, diff)
		}
		if !more && first != distinct {
			t.Fatalf("seed %d, form %d: %q: another reading goes by", seed, n, body)
		}
		if more {
			repeated++
		}
	}
	if read < 1000 || refused < 1000 || repeated < 1000 {
		t.Errorf("seed %d: %d forms were read, %d refused, %d repeated a name", seed, read, refused, repeated)
	}
}

// TestReadingsAreApart reads many callbacks at once, genuine, forged and broken
// ones: what is used again must not carry over, nor may what was handed out change.
func TestReadingsAreApart(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, testConfig(""), Options{})
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(caller), 0)) // #nosec G115 -- a small number
			var kept []connector.StatusUpdate
			var ids []string
			for n := range 500 {
				form := callbackForm("undelivered", "30003")
				id := fmt.Sprintf("SM%016x%016x", caller, n)
				form.Set("MessageSid", id)
				token, want := testToken, true
				switch r.IntN(4) {
				case 0:
					token, want = "x"+testToken[1:], false
				case 1:
					form.Del("MessageSid") // the last one's must not stand in
					want = false
				case 2:
					form.Set("Note", strings.Repeat("a +", r.IntN(3000)))
				}
				in := callback(token, callbackURL, form)
				u, err := c.ParseStatus(in)
				clear(in.Body)
				if (err == nil) != want || !want && u != (connector.StatusUpdate{}) {
					t.Errorf("caller %d, callback %d: %+v, %v; want one: %t", caller, n, u, err, want)
					return
				}
				if want {
					kept, ids = append(kept, u), append(ids, id)
				}
			}
			for i, u := range kept {
				if u.ProviderID != ids[i] || u.Status != connector.StatusUndelivered || u.Err.ProviderCode != "30003" {
					t.Errorf("caller %d: %+v, want %s", caller, u, ids[i])
				}
			}
		})
	}
	all.Wait()
}
