// Command testsum runs `go test -json …`, prints what go test would print, and
// holds the run to one more rule: no test is skipped.
//
//	testsum go test -json ./...
//
// A package that passes is one line. A test that fails is shown with all its
// output, a test that is skipped with its reason. The last line counts: top
// level tests, fuzz targets and examples that passed and failed, and every
// test, nested ones included, that was skipped. The exit status is that of go
// test, or 1 if a test was skipped or if none ran.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testsum go test -json …")
		os.Exit(2)
	}
	status, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
	}
	os.Exit(status)
}

// run runs the command and returns the exit status that it deserves.
func run(command []string, out io.Writer) (int, error) {
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...) //nolint:gosec // the command is the caller's, as with env(1)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	s := newSummary(out)
	readErr := s.read(events)
	err = cmd.Wait()
	if readErr != nil {
		return 1, readErr
	}
	s.close()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil
	case err != nil:
		return 1, err
	case s.failed > 0:
		return 1, nil
	case s.skipped > 0:
		return 1, errors.New("skipped tests count as failures here")
	case s.passed == 0:
		return 1, errors.New("no test ran")
	}
	return 0, nil
}
