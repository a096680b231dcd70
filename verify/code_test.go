package verify

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sixdigit/sixdigit/phone"
)

// The vectors come from a second implementation, in Python, from RFC 5869 and
// the description of digits: whoever changes the derivation kills every code
// that is on its way.
func TestCodeVectors(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, serverKey("k1", 0))
	v := &Verification{ID: "0123456789abcdefghijklmnop", KeyID: "k1"}
	for i := range v.Salt {
		v.Salt[i] = 100 + byte(i)
	}
	for _, tc := range []struct {
		generation, length int
		want               string
	}{
		{1, 6, "477091"}, {2, 6, "386843"}, {1, 7, "7101515"}, {1, 10, "8534565838"}, {3, 8, "19358970"}, {28, 6, "006652"},
	} {
		v.Generation, v.CodeLength = tc.generation, tc.length
		code, err := keys.code(v)
		if err != nil || code.Reveal() != tc.want {
			t.Errorf("generation %d, length %d: got %s, %v, want %s", tc.generation, tc.length, code.Reveal(), err, tc.want)
		}
	}
	to, err := phone.Parse(testNumber)
	if err != nil {
		t.Fatal(err)
	}
	subject := keys.Subject("app", to)
	if got, want := hex.EncodeToString(subject[:]), "62306adadaed30a4aaa8e84b16d9bd263b00aac8de47e517f2eb5ef6c873b13c"; got != want {
		t.Errorf("subject key %s, want %s", got, want)
	}
}

// No chi-square could see a remainder without rejection (one part in 10^9), so
// the rejection is pinned by the words at its edge.
func TestReduceRejectsTheSurplus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		length  int
		surplus uint64 // 2^64 mod 10^length
	}{{6, 551616}, {7, 9551616}, {10, 3709551616}} {
		if code, ok := reduce(tc.surplus-1, tc.length); ok {
			t.Errorf("length %d: the last word of the surplus makes %s", tc.length, code)
		}
		first, ok := reduce(tc.surplus, tc.length)
		if want := fmt.Sprintf("%0*d", tc.length, tc.surplus); !ok || first != want {
			t.Errorf("length %d: the first word makes %q, want %s", tc.length, first, want)
		}
		// The last word makes the code before the first word's: whole rounds.
		last, ok := reduce(1<<64-1, tc.length)
		if want := fmt.Sprintf("%0*d", tc.length, tc.surplus-1); !ok || last != want {
			t.Errorf("length %d: the last word makes %q, want %s", tc.length, last, want)
		}
	}
}

// Chi-square over every digit at every place.
func TestCodeDigitsAreUniform(t *testing.T) {
	t.Parallel()
	const n, length = 60_000, 6
	random := rand.New(rand.NewPCG(1, 2))
	key := newMACKey(make([]byte, KeySize))
	var seen [length][10]int
	for i := range n {
		var salt Salt
		for j := range salt {
			salt[j] = byte(random.Uint32())
		}
		for place, c := range digits(key, fmt.Sprintf("%026d", i), salt, 1, length) {
			seen[place][c-'0']++
		}
	}
	for place, counts := range seen {
		chi := 0.0
		for _, c := range counts {
			d := float64(c) - n/10.0
			chi += d * d / (n / 10.0)
		}
		if chi > 27.88 { // 9 degrees of freedom, p = 0.001; the seed is fixed
			t.Errorf("place %d: chi-square %.1f: %v", place, chi, counts)
		}
	}
}

func TestCodeInputsAreKeptApart(t *testing.T) {
	t.Parallel()
	key := make([]byte, KeySize)
	base := digits(newMACKey(key), "0123456789abcdefghijklmnop", Salt{}, 1, 10)
	for name, other := range map[string]string{
		"id":         digits(newMACKey(key), "0123456789abcdefghijklmnoq", Salt{}, 1, 10),
		"salt":       digits(newMACKey(key), "0123456789abcdefghijklmnop", Salt{15: 1}, 1, 10),
		"generation": digits(newMACKey(key), "0123456789abcdefghijklmnop", Salt{}, 2, 10),
		"key":        digits(newMACKey(append([]byte{1}, key[1:]...)), "0123456789abcdefghijklmnop", Salt{}, 1, 10),
		"length":     digits(newMACKey(key), "0123456789abcdefghijklmnop", Salt{}, 1, 9),
	} {
		if other == base || other == base[1:] {
			t.Errorf("another %s makes the same code", name)
		}
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]ServerKey{
		"none":       nil,
		"no id":      {serverKey("", 1)},
		"twice":      {serverKey("a", 1), serverKey("a", 2)},
		"characters": {serverKey("a b", 1)},
		"long id":    {serverKey("123456789012345678901234567890123", 1)},
		"no secret":  {{ID: "a"}},
	} {
		if _, err := NewKeyring(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// The key stands where its id belongs: it must not be printed.
	slip := "c2VjcmV0IHNlY3JldA+"
	for _, keys := range [][]ServerKey{
		{serverKey("a", 1), serverKey(slip, 2)}, {serverKey("a", 1), {ID: slip}},
		{serverKey("a", 1), serverKey("a", 2)},
	} {
		_, err := NewKeyring(keys...)
		if err == nil || strings.Contains(err.Error(), slip) || strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "key 2 ") {
			t.Errorf("got %v, want an error that names the second key by its position", err)
		}
	}
	ring := newKeys(t, serverKey("new", 9), serverKey("old", 1))
	if !ring.Has("old") || !ring.Has("new") || ring.Has("other") || ring.CurrentID() != "new" {
		t.Error("the ring does not know its keys")
	}
	if ring.Idem("a", "r", "k", nil).Key == ring.Idem("ar", "", "k", nil).Key {
		t.Error("two lists of parts have one HMAC")
	}
}
