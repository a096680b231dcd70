package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// owner is who runs the server: nil for ourselves, another user when we are
// root, which PostgreSQL refuses.
func owner() (*syscall.Credential, error) {
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
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("pgtest: PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

// process is a running server.
type process struct {
	pid  int
	done chan struct{} // closed when it has ended
}

// begin starts a program that ends with this process. The system ends it when
// the thread ends that started it: one thread does nothing else.
func begin(cmd *exec.Cmd) (*process, error) {
	dieWithParent(cmd.SysProcAttr)
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is no news to whoever ended it
		}
	}()
	if err := <-started; err != nil {
		<-done
		return nil, err
	}
	return &process{pid: cmd.Process.Pid, done: done}, nil
}

// end signals the process and waits for its end. A postmaster that is killed
// leaves its children behind, who notice in a while: they are killed as well.
func (p *process) end(sig syscall.Signal) {
	pids := []int{p.pid}
	if sig == syscall.SIGKILL {
		if family, err := p.family(); err == nil {
			pids = family
		}
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
	<-p.done
	for _, pid := range pids[1:] { // not ours to wait for
		for alive(pid) {
			<-time.After(time.Millisecond)
		}
	}
}

// alive reports whether a process still runs; one that nobody has reaped does
// not.
func alive(pid int) bool {
	state, _, err := stat(pid)
	return err == nil && state != "Z" && state != "X"
}

// stat returns the state and the parent of a process.
func stat(pid int) (state, parent string, err error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", "", err
	}
	// "pid (name) state parent …": a name may hold anything, also brackets.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 2 {
		return "", "", errors.New("pgtest: a process without a state")
	}
	return fields[0], fields[1], nil
}

// family is the process and its children, itself first.
func (p *process) family() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	pids := []int{p.pid}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		// An error says that it has ended.
		if _, parent, err := stat(pid); err == nil && parent == strconv.Itoa(p.pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
