package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What the program itself takes: not this one, which measures, but the one that is
// handed out.

// footprint is one figure of the program.
type footprint struct {
	Name  string `json:"name"`
	Store engine `json:"store,omitempty"`
	Unit  string `json:"unit"`
	Value spread `json:"value"`
	Goals []goal `json:"goals"`
}

const (
	// coldStarts are made on each kind of store.
	coldStarts = 10
	// keptRows are in a store that is not new.
	keptRows = 10_000
	// idleFor is how long the program has nothing to do before its memory is read.
	idleFor = 5 * time.Second

	mostBinary, mostStart, mostIdle = 30, 150, 40 // MB, ms, MB
	megabyte                        = 1e6
)

// measureFootprint builds the program as `make build` does, and starts it again and
// again.
func (w *world) measureFootprint(ctx context.Context, p plan, r *report) error {
	dir, err := w.folder("program")
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "sixdigit")
	if err := build(ctx, program); err != nil {
		if len(p.only) > 0 || ctx.Err() != nil {
			return err
		}
		w.skip(footprintPart, err)
		return nil
	}
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	r.addFootprint("binary", "", "MB", mostBinary, float64(info.Size())/megabyte)
	for _, e := range w.engines(p) {
		if err := w.measureStarts(ctx, program, e, r); err != nil {
			return fmt.Errorf("%s on %s: %w", footprintPart, e, err)
		}
	}
	return nil
}

func (r *report) addFootprint(name string, e engine, unit string, limit float64, values ...float64) {
	of := spreadOf(values)
	r.Footprint = append(r.Footprint, footprint{Name: name, Store: e, Unit: unit, Value: of, Goals: []goal{most(name, limit, of.Median)}})
}

// build needs the Go command, and to be run within the module.
func build(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/sixdigit/sixdigit/cmd/sixdigit") // #nosec G204 -- our own folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// measureStarts starts the program on new stores, and on one that has been used.
func (w *world) measureStarts(ctx context.Context, program string, e engine, r *report) error {
	var fresh, again []float64
	for range coldStarts {
		s, err := w.openSite(ctx, e, settings{})
		if err != nil {
			return err
		}
		took, _, err := s.run(ctx, program, 0)
		s.close(ctx)
		if err != nil {
			return err
		}
		fresh = append(fresh, took)
	}
	s, err := w.openSite(ctx, e, settings{})
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.fill(ctx, newHistory(keptRows, io.Discard).source); err != nil {
		return err
	}
	for range coldStarts {
		took, _, err := s.run(ctx, program, 0)
		if err != nil {
			return err
		}
		again = append(again, took)
	}
	_, resident, err := s.run(ctx, program, idleFor)
	if err != nil {
		return err
	}
	r.addFootprint("cold start, new store", e, "ms", mostStart, fresh...)
	r.addFootprint(fmt.Sprintf("cold start, %d verifications", keptRows), e, "ms", mostStart, again...)
	r.addFootprint(fmt.Sprintf("resident, idle for %s", idleFor), e, "MB", mostIdle, float64(resident)/megabyte)
	return nil
}

// run starts the program on the site, and returns after how many ms it was ready,
// and what it had resident when it had rested. Then it ends it.
func (s *site) run(ctx context.Context, program string, rest time.Duration) (took float64, resident int, err error) {
	cmd := exec.CommandContext(ctx, program, "serve", "--config", filepath.Join(s.dir, "sixdigit.yaml")) // #nosec G204 -- what we have built
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir}                  // nothing of SIXDIGIT_
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, 0, fmt.Errorf("it did not start: %w", err)
	}
	if err := s.world.send(ctx, letter{method: http.MethodGet, url: privateURL(line) + "/readyz", want: http.StatusOK}, nil); err != nil {
		return 0, 0, fmt.Errorf("it is not ready: %w", err)
	}
	took = time.Since(began).Seconds() * 1e3
	if !pause(ctx, rest) {
		return 0, 0, ctx.Err()
	}
	return took, memoryOf(cmd.Process.Pid, "VmRSS:"), nil
}

// privateURL is where health is asked for, the last word of the program's first
// line: "sixdigit answers on URL; health and metrics on URL".
func privateURL(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
