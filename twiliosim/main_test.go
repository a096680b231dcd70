package twiliosim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// No test of this package may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestImports: the simulator is the second opinion on Twilio, so it imports
// the standard library and nothing else.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", f.Name(), path)
			}
		}
	}
	if seen < 20 {
		t.Fatalf("only %d imports were looked at", seen)
	}
}

const (
	person = "+14155552671"
	host   = "http://localhost"
)

// newSim is a simulator that ends with the test.
func newSim(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// reply is an answer that was read to its end.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.code, r.body) }

// json decodes the body into a map.
func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return m
}

// errorCode is the code of Twilio's error body, after checking its shape.
func (r reply) errorCode(t testing.TB) int {
	t.Helper()
	m := r.json(t)
	code, _ := m["code"].(float64)
	if len(m) != 4 || m["status"] != float64(r.code) || m["message"] == "" || m["more_info"] != fmt.Sprintf("https://www.twilio.com/docs/errors/%d", int(code)) {
		t.Errorf("no error of Twilio's: %v", r)
	}
	if s, _ := m["message"].(string); strings.Contains(s, "%!") {
		t.Errorf("a message with a hole: %s", s)
	}
	return int(code)
}

// ask makes a request without a network; mod may change it.
func (s *Server) ask(method, path string, body string, mod ...func(*http.Request)) reply {
	r := httptest.NewRequest(method, host+path, strings.NewReader(body))
	if strings.HasPrefix(path, "/2010") || strings.HasPrefix(path, v1) {
		r.SetBasicAuth(s.o.AccountSID, s.o.AuthToken)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range mod {
		f(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), bytes.Clone(w.Body.Bytes())}
}

// post creates a message from pairs of names and values.
func (s *Server) post(pairs ...string) reply {
	return s.ask("POST", s.messagesPath(), formOf(pairs...).Encode())
}

func (s *Server) messagesPath() string { return v2010 + s.o.AccountSID + "/Messages.json" }

func formOf(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// text creates a message through the default service and returns its sid.
func (s *Server) text(t testing.TB, more ...string) string {
	t.Helper()
	r := s.post(append([]string{"To", person, "MessagingServiceSid", s.o.MessagingServiceSID, "Body", "Your code is 123456."}, more...)...)
	if r.code != http.StatusCreated {
		t.Fatal(r)
	}
	sid, _ := r.json(t)["sid"].(string)
	return sid
}

// state is a message as the control API has it.
func (s *Server) state(t testing.TB, sid string) Message {
	t.Helper()
	for _, m := range s.Messages("") {
		if m.SID == sid {
			return m
		}
	}
	t.Fatalf("%s is not there", sid)
	return Message{}
}
