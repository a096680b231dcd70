package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// User is the superuser of every server.
const User = "sixdigit"

// ErrNotInstalled says that this machine has no PostgreSQL server.
var ErrNotInstalled = errors.New("pgtest: PostgreSQL is not installed: neither /usr/lib/postgresql/*/bin nor PATH has initdb and postgres (Debian: apt-get install postgresql)")

// Server is one PostgreSQL server.
type Server struct {
	dir      string // all that it writes, and its socket
	bin      string
	settings []string
	port     int                 // of its socket, and on loopback where it has a password
	password string              // for those who come by loopback; "" is a server that nobody reaches so
	owner    *syscall.Credential // nil: ourselves
	process  *process            // nil while it is stopped
	made     atomic.Int64        // databases
}

// Open makes a server and starts it. settings are lines of postgresql.conf, as
// "fsync=off". Whoever opened it closes it.
func Open(settings ...string) (*Server, error) {
	s, err := newServer(settings)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.init(), s.Start()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// socketPort is the port in the name of the socket of a server that has no other.
const socketPort = 5432

// newServer makes the folder of a server, and nothing in it.
func newServer(settings []string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, settings: settings, port: socketPort}
	if s.owner, err = owner(); err != nil {
		return nil, err
	}
	// A socket's path is short: a test's own folder may be too deep.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	if err := s.own(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// own gives a file to the server's owner.
func (s *Server) own(path string) error {
	if s.owner == nil {
		return nil
	}
	if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

// Shared is a server that a package's tests share, each with a database of its
// own. The first that needs it starts it; TestMain closes it.
type Shared struct {
	// Settings are Open's.
	Settings []string

	once   sync.Once
	server *Server
	err    error
}

// Server returns the server. Without PostgreSQL the test is skipped, unless it
// must not be.
func (s *Shared) Server(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = Open(s.Settings...) })
	Check(t, s.err)
	return s.server
}

// Close ends the server, if there is one.
func (s *Shared) Close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// Check skips or fails a test for which Open had no server.
func Check(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotInstalled) && os.Getenv("SIXDIGIT_REQUIRE_POSTGRES") == "" && os.Getenv("SIXDIGIT_TEST_ALL") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// programs finds the folder with the newest PostgreSQL's programs.
func programs() (string, error) {
	best, newest := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // its only error is a bad pattern
	for _, path := range found {
		dir := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			best, newest = dir, version
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	return filepath.Dir(path), nil
}

// init makes the files of a server.
func (s *Server) init() error {
	args := []string{"--auth", "trust"} // its socket is in a folder of its own
	if s.password != "" {
		file := filepath.Join(s.dir, "password")
		if err := os.WriteFile(file, []byte(s.password), 0o600); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
		if err := s.own(file); err != nil {
			return err
		}
		args = []string{"--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", file}
	}
	// The files need not be synced: a crash of the machine ends the test too.
	return s.perform(s.command("initdb", append(args, "--pgdata", s.data(), "--username", User, "--encoding", "UTF8", "--locale", "C", "--no-sync")...))
}

// perform runs a program to its end.
func (s *Server) perform(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: %s: %w: %s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Data is the folder of the server's files, and Programs that of its programs:
// for those who set up more than one server.
func (s *Server) Data() string { return s.data() }

// Programs is the folder of initdb, pg_basebackup and their like.
func (s *Server) Programs() string { return s.bin }

// command prepares one of PostgreSQL's programs, run by the server's owner.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...) // #nosec G204 -- PostgreSQL's
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// Start starts a server that was stopped, and waits until it answers.
func (s *Server) Start() error {
	if s.process != nil {
		return errors.New("pgtest: the server runs already")
	}
	args, listen := []string{"-D", s.data()}, ""
	if s.password != "" {
		listen = loopback
	}
	for _, set := range append([]string{
		"listen_addresses=" + listen, "unix_socket_directories=" + s.dir, "port=" + strconv.Itoa(s.port), "max_connections=300", "shared_buffers=64MB",
		"log_min_messages=fatal", "restart_after_crash=on", "timezone=Pacific/Auckland", // far from UTC
	}, s.settings...) {
		args = append(args, "-c", set)
	}
	cmd := s.command("postgres", args...)
	log := &tail{}
	cmd.Stdout, cmd.Stderr = log, log
	p, err := begin(cmd)
	if err != nil {
		return fmt.Errorf("pgtest: start: %w", err)
	}
	if err := s.await(p); err != nil {
		p.end(syscall.SIGQUIT)
		return fmt.Errorf("pgtest: start: %w: %s", err, log)
	}
	s.process = p
	return nil
}

// startTime is for how long a server may take to start, also to recover from a
// crash on a busy machine.
const startTime = time.Minute

func (s *Server) await(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.done:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the server in order: transactions are rolled back, connections
// closed.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server and all of its processes at once, as a crash of the
// machine does, but that what was written to a file stays.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) {
	if s.process != nil {
		s.process.end(sig)
		s.process = nil
	}
}

// Pause stops the server's processes from running until resume is called: it
// takes connections, and says nothing.
func (s *Server) Pause() (resume func(), err error) {
	if s.process == nil {
		return nil, errors.New("pgtest: the server does not run")
	}
	pids, err := s.process.family()
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // one may have ended meanwhile
	}
	return func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}, nil
}

// Close ends the server and removes its files.
func (s *Server) Close() error {
	s.end(syscall.SIGQUIT)
	s.forget()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

// forget removes the shared memory of a server that was killed, which its next
// start would remove. The seventh line of its pid file has the number.
func (s *Server) forget() {
	data, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return // it ended in order
	}
	if lines := strings.Split(string(data), "\n"); len(lines) > 6 {
		if fields := strings.Fields(lines[6]); len(fields) == 2 {
			removeSharedMemory(fields[1])
		}
	}
}

// URL is the address of a database.
func (s *Server) URL(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(User), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Database makes a new, empty database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.made.Add(1))
	s.Exec(t, s.URL("postgres"), "CREATE DATABASE "+name)
	return s.URL(name)
}

// Exec runs statements on a database, each by itself.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, q := range statements {
		if _, err := conn.Exec(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// tail keeps the last of what a program writes. Only its process writes to it,
// and only after its end it is read.
type tail struct{ buf bytes.Buffer }

func (l *tail) Write(p []byte) (int, error) {
	if l.buf.Len() > 1<<16 {
		l.buf.Reset()
	}
	return l.buf.Write(p)
}

func (l *tail) String() string { return l.buf.String() }
