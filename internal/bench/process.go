package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one of the measured ones.
type process struct {
	url     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	asking  sync.Mutex
	answers chan string
	codes   *codeBook // of a simulator's texts
}

// startProcess runs this program again in a role and waits for its address.
func startProcess(ctx context.Context, role, target string, more ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"-role", role, "-target", target}, more...)
	p := &process{cmd: exec.CommandContext(ctx, self, args...), answers: make(chan string), codes: newCodeBook()} // #nosec G204 -- this program
	p.cmd.Stderr = os.Stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w", role, err)
	}
	p.url = strings.TrimSpace(line)
	go p.hear(lines)
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// toggle begins or ends a CPU profile.
func (p *process) toggle() { _ = p.cmd.Process.Signal(syscall.SIGUSR1) }

func (p *process) pid() int { return p.cmd.Process.Pid }

// peakMemory is the most that the process had resident, in bytes.
func (p *process) peakMemory() int { return memoryOf(p.pid(), "VmHWM:") }

// resident is what the process has resident now, in bytes.
func (p *process) resident() int { return memoryOf(p.pid(), "VmRSS:") }

// memoryOf is a line of /proc/PID/status, in bytes.
func memoryOf(pid int, line string) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return parseMemory(string(data), line)
}
