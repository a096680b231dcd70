package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// quick bounds an answer that needs no provider and no patience.
const quick = 3 * time.Second

// fileLimit bounds the size of the files that the program may write, as seen from
// outside, and returns the bound that was there. Beyond it a write fails as on a
// full disk, for root too.
func (v *server) fileLimit(bytes uint64) (was uint64) {
	v.site.t.Helper()
	var old syscall.Rlimit
	limit := func(to *syscall.Rlimit) {
		const fsize = syscall.RLIMIT_FSIZE
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(v.cmd.Process.Pid), fsize,
			uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(&old)), 0, 0)
		if errno != 0 {
			v.site.t.Fatalf("prlimit: %v", errno)
		}
	}
	limit(nil)
	limit(&syscall.Rlimit{Cur: bytes, Max: old.Max})
	return old.Cur
}

// fillDisk leaves the program no room, and returns what gives it back.
func (v *server) fillDisk() (empty func()) {
	v.site.t.Helper()
	was := v.fileLimit(2000) // in the middle of a page, wherever it would write
	return func() { v.fileLimit(was) }
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	var g *gate
	s := newSite(t, "", func(next http.Handler) http.Handler {
		g = newGate(next)
		return g
	})
	v := s.serve()
	var n numbers
	before := n.draw()
	kept, err := v.start(before)
	if err != nil || kept.status != http.StatusCreated {
		t.Fatalf("start: %d %v", kept.status, err)
	}
	for round := range 3 {
		// One send is under way when the disk becomes full.
		g.shut()
		to, caught := n.draw(), make(chan answer, 1)
		go func() {
			got, err := v.start(to)
			if err != nil {
				t.Errorf("the send under way: %v", err)
			}
			caught <- got
		}()
		until(t, "the send to be at the provider", func() bool { return g.waiting() == 1 })
		empty := v.fillDisk()
		refusesToWrite(t, v, kept.ID, &n)
		if got, err := v.get(kept.ID); err != nil || got.status != http.StatusOK {
			t.Errorf("reading from a full disk: %d %s %v", got.status, got.Code, err)
		}
		g.lift()
		sent := <-caught // it went out, but nobody can write that down
		if sent.status != http.StatusAccepted {
			t.Errorf("the send under way was answered %d %s, not 202", sent.status, sent.Code)
		}
		empty()
		if status, text := v.ready(); status != http.StatusOK {
			t.Errorf("round %d: with room again: %d %s", round, status, text)
		}
		got, err := v.check(sent.ID, s.texts(to)[0])
		if err != nil || !got.Valid {
			t.Errorf("the code of the send under way: %d %s, valid: %t, %v", got.status, got.Code, got.Valid, err)
		}
	}
	for _, want := range []bool{true, false} {
		if got, err := v.check(kept.ID, s.texts(before)[0]); err != nil || got.Valid != want || got.AttemptsLeft != 4 {
			t.Errorf("the first code: valid: %t, want %t; %d attempts left, want 4; %v", got.Valid, want, got.AttemptsLeft, err)
		}
	}
	if err := v.stop(); err != nil {
		t.Errorf("asked to stop: %v\n%s", err, v.log)
	}
}

// refusesToWrite expects 503, soon and from all who need the disk at once.
func refusesToWrite(t *testing.T, v *server, id string, n *numbers) {
	t.Helper()
	if status, text := v.ready(); status != http.StatusServiceUnavailable || !strings.Contains(text, "not ready") {
		t.Errorf("/readyz on a full disk: %d %s", status, text)
	}
	each(40, func(i int) {
		got, err := v.start(n.draw())
		if i%2 == 1 {
			got, err = v.check(id, "000000")
		}
		if err != nil || got.status != http.StatusServiceUnavailable || got.Code != "unavailable" || got.took > quick {
			t.Errorf("on a full disk: %d %s after %s, %v", got.status, got.Code, got.took, err)
		}
	})
}

