package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests that use this file run the program itself, as a process that can be
// killed, starved and measured: what `make build` makes, without this test's race
// detector.

// buildFolder holds the program; TestMain removes it.
var buildFolder = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sixdigit-build-") })

var program = sync.OnceValues(func() (string, error) {
	dir, err := buildFolder()
	if err != nil {
		return "", err
	}
	goTool := os.Getenv("GO") // as the Makefile has it
	if goTool == "" {
		goTool = "go"
	}
	path := filepath.Join(dir, "sixdigit")
	cmd := exec.Command(goTool, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// server is the program, serving.
type server struct {
	site         *site
	cmd          *exec.Cmd
	url, private string
	http         *http.Client
	log          *bytes.Buffer // standard error; for when the program has ended
	ended        chan struct{}
	err          error // of the process, once ended is closed
}

// serve starts the program and waits until it answers.
func (s *site) serve() *server {
	s.t.Helper()
	v, err := s.tryServe(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

var answersOn = regexp.MustCompile(`answers on (\S+); health and metrics on (\S+)`)

// tryServe is serve for a program that may refuse to: the error has what it said.
func (s *site) tryServe(as *syscall.SysProcAttr) (*server, error) {
	s.t.Helper()
	v := &server{site: s, cmd: s.command("serve", "--config", s.config), log: &bytes.Buffer{}, ended: make(chan struct{})}
	v.cmd.SysProcAttr = as
	v.cmd.Stderr = v.log
	out, in, err := os.Pipe() // ours: Wait would close cmd's own before all is read
	if err != nil {
		return nil, err
	}
	defer out.Close()
	v.cmd.Stdout = in
	if err := v.cmd.Start(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	_ = in.Close()
	go func() {
		v.err = v.cmd.Wait()
		close(v.ended)
	}()
	s.t.Cleanup(v.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	found := answersOn.FindStringSubmatch(line)
	if err != nil || found == nil {
		v.kill()
		return nil, fmt.Errorf("serve: %w, printed %q\n%s", v.err, line, v.log)
	}
	v.url, v.private = found[1], found[2]
	if s.front != nil {
		back, err := url.Parse(v.url)
		if err != nil {
			v.kill()
			return nil, err
		}
		s.front.back.Store(back)
	}
	v.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10_000}}
	return v, nil
}

// kill ends the program as a power cut would, and waits until it is gone.
func (v *server) kill() {
	_ = v.cmd.Process.Kill()
	<-v.ended
	if v.http != nil {
		v.http.CloseIdleConnections()
	}
}

// stop asks the program to end, and waits for it.
func (v *server) stop() error {
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-v.ended
	v.http.CloseIdleConnections()
	return v.err
}

// answer is what the tests read of any answer.
type answer struct {
	status       int
	ID           string    `json:"id"`
	Status       any       `json:"status"` // of a problem it is the number
	Valid        bool      `json:"valid"`
	AttemptsLeft int       `json:"attempts_left"`
	Code         string    `json:"code"`
	ExpiresAt    time.Time `json:"expires_at"`
	Sends        []sent    `json:"sends"`
	took         time.Duration
}

// sent is a text as the API shows it.
type sent struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	ProviderID string    `json:"provider_id"`
	CreatedAt  time.Time `json:"created_at"`
	Error      struct {
		Kind string `json:"kind"`
	} `json:"error"`
}

// call makes a request to the API. Its error says that no answer came.
func (v *server) call(method, path, body string) (answer, error) {
	return v.callFor(context.Background(), method, path, body)
}

func (v *server) callFor(ctx context.Context, method, path, body string) (answer, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+v.site.key)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err // half an answer is none
	}
	a.took = time.Since(began)
	if want := "application/problem+json"; a.status >= 400 && resp.Header.Get("Content-Type") != want {
		return a, fmt.Errorf("%s %d without %s", method, a.status, want)
	}
	return a, json.Unmarshal(text, &a)
}

// Where records are found; an id follows.
const (
	verificationsPath = "/v1/verifications/"
	messagesPath      = "/v1/messages/"
)

func (v *server) start(number string) (answer, error) {
	return v.call(http.MethodPost, "/v1/verifications", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn"}`, number))
}

func (v *server) check(id, code string) (answer, error) {
	return v.call(http.MethodPost, verificationsPath+id+"/check", fmt.Sprintf(`{"code": %q}`, code))
}

func (v *server) get(id string) (answer, error) {
	return v.call(http.MethodGet, verificationsPath+id, "")
}

func (v *server) resend(id string) (answer, error) {
	return v.call(http.MethodPost, verificationsPath+id+"/resend", "{}")
}

func (v *server) cancel(id string) (answer, error) {
	return v.call(http.MethodDelete, verificationsPath+id, "")
}

func (v *server) message(number, code string) (answer, error) {
	return v.call(http.MethodPost, "/v1/messages", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn", "payload": {"code": %q}}`, number, code))
}

// ready asks /readyz and returns its status and what it says.
func (v *server) ready() (int, string) {
	v.site.t.Helper()
	resp, err := v.http.Get(v.private + "/readyz")
	if err != nil {
		v.site.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.site.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric reads one figure off /metrics; its name includes the labels, if it has any.
func (v *server) metric(name string) float64 {
	v.site.t.Helper()
	value, err := v.tryMetric(name)
	if err != nil {
		v.site.t.Fatal(err)
	}
	return value
}

// tryMetric is metric for a figure that may not be there yet.
func (v *server) tryMetric(name string) (float64, error) {
	resp, err := v.http.Get(v.private + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			var value float64
			_, err := fmt.Sscan(rest, &value)
			return value, err
		}
	}
	return 0, fmt.Errorf("/metrics has no %s (%w)", name, cmp.Or(lines.Err(), errNoMetric))
}

var errNoMetric = errors.New("not among its lines")

// until polls what only another process can bring about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// each calls f for 0 to n-1, some at once.
func each(n int, f func(i int)) {
	next := make(chan int)
	var callers sync.WaitGroup
	for range crashCallers {
		callers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	callers.Wait()
}

// wrongCode is a code that is not the right one.
func wrongCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// numbers gives every caller numbers of its own: what is told of one
// verification is then the whole truth about its number.
type numbers struct {
	mu   sync.Mutex
	next int
}

func (n *numbers) draw() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next++
	return fmt.Sprintf("+1415%07d", 2_000_000+n.next)
}
