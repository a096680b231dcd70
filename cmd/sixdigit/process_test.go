package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/twiliosim"
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

// site is a data folder with its config and a simulated Twilio in this process.
// Servers come and go on it.
type site struct {
	t      *testing.T
	dir    string
	config string
	key    string
	sim    *twiliosim.Server
}

// siteConfig charges every limit, as a service does, and none stops a test.
const siteConfig = `listen: 127.0.0.1:0
private_listen: 127.0.0.1:0
connector: twilio.json
data: data
countries: [all]
apps: {shop: {client_ip: none}}
limits:
  app_number: {burst: 10000000, every: 1ms}
  app_prefix: {burst: 10000000, every: 1ms}
  app_prefix_daily: {burst: 10000000}
  app_country: {burst: 10000000, every: 1ms}
  app_country_daily: {burst: 10000000}
  prefix: {burst: 10000000, every: 1ms}
  all: {burst: 10000000, every: 1ms}
  all_daily: {burst: 10000000}
`

// newSite makes a site; more is YAML that is added to its config, and wrap stands
// between the program and the simulator.
func newSite(t *testing.T, more string, wrap func(http.Handler) http.Handler) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), sim: twiliosim.New(twiliosim.Options{Step: time.Hour})}
	var h http.Handler = s.sim
	if wrap != nil {
		h = wrap(h)
	}
	sim := httptest.NewServer(h)
	t.Cleanup(func() {
		_ = s.sim.Close() // first: it ends what hangs
		sim.Close()
	})
	s.config = filepath.Join(s.dir, "sixdigit.yaml")
	s.write("twilio.json", fmt.Sprintf(`{"accountSID": "AC%s", "authToken": "%s", "fromMessagingServiceSID": "MG%s", "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`,
		strings.Repeat("0", 32), strings.Repeat("1", 32), strings.Repeat("0", 32), sim.URL))
	s.write("sixdigit.yaml", siteConfig+more)
	s.makeKey()
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// command prepares a run of the program with none of this process's settings.
func (s *site) command(args ...string) *exec.Cmd {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SIXDIGIT_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return cmd
}

func (s *site) makeKey() {
	s.t.Helper()
	out, err := s.command("keys", "create", "--config", s.config, "--name", "shop", "--json").Output()
	if err != nil {
		s.t.Fatalf("keys create: %v", err)
	}
	var made struct{ Key string }
	if err := json.Unmarshal(out, &made); err != nil || made.Key == "" {
		s.t.Fatalf("keys create printed %d bytes: %v", len(out), err)
	}
	s.key = made.Key
}

// texts are the codes that arrived at a number, the newest first.
func (s *site) texts(number string) []string {
	var codes []string
	for _, m := range s.sim.Messages(number) {
		codes = append(codes, codeIn.FindString(m.Body))
	}
	return codes
}

var codeIn = regexp.MustCompile(`[0-9]{6}`)

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
	ID           string `json:"id"`
	Status       any    `json:"status"` // of a problem it is the number
	Valid        bool   `json:"valid"`
	AttemptsLeft int    `json:"attempts_left"`
	Code         string `json:"code"`
	took         time.Duration
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

func (v *server) start(number string) (answer, error) {
	return v.call(http.MethodPost, "/v1/verifications", fmt.Sprintf(`{"to": %q, "usage_type": "SignIn"}`, number))
}

func (v *server) check(id, code string) (answer, error) {
	return v.call(http.MethodPost, "/v1/verifications/"+id+"/check", fmt.Sprintf(`{"code": %q}`, code))
}

func (v *server) get(id string) (answer, error) {
	return v.call(http.MethodGet, "/v1/verifications/"+id, "")
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

// metric reads one figure without labels off /metrics.
func (v *server) metric(name string) float64 {
	v.site.t.Helper()
	resp, err := v.http.Get(v.private + "/metrics")
	if err != nil {
		v.site.t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var value float64
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				v.site.t.Fatal(err)
			}
			return value
		}
	}
	v.site.t.Fatalf("/metrics has no %s (%v)", name, lines.Err())
	return 0
}

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
