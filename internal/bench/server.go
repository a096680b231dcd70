package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// sharedBuffers is the one setting that is not PostgreSQL's own: its 128 MB are
// for a machine that does something else.
const sharedBuffers = "1GB"

var errNoServer = errors.New("PostgreSQL is not installed: neither /usr/lib/postgresql/*/bin nor PATH has initdb (Debian: apt-get install postgresql)")

// server is a PostgreSQL server of our own, on a Unix socket in its folder.
// Commits are synced, as they are without being asked.
type server struct {
	dir, bin string
	owner    *syscall.Credential // nil: ourselves
	cmd      *exec.Cmd
	version  string
	made     int // databases
}

// startServer makes a server and starts it. It fails with errNoServer where there
// are no programs for one.
func startServer(ctx context.Context) (s *server, err error) {
	s = &server{}
	if s.bin, err = serverPrograms(); err != nil {
		return nil, err
	}
	if s.owner, err = serverOwner(); err != nil {
		return nil, err
	}
	// A socket's path is short, and another user must reach it.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return s, err
		}
	}
	out, err := s.command(ctx, "initdb", "--pgdata", s.dir+"/data", "--username", "sixdigit", "--auth", "trust", "--encoding", "UTF8", "--locale", "C").CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("initdb: %w: %s", err, out)
	}
	var log bytes.Buffer
	s.cmd = s.command(ctx, "postgres", "-D", s.dir+"/data", "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir,
		"-c", "shared_buffers="+sharedBuffers, "-c", "log_min_messages=fatal")
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		return s, err
	}
	if err := s.await(ctx); err != nil {
		s.halt()
		return s, fmt.Errorf("postgres: %w: %s", err, log.String())
	}
	return s, nil
}

// serverPrograms is the folder of the newest PostgreSQL's programs.
func serverPrograms() (string, error) {
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
		return "", errNoServer
	}
	path, err = filepath.EvalSymlinks(path)
	return filepath.Dir(path), err
}

// serverOwner is who runs the server, which refuses to be run by root.
func serverOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

func (s *server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...) // #nosec G204 -- PostgreSQL's
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	// A group of its own: an interrupt from the keyboard ends the services first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	cmd.Cancel = func() error { return nil } // stop ends it
	return cmd
}

// await waits until the server answers.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			err = conn.QueryRow(ctx, `SHOW server_version`).Scan(&s.version)
			return errors.Join(err, conn.Close(ctx))
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

func (s *server) url(database string) string {
	q := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User("sixdigit"), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// database makes a new, empty database and returns its name.
func (s *server) database(ctx context.Context) (string, error) {
	s.made++
	name := fmt.Sprintf("bench%d", s.made)
	return name, s.exec(ctx, "postgres", "CREATE DATABASE "+name)
}

// settle does what else the server would do in the background some time after a
// database was filled: while something is measured.
func (s *server) settle(ctx context.Context, database string) error {
	return s.exec(ctx, database, `VACUUM (ANALYZE)`, `CHECKPOINT`)
}

func (s *server) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.url(database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, q := range statements {
		if _, err := conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

func (s *server) halt() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // at once; its files go anyway
	_ = s.cmd.Wait()
	s.cmd = nil
}

// stop ends the server and removes its files.
func (s *server) stop() {
	if s.cmd != nil {
		s.halt()
	}
	_ = os.RemoveAll(s.dir)
}