// nobody is a user who may write nowhere; root may write anywhere.
const nobody = 65534

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", nil)
	var as *syscall.SysProcAttr
	if os.Getuid() == 0 {
		as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		s.giveTo(nobody)
	}
	chmod := func(name string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(s.dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(when, folder string) {
		t.Helper()
		v, err := s.tryServe(as)
		var exit *exec.ExitError
		switch {
		case v != nil:
			v.kill()
			t.Errorf("%s: it serves", when)
		case !errors.As(err, &exit) || exit.ExitCode() != exitFailed:
			t.Errorf("%s: %v, want exit status %d", when, err, exitFailed)
		case !strings.Contains(err.Error(), filepath.Join(s.dir, folder)) ||
			!strings.Contains(err.Error(), "may this user write") && !strings.Contains(err.Error(), "permission denied"):
			t.Errorf("%s: it does not say what to mend: %v", when, err)
		}
	}

	chmod("data", 0o500)
	refuse("a folder that is read-only", "data")
	chmod("data", 0o700)
	chmod("data/sixdigit.db", 0o400)
	refuse("a database that is read-only", "data")
	chmod("data/sixdigit.db", 0o600)

	v, err := s.tryServe(as)
	if err != nil {
		t.Fatalf("when it may write: %v", err)
	}
	// What it has open, it may go on writing.
	chmod("data", 0o500)
	var n numbers
	startAll(t, v, &n, 5)
	if status, text := v.ready(); status != http.StatusOK {
		t.Errorf("ready: %d %s", status, text)
	}
	chmod("data", 0o700)
	if err := v.stop(); err != nil {
		t.Errorf("asked to stop: %v\n%s", err, v.log)
	}

	s.write("sixdigit.yaml", strings.Replace(siteConfig, "data: data", "data: closed/data", 1))
	if err := os.Mkdir(filepath.Join(s.dir, "closed"), 0o500); err != nil {
		t.Fatal(err)
	}
	if as != nil {
		s.giveTo(nobody)
	}
	refuse("a folder that cannot be made", "closed")
}

// giveTo hands the site to another user, who then needs a way to it and to the
// program.
func (s *site) giveTo(user int) {
	s.t.Helper()
	build, err := buildFolder()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(s.dir), build} {
		if err := os.Chmod(dir, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	err = filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, user, user))
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestHostileConnections holds hundreds of connections that no honest client
// would make. Honest ones are served meanwhile, and afterwards nothing is left.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", nil)
	v := s.serve()
	var n numbers
	startAll(t, v, &n, 50)
	v.http.CloseIdleConnections()
	const idle = "go_goroutines"
	var goroutines, files float64
	until(t, "the program to be idle", func() bool {
		was := goroutines
		goroutines, files = v.metric(idle), v.metric("process_open_fds")
		return was == goroutines
	})

	body := `{"to": "` + n.draw() + `", "usage_type": "SignIn"}`
	post := "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + s.key + "\r\n"
	whole := fmt.Sprintf("%sContent-Length: %d\r\n\r\n", post, len(body))
	flood := strings.Repeat("X-Flood: "+strings.Repeat("a", 1000)+"\r\n", 100)
	kinds := []struct {
		name, send string
		leave      bool   // the client goes away instead of waiting to be hung up on
		want       string // in the first line of the answer, if there is one
	}{
		{"silent", "", false, ""},
		{"half a header", post + "X-Slow: ", false, ""},
		{"half a header, gone", post + "X-Slow: ", true, ""},
		{"half a body", whole + body[:10], false, "408"},
		{"half a body, gone", whole + body[:10], true, ""},
		{"header flood", post + flood, false, "431"},
		{"endless header", post + "X-A: " + strings.Repeat("a", 100<<10), false, "431"},
		{"a body without end", post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 100), false, "413"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", false, "400"},
	}
	// One goroutine or file left by each connection of one kind would show above
	// what pools may keep: connections to the provider, and to the database.
	const each, slack = 60, 40
	var hostile sync.WaitGroup
	for _, k := range kinds {
		for range each {
			hostile.Go(func() {
				if err := attack(v, k.send, k.leave, k.want); err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			})
		}
	}
	until(t, "the connections", func() bool { return v.metric("process_open_fds") > files+3*each })
	ids := startAll(t, v, &n, 100)
	calm := probe(t, v, ids)
	if calm.p99 > quick {
		t.Errorf("honest callers wait %s meanwhile", calm.p99)
	}
	hostile.Wait()
	v.http.CloseIdleConnections()
	until(t, "every goroutine and file to be let go", func() bool {
		return v.metric(idle) <= goroutines+slack && v.metric("process_open_fds") <= files+slack
	})
	if err := v.stop(); err != nil {
		t.Errorf("asked to stop: %v\n%s", err, v.log)
	}
}

// attack sends something and waits to be hung up on.
func attack(v *server, send string, leave bool, want string) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(v.url, "http://"))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(25 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, send); err != nil && want == "" {
		return err
	}
	if leave {
		return nil
	}
	first, err := bufio.NewReader(conn).ReadString('\n')
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("the connection is still open after 25 s")
	case first != "" && (want == "" || !strings.Contains(first, " "+want+" ")):
		return fmt.Errorf("answer %q, want %s", strings.TrimSpace(first), want)
	}
	return nil // a server that hangs up on unread bytes may reset its answer away
}

// TestStopUnderLoad asks the program to end while callers call and sends are at
// the provider: those are finished, and what was answered stays.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const held = 20
	var g *gate
	s := newSite(t, "", func(next http.Handler) http.Handler {
		g = newGate(next)
		return g
	})
	v := s.serve()
	c := &crash{site: s}
	c.accounts = append(c.accounts, c.stopUnder(v, g, held)...)
	select {
	case <-v.ended:
	case <-time.After(quick):
		t.Fatal("it has not ended although nothing is under way")
	}
	if v.err != nil {
		t.Errorf("asked to stop: %v\n%s", v.err, v.log)
	}
	again := s.serve()
	for _, a := range c.accounts {
		c.compare(&again.client, a, true)
	}
	if err := again.stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d starts answered, %d of them held at the provider when asked to stop", len(c.accounts), held)
}

// stopUnder stops the program and returns what it answered.
func (c *crash) stopUnder(v *server, g *gate, held int) (all []*account) {
	var mu sync.Mutex
	keep := func(got answer, number string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, &account{id: got.ID, number: number, taken: true})
	}
	var callers, waiters sync.WaitGroup
	running := make(chan struct{})
	var once sync.Once
	for range crashCallers {
		callers.Go(func() {
			for i := 0; ; i++ {
				number := c.numbers.draw()
				got, err := v.start(number)
				if err != nil {
					return // the program takes no more calls
				}
				if got.status != http.StatusCreated {
					c.t.Errorf("start: %d %s", got.status, got.Code)
					return
				}
				keep(got, number)
				if i == 20 {
					once.Do(func() { close(running) })
				}
			}
		})
	}
	<-running
	g.shut()
	for range held {
		number := c.numbers.draw()
		waiters.Go(func() {
			got, err := v.start(number)
			if err != nil || got.status != http.StatusCreated {
				c.t.Errorf("a start that was under way: %d %s %v", got.status, got.Code, err)
				return
			}
			keep(got, number)
		})
	}
	until(c.t, "sends at the provider", func() bool { return g.waiting() == held+crashCallers })
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	until(c.t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(v.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	g.lift()
	waiters.Wait()
	callers.Wait()
	return all
}
