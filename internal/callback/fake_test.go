package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

func TestMain(m *testing.M) {
	if os.Getenv(outsideEnv) != "" {
		if err := runOutside(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	publicURL  = "https://codes.example.com"
	sendID     = "9dk2c0m3v7q1tbh5rg8e4anujs.1"
	statusPath = "/callbacks/twilio/" + sendID
	replyPath  = "/inbound/twilio"
	theirToken = "ffffffffffffffffffffffffffffffff"
	formType   = "application/x-www-form-urlencoded; charset=UTF-8"
)

// The account, the tokens and the text are those of testdata/twilio.
func account() string   { return "AC" + strings.Repeat("0", 32) }
func ourToken() string  { return strings.Repeat("1", 32) }
func nextToken() string { return strings.Repeat("2", 32) }

const messageSID = "SM0123456789abcdef0123456789abcdef"

// fake is a Recorder whose answers a test gives; without any it takes all.
type fake struct {
	mu       sync.Mutex
	calls    int
	delivery func(ctx context.Context, name, send string, u connector.StatusUpdate) error
	reply    func(ctx context.Context, name string, r connector.Reply) error
}

func (f *fake) RecordDelivery(ctx context.Context, name, send string, u connector.StatusUpdate) error {
	f.count()
	if f.delivery == nil {
		return nil
	}
	return f.delivery(ctx, name, send, u)
}

func (f *fake) RecordReply(ctx context.Context, name string, r connector.Reply) error {
	f.count()
	if f.reply == nil {
		return nil
	}
	return f.reply(ctx, name, r)
}

func (f *fake) count() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
}

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testCallbacks are Callbacks as a listener serves them, with Twilio's own
// client as "twilio", one that reads nothing as "mute", and what they observe.
type testCallbacks struct {
	*Callbacks
	http.Handler
	log  *lockedBuffer
	mu   sync.Mutex
	seen []string // connector, kind and result of each request
}

func newClient(t testing.TB) *twilio.Client {
	t.Helper()
	client, err := twilio.New(twilio.Config{
		AccountSID: account(), AuthToken: secret.New(ourToken()), AuthTokenSecondary: secret.New(nextToken()),
		MessagingServiceSID: "MG" + strings.Repeat("0", 32),
	}, twilio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func newTest(t testing.TB, public string, r Recorder) *testCallbacks {
	t.Helper()
	client := newClient(t)
	tc := &testCallbacks{log: &lockedBuffer{}}
	log := slog.New(slog.NewJSONHandler(tc.log, nil))
	source := Source{Status: client, Replies: client}
	c, err := New(Options{
		PublicURL: public, Recorder: r, Log: log,
		Sources: map[string]Source{"twilio": source, "mute": {}, "a b": source, "50%": source, "Ü#?": source},
		Observe: func(name, kind, result string) {
			tc.mu.Lock()
			defer tc.mu.Unlock()
			tc.seen = append(tc.seen, name+" "+kind+" "+result)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Routes(mux)
	tc.Callbacks, tc.Handler = c, edge.Wrap(mux, edge.Options{Log: log})
	return tc
}

func (tc *testCallbacks) observed() []string {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	return append([]string(nil), tc.seen...)
}

// pairs are a form's fields in order, decoded.
type pairs [][2]string

func (p pairs) encode() string {
	all := make([]string, len(p))
	for i, f := range p {
		all[i] = url.QueryEscape(f[0]) + "=" + url.QueryEscape(f[1])
	}
	return strings.Join(all, "&")
}

func statusForm(status string, more ...string) pairs {
	p := pairs{
		{"SmsSid", messageSID}, {"SmsStatus", status}, {"MessageStatus", status}, {"To", "+14155552671"},
		{"MessageSid", messageSID}, {"AccountSid", account()}, {"From", "+15005550006"}, {"ApiVersion", "2010-04-01"},
	}
	for pair := range slices.Chunk(more, 2) {
		p = append(p, [2]string(pair))
	}
	return p
}

func replyForm(body string) pairs {
	return pairs{
		{"SmsSid", messageSID}, {"SmsStatus", "received"}, {"Body", body}, {"To", "+12025550100"},
		{"MessageSid", messageSID}, {"AccountSid", account()}, {"From", "+14155552671"}, {"ApiVersion", "2010-04-01"},
	}
}

// signed is a request as Twilio makes it: to a path of publicURL, signed as the
// simulator signs.
func signed(token, path string, form pairs) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.encode()))
	r.Header.Set("Content-Type", formType)
	r.Header.Set("X-Twilio-Signature", twiliosim.Sign(token, publicURL+path, form))
	return r
}

// do serves one request. body is a problem where there is one.
func (tc *testCallbacks) do(t testing.TB, r *http.Request) (status int, header http.Header, body string, code string) {
	t.Helper()
	rec := httptest.NewRecorder()
	tc.ServeHTTP(rec, r)
	res := rec.Result()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p edge.Problem
	if res.Header.Get("Content-Type") == edge.ProblemType {
		if err := json.Unmarshal(data, &p); err != nil || p.Status != res.StatusCode || p.Detail == "" || p.RequestID == "" {
			t.Errorf("no whole problem: %v %s", err, data)
		}
	}
	return res.StatusCode, res.Header, string(data), p.Code
}
