package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json; `go doc test2json` describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string // set in place of Package while building
	Test       string
	Output     string
}

// name identifies a test in a run.
type name struct{ pkg, test string }

// summary turns events into text and counts.
type summary struct {
	out io.Writer
	bad map[string]bool // the packages in which a test failed
	// output holds what unfinished tests and packages printed; a package's own
	// output is under the empty test name.
	output map[name][]string
	order  []name // the names in output, oldest first

	passed, failed, skipped int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, bad: map[string]bool{}, output: map[name][]string{}}
}

// read handles every line of r. Lines that are not events are printed as they
// are.
func (s *summary) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				s.print(line)
			} else {
				s.handle(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
	}
}

func (s *summary) handle(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		s.print(e.Output)
	case "output":
		if _, ok := s.output[n]; !ok {
			s.order = append(s.order, n)
		}
		s.output[n] = append(s.output[n], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(n, e.Action)
		} else {
			s.endTest(n, e.Action)
		}
	}
}

func (s *summary) endTest(n name, action string) {
	output := s.take(n)
	topLevel := !strings.Contains(n.test, "/")
	switch {
	case action == "skip":
		s.skipped++
		s.print(output...)
	case action == "fail":
		if topLevel {
			s.failed++
			s.bad[n.pkg] = true
		}
		s.print(output...)
	case topLevel:
		s.passed++
	}
}

// endPackage prints a package's closing line, and if it failed all that it and
// the tests it left unfinished printed: a panic or a time-out is among that. A
// package that fails on its own account, as when it does not build, counts as
// one failure.
func (s *summary) endPackage(n name, action string) {
	if action != "fail" {
		for _, line := range s.take(n) {
			if strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "?   \t") {
				s.print(line)
			}
		}
		return
	}
	if !s.bad[n.pkg] {
		s.failed++
	}
	for _, unfinished := range s.order {
		if unfinished.pkg == n.pkg && unfinished.test != "" {
			s.print(s.output[unfinished]...)
			delete(s.output, unfinished)
		}
	}
	s.print(s.take(n)...)
}

// close prints the counts, in words that a CI recognises.
func (s *summary) close() {
	s.print(fmt.Sprintf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped))
}

// take returns and forgets what n printed.
func (s *summary) take(n name) []string {
	output := s.output[n]
	delete(s.output, n)
	return output
}

// print writes lines, less those in which go test -v follows a test's course.
func (s *summary) print(lines ...string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "=== ") {
			continue
		}
		// Nobody is left to tell when stdout is gone.
		_, _ = io.WriteString(s.out, line)
	}
}
