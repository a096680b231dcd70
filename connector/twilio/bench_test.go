//go:build unix

package twilio

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
)

// BenchmarkSend measures the CPU, in user and system mode, that a send costs
// this process, beside a bare net/http POST of the same form, with the two
// taking turns. "ratio" is the one divided by the other. The server is another
// process. The bare variant does the least that a client can do: its form is
// encoded beforehand, its answer is not looked at, it has no time-out.
func BenchmarkSend(b *testing.B) {
	url := startServer(b)
	client, err := New(Config{
		AccountSID:          "AC" + strings.Repeat("0", 32),
		AuthToken:           secret.New(strings.Repeat("1", 32)),
		MessagingServiceSID: "MG" + strings.Repeat("0", 32),
		BaseURL:             url,
	}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	to, err := phone.Parse("+14155552671")
	if err != nil {
		b.Fatal(err)
	}
	m := connector.Message{
		To:          to,
		Body:        secret.New("Your sign-in code is 123456. Do not tell it to anybody."),
		CallbackURL: "https://codes.example.com/callbacks/twilio/s_0123456789.1",
		Validity:    10 * time.Minute,
	}
	send := func() {
		if _, err := client.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
	bare, closeBare := barePost(b, client, client.form(m))
	defer closeBare()

	const turn = 100 // long enough that the clock's reading costs nothing
	for range turn { // connections, pools and caches are warm for both
		send()
		bare()
	}
	var ours, theirs time.Duration
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		n := min(turn, b.N-done)
		ours += cpuOf(b, n, send)
		theirs += cpuOf(b, n, bare)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns-cpu/send")
	b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "ns-cpu/bare")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
	b.ReportMetric(0, "ns/op") // two sends: it would mislead
}

// barePost returns a POST of form as the standard library is commonly used.
func barePost(b *testing.B, c *Client, form []byte) (post, done func()) {
	pool := newPool(DefaultMaxConcurrent)
	client := &http.Client{Transport: pool}
	url, account, token := c.messages.String(), c.account, c.tokens[0].Reveal()
	post = func() {
		req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(form))
		if err != nil {
			b.Fatal(err)
		}
		req.SetBasicAuth(account, token)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			b.Fatal(resp.Status)
		}
	}
	return post, pool.CloseIdleConnections
}

func cpuOf(b *testing.B, n int, f func()) time.Duration {
	before := cpu(b)
	for range n {
		f()
	}
	return cpu(b) - before
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// startServer runs this test binary once more, as the server.
func startServer(b *testing.B) string {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}
