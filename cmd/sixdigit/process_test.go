package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
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
	client  // of the process itself
	site    *site
	cmd     *exec.Cmd
	private string
	log     *bytes.Buffer // standard error; for when the program has ended
	ended   chan struct{}
	err     error // of the process, once ended is closed
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
	v, err := s.launch(as)
	if err == nil && s.front != nil {
		s.front.Lead(s.t, v.url)
	}
	return v, err
}

// launch starts the program with more in its environment, and waits until it
// answers.
func (s *site) launch(as *syscall.SysProcAttr, env ...string) (*server, error) {
	s.t.Helper()
	v := &server{site: s, cmd: s.command("serve", "--config", s.config), log: &bytes.Buffer{}, ended: make(chan struct{})}
	v.cmd.Env = append(v.cmd.Env, env...)
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
	v.client, v.private = newClient(s.t, found[1], s.key), found[2]
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
