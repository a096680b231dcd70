package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
)

// runDemo runs a demo on a free port and returns its URL, and how to end it.
func runDemo(t *testing.T) (address string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	logs := &lockedBuffer{}
	go func() {
		ended <- app.Demo(ctx, app.DemoOptions{Listen: "127.0.0.1:0", Out: writer, Log: jsonLog(logs)})
		_ = writer.Close()
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
		if strings.Contains(logs.String(), `"level":"ERROR"`) {
			t.Errorf("the service logged an error:\n%s", logs)
		}
	})
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		if _, found, ok := strings.Cut(lines.Text(), "Open http"); ok {
			go func() { _, _ = io.Copy(io.Discard, reader) }()
			return "http" + found, stop
		}
	}
	t.Fatalf("the demo printed no address: %v", stop())
	return "", nil
}

func TestDemoTranscript(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	if err := app.Demo(t.Context(), app.DemoOptions{Listen: "127.0.0.1:0", Exit: true, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	text := out.String()
	for _, want := range []string{
		"-> POST /v1/verifications\n", `"usage_type":"SignIn"`, "<- 201 Created",
		"\"valid\": false,\n        \"status\": \"pending\",\n        \"attempts_left\": 4,\n        \"verification\": {…}\n",
		"\"valid\": true,\n        \"status\": \"approved\",",
		"\"valid\": false,\n        \"status\": \"approved\",",
		"on the phone     Your sign-in code is ", "on the phone     Your sign-up code is ", "on the phone     A test: ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the transcript does not have %q:\n%s", want, text)
		}
	}
	steps := regexp.MustCompile(`posted +accepted as SM[0-9a-f]{32}\n +Twilio reports +accepted \S+, queued \S+, sent \S+, delivered `)
	if n := len(steps.FindAllString(text, -1)); n != 3 {
		t.Errorf("%d texts arrived, want 3:\n%s", n, text)
	}
	if n := strings.Count(text, "the service says delivered, because Twilio called back\n"); n != 3 {
		t.Errorf("the service knows of %d deliveries, want 3:\n%s", n, text)
	}
	if strings.Contains(text, "sd_") {
		t.Errorf("the transcript shows the API key:\n%s", text)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind: %v", left, err)
	}
}

// A transcript that cannot be written, or is interrupted, is not a success.
func TestDemoTranscriptFails(t *testing.T) {
	t.Parallel()
	if err := app.Demo(t.Context(), app.DemoOptions{Listen: "127.0.0.1:0", Exit: true, Out: brokenWriter{}}); err == nil {
		t.Error("a transcript that nobody got was a success")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Demo(ctx, app.DemoOptions{Listen: "127.0.0.1:0", Exit: true, Out: io.Discard}); err == nil {
		t.Error("an interrupted transcript was a success")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// The demo ends at once, whatever is still open: a stream, a connection on
// which nothing was asked, a start whose provider takes its time.
func TestDemoEndsQuickly(t *testing.T) {
	t.Parallel()
	address, stop := runDemo(t)
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Transport: &http.Transport{}, Jar: jar}
	defer client.CloseIdleConnections()
	get(t, client, address+"/")
	resp, err := client.Get(address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 64)); err != nil {
		t.Fatalf("the stream: %v", err)
	}
	silent, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	req, _ := http.NewRequest("PUT", address+"/sim/faults", strings.NewReader(`{"latency_ms": 60000}`))
	if resp, err := client.Do(req); err != nil || resp.StatusCode != 200 || resp.Body.Close() != nil {
		t.Fatalf("faults: %v %v", resp, err)
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		if resp, err := client.PostForm(address+"/start", url.Values{"to": {person}}); err == nil {
			_ = resp.Body.Close()
		}
	}()
	// The stream tells that the call is made.
	if _, err := resp.Body.Read(make([]byte, 64)); err != nil {
		t.Fatalf("the stream: %v", err)
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the demo took %s to end", took)
	}
	<-started
}

// get returns a page.
func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("GET %s: %s %v", address, resp.Status, err)
	}
	return string(text)
}

// Where the usual port is taken, the demo takes another; one that was asked
// for is not replaced.
func TestDemoPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = app.Demo(t.Context(), app.DemoOptions{Listen: taken.Addr().String(), Exit: true, Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "listen on "+taken.Addr().String()) {
		t.Errorf("a port that is taken: %v", err)
	}
	if usual, err := net.Listen("tcp", app.DefaultListen); err == nil {
		defer usual.Close() // and now it is taken
	}
	var out bytes.Buffer
	if err := app.Demo(t.Context(), app.DemoOptions{Exit: true, Out: &out}); err != nil {
		t.Errorf("with the usual port taken: %v", err)
	}
}

// sendText sends a text through the demo's simulated Twilio, as anybody may who
// has the address.
func sendText(t *testing.T, address, to, body string) {
	t.Helper()
	form := url.Values{"To": {to}, "MessagingServiceSid": {simService}, "Body": {body}}
	req, err := http.NewRequest("POST", address+"/2010-04-01/Accounts/"+simAccount+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(simAccount, simToken)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Fatalf("send a text: %s", resp.Status)
	}
}
