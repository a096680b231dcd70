package twilio

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sixdigit/sixdigit/connector"
)

// TestScanTakesWhatJSONTakes holds the scanner to encoding/json.
func TestScanTakesWhatJSONTakes(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, ` { } `, "\t\r\n{\"a\" : 1 , \"b\":[ ] }\n", `{"a":{"b":{"c":[1,[2],{"d":null}]}}}`, createdJSON,
		`{"a":-0.5e+10,"b":1E-2,"c":0,"d":10,"e":true,"f":false,"g":null,"h":"\"\\\/\b\f\n\r\t\u00e9"}`, "{\"a\":\"\xff\"}", "{\"a\":\"é\u2028\"}",
		``, ` `, `{`, `}`, `[]`, `null`, `"x"`, `1`, `{}{}`, `{} x`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`,
		`{"a":1.}`, `{"a":1e}`, `{"a":-}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":tru}`, `{"a":nul}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12`, `{"a":"\`, `{"a":"`,
		"{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":[1}`, `{"a":1 "b":2}`, `{"a"::1}`, "\ufeff{}", `{"a":1}//`, `{"a": 1}` + "\v",
	} {
		agree(t, []byte(data))
	}
	// The one difference: no message is as deep.
	for depth, want := range map[int]bool{maxDepth - 1: true, maxDepth: true, maxDepth + 1: false, 100_000: false} {
		data := `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
		if got := members([]byte(data), func(_, _ []byte) {}); got != want {
			t.Errorf("%d deep: %v, want %v", depth, got, want)
		}
	}
}

// agree compares the scanner with encoding/json on one document.
func agree(t *testing.T, data []byte) {
	t.Helper()
	got := map[string]string{}
	ok := members(data, func(name, value []byte) {
		var key string
		if err := json.Unmarshal(name, &key); err != nil {
			t.Errorf("%q: the name %q is no text", data, name)
		}
		got[key] = string(value)
	})
	var want map[string]json.RawMessage
	err := json.Unmarshal(data, &want)
	if ok != (err == nil && want != nil) {
		if ok || !deep(data) {
			t.Errorf("%q: scanned %v, encoding/json says %v", data, ok, err)
		}
		return
	}
	if !ok {
		return
	}
	if len(got) != len(want) {
		t.Errorf("%q: %d members, want %d", data, len(got), len(want))
	}
	for key, value := range want {
		if got[key] != string(value) {
			t.Errorf("%q: %q is %q, want %q", data, key, got[key], value)
		}
	}
}

func deep(data []byte) bool {
	return bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxDepth
}

// FuzzDecode gives every reader of answers the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add(201, []byte(createdJSON))
	f.Add(201, []byte(messageJSON("failed", "30001")))
	f.Add(200, []byte(listJSON("", listedJSON{})))
	f.Add(200, []byte(`{"account_sid": "`+testAccount+`", "message_sid": "`+testMessage+`", "outcome": "confirmed"}`))
	f.Add(400, []byte(errorJSON(21211, 400)))
	f.Add(429, []byte(`{"code": 20429, "details": {"a": [1]}}`))
	f.Add(302, []byte(`<html>`))
	for _, sections := range goldenSections(f, "create/*.txtar") {
		f.Add(201, []byte(sections["body"]))
	}
	f.Fuzz(func(t *testing.T, status int, data []byte) {
		agree(t, data)
		if status < 100 || status > 999 {
			return
		}
		c, err := New(testConfig(""), Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return &http.Response{StatusCode: status, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(data))}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := c.Send(t.Context(), testMsg(t))
		sound(t, err, status, isMessageSID(receipt.ProviderID) && bytes.Contains(data, []byte(receipt.ProviderID)))
		found, err := c.Find(t.Context(), testMsg(t), time.Unix(0, 0))
		sound(t, err, status, true)
		for _, f := range found {
			sound(t, nil, status, isMessageSID(f.ProviderID))
		}
		one, err := c.Fetch(t.Context(), testMessage)
		sound(t, err, status, one.ProviderID == testMessage)
		sound(t, c.Feedback(t.Context(), testMessage, true), status, true)
	})
}

// sound: an error tells enough, or all is well.
func sound(t *testing.T, err error, status int, well bool) {
	t.Helper()
	var e *connector.Error
	switch {
	case err == nil && (!well || status < 200 || status > 299):
		t.Errorf("status %d is taken for success", status)
	case err == nil:
	case !errors.As(err, &e) || e.Outcome == "" || e.Kind == "" || e.Advice == "":
		t.Errorf("status %d: %#v", status, err)
	case e.Outcome == connector.OutcomeMaybe && e.Actions.Has(actRetry):
		t.Errorf("status %d: maybe, and retry", status)
	default:
		for _, s := range testSecrets {
			if strings.Contains(err.Error(), s) {
				t.Errorf("status %d: the error shows a secret", status)
			}
		}
	}
}

// goldenSections are the files of testdata/twilio that match, by section.
func goldenSections(f *testing.F, pattern string) []map[string]string {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("../../testdata/twilio", pattern))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no goldens match %s: %v", pattern, err)
	}
	var all []map[string]string
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		sections := map[string]string{}
		for _, section := range archive.Files {
			sections[section.Name] = strings.TrimSuffix(string(section.Data), "\n")
		}
		all = append(all, sections)
	}
	return all
}
