package httpapi

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkQuick holds what quick promises: what it reads, the reader and
// encoding/json read as the same.
func checkQuick[B any](t *testing.T, rd reader[B], data []byte) (read bool) {
	t.Helper()
	var got B
	if !rd.quick.read(data, &got) {
		return false
	}
	want, err := rd.decode(data)
	if err != nil {
		t.Fatalf("%q is no body, and was read as %+v: %v", data, got, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-reader +quick):\n%s", data, diff)
	}
	var plain B
	if err := json.Unmarshal(data, &plain); err != nil || !reflect.DeepEqual(plain, got) {
		t.Fatalf("%q is for encoding/json %+v, %v; it was read as %+v", data, plain, err, got)
	}
	return true
}

func checkReader(t testing.TB) reader[CheckRequest] {
	t.Helper()
	r := newDocument("").Components.Schemas
	return newReader[CheckRequest](r, r.Schema(reflect.TypeFor[CheckRequest](), true, ""))
}

func TestQuick(t *testing.T) {
	t.Parallel()
	rd, check := startReader(t), checkReader(t)
	for body, want := range map[string]bool{
		startBody: true,
		`{"to":"+14155552671","usage_type":"SignIn"}`:                                                        true,
		" {\n\t\"usage_type\" : \"Test\" ,\r\n\"to\":\"+1\" } \n":                                            true,
		`{"to":"+1","usage_type":"Test","locale":"de-CH","channel":"sms","client_ip":"::1","session":"a b"}`: true,
		`{"to":"","usage_type":"Test"}`:                                                                      true,
		// What follows is the reader's to take or to refuse.
		`{"to":"+1","usage_type":"Test","code_length":6}`:              false,
		`{"to":"+1","usage_type":"Test","metadata":{"a":"b"}}`:         false,
		`{"to":"+1","usage_type":"Test","session":"ä"}`:                false,
		`{"to":"+1","usage_type":"Test","session":"\u0041"}`:           false,
		"{\"to\":\"+1\",\"usage_type\":\"Test\",\"session\":\"\x7f\"}": false,
		"{\"to\":\"+1\",\"usage_type\":\"Test\",\"session\":\"\n\"}":   false,
		`{"to":"+1","usage_type":"Test","locale":null}`:                false,
		`{"to":"+1","usage_type":"test"}`:                              false,
		`{"to":"+1","usage_type":"Test","TO":"+2"}`:                    false,
		`{"to":"+1","usage_type":"Test","to":"+1"}`:                    false,
		`{"to":"+1","usage_type":"Test","channel":"fax"}`:              false,
		`{"to":"` + strings.Repeat("1", 65) + `","usage_type":"Test"}`: false,
		`{"to":"+1"}`: false, `{}`: false, ``: false, `{`: false, `"to"`: false, `[]`: false, `null`: false,
		`{"to":"+1","usage_type":"Test"`: false, `{"to":"+1","usage_type":"Test",}`: false, `{"to":"+1","usage_type":"Test"}}`: false,
		`{"to" "+1","usage_type":"Test"}`: false, `{"to":"+1" "usage_type":"Test"}`: false, `{,"to":"+1","usage_type":"Test"}`: false,
	} {
		if got := checkQuick(t, rd, []byte(body)); got != want {
			t.Errorf("%s: read %t", body, got)
		}
	}
	if !checkQuick(t, check, []byte(codeBody)) || checkQuick(t, check, []byte(`{"code":""}`)) {
		t.Error("a check's body")
	}
	if checkQuick(t, messageReader(t), []byte(`{"to":"+1","usage_type":"Test"}`)) {
		t.Error("a message's body is not for quick")
	}
}

// Bodies that are nearly right: whatever quick takes of them is right.
func TestQuickTakesNothingWrong(t *testing.T) {
	t.Parallel()
	const seed = 3
	r := rand.New(rand.NewPCG(seed, seed))
	rd := startReader(t)
	parts := []string{`{`, `}`, `"to"`, `"usage_type"`, `"session"`, `"channel"`, `"Test"`, `"sms"`, `"x"`, `:`, `,`, ` `, `"\n"`, `"é"`, `6`, `null`, `[`, `]`}
	read := 0
	for range 40_000 {
		body := []byte(`{"to":"+1","usage_type":"Test","session":"s"}`)
		for range 1 + r.IntN(3) {
			i, n := r.IntN(len(body)), r.IntN(4)
			part := parts[r.IntN(len(parts))]
			body = append(append(append([]byte{}, body[:i]...), part...), body[min(len(body), i+n):]...)
		}
		if checkQuick(t, rd, body) {
			read++
		}
	}
	if read < 500 {
		t.Errorf("only %d of the bodies were read: the test shows little", read)
	}
}

func FuzzQuick(f *testing.F) {
	for _, s := range []string{startBody, codeBody, `{"to":"+1","usage_type":"Test","session":"\""}`, " { } "} {
		f.Add([]byte(s))
	}
	start, check := startReader(f), checkReader(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkQuick(t, start, data)
		checkQuick(t, check, data)
	})
}

func BenchmarkQuick(b *testing.B) {
	rd := startReader(b)
	data := []byte(`{"to":"+14155552671","usage_type":"SignIn"}`)
	b.ReportAllocs()
	var body StartRequest
	for b.Loop() {
		if !rd.quick.read(data, &body) {
			b.Fatal("not read")
		}
	}
}
