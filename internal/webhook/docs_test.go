package webhook

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/nettest"
	"github.com/sixdigit/sixdigit/secret"
)

// block is one block of docs/webhooks.md that holds a word.
func block(t *testing.T, language, word string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(b[1], word) {
			return b[1]
		}
	}
	t.Fatalf("docs/webhooks.md has no block of %s with %s", language, word)
	return ""
}

// TestReceiver runs the receiver that docs/webhooks.md shows: it takes what we
// sign, under either secret while one is rotated, and nothing else.
func TestReceiver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "receiver")
	if err := os.WriteFile(source, []byte(block(t, "go", "package main")), 0o600); err != nil {
		t.Fatal(err)
	}
	// Built from here, it finds what it imports in this module.
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listen := strings.TrimPrefix(nettest.Refused(t), "http://")
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+testSecret, "LISTEN="+listen)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitListener(t, listen)
	const other = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ="
	for name, c := range map[string]struct {
		secrets []string
		at      time.Time
		status  int
	}{
		"one secret":          {[]string{testSecret}, time.Now(), http.StatusNoContent},
		"while it is rotated": {[]string{other, testSecret}, time.Now(), http.StatusNoContent},
		"another secret":      {[]string{other}, time.Now(), http.StatusUnauthorized},
		"an old one, again":   {[]string{testSecret}, time.Now().Add(-time.Hour), http.StatusUnauthorized},
	} {
		e := Endpoint{App: "shop", URL: "http://" + listen + "/webhooks/sixdigit", AllowPrivate: true}
		for _, s := range c.secrets {
			e.Secrets = append(e.Secrets, secret.New(s))
		}
		cl, err := newClient(e, "sixdigit/test", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := cl.post(t.Context(), testEvent(), c.at); a.status != c.status {
			t.Errorf("%s: %+v, want %d", name, a, c.status)
		}
		cl.close()
	}
}

func awaitListener(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var d net.Dialer
		if conn, err := d.DialContext(t.Context(), "tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatal("the receiver does not listen")
}

// TestCheckByHand runs the lines of docs/webhooks.md on a request of ours.
func TestCheckByHand(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sh", "openssl", "od", "base64"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("the lines need %s: %v", name, err)
		}
	}
	script, dir := block(t, "sh", "openssl dgst"), t.TempDir()
	var header http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header = r.Header.Clone() }))
	t.Cleanup(s.Close)
	if a := local(t, s.URL, nil).post(t.Context(), testEvent(), time.Now()); !a.ok() {
		t.Fatalf("%+v", a)
	}
	run := func(secret, id string, body []byte) (string, error) {
		if err := os.WriteFile(filepath.Join(dir, "body.json"), body, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-euc", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "WEBHOOK_ID="+id,
			"WEBHOOK_TIMESTAMP="+header.Get("webhook-timestamp"), "WEBHOOK_SIGNATURE=v1,AAAA "+header.Get("webhook-signature"))
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	body, id := testEvent().Payload, testEvent().ID
	if out, err := run(testSecret, id, body); err != nil || out != "good" {
		t.Errorf("%q, %v", out, err)
	}
	for name, forged := range map[string]func() (string, error){
		"another body":   func() (string, error) { return run(testSecret, id, fmt.Append(body, " ")) },
		"another id":     func() (string, error) { return run(testSecret, "msg_2", body) },
		"another secret": func() (string, error) { return run("whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=", id, body) },
	} {
		if out, err := forged(); err == nil || out != "forged" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}
