package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is one of the measured ones.
type process struct {
	url string
	cmd *exec.Cmd
}

// startProcess runs this program again in a role and waits for its address.
func startProcess(ctx context.Context, role, target string, more ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"-role", role, "-target", target}, more...)
	cmd := exec.CommandContext(ctx, self, args...) // #nosec G204 -- this program
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w", role, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return &process{strings.TrimSpace(line), cmd}, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// toggle begins or ends a CPU profile.
func (p *process) toggle() { _ = p.cmd.Process.Signal(syscall.SIGUSR1) }

func (p *process) pid() int { return p.cmd.Process.Pid }

// peakMemory is the most that the process had resident, in bytes.
func (p *process) peakMemory() int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return 0
	}
	return parsePeak(string(data))
}
