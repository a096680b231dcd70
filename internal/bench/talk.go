package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"runtime/metrics"
	"strings"
)

// The processes are spoken with in lines: what one is asked on its standard input,
// what it answers on its standard output, the first line of which is its address.
// An answer begins with the question. Whoever is not asked does nothing for it, so
// a turn is not disturbed.
const (
	askCounters = "counters" // what the process has allocated, as JSON
	askCodes    = "codes"    // of the simulator: tell each text's code from now on
	askSilence  = "silence"  // no more
)

// tellCode begins a line that nobody asked for: a number and the code that it was
// sent.
const tellCode = "code"

// counters are what a process has allocated on its heap since it began.
type counters struct {
	Objects uint64 `json:"objects"`
	Bytes   uint64 `json:"bytes"`
}

func (c counters) since(before counters) counters {
	return counters{c.Objects - before.Objects, c.Bytes - before.Bytes}
}

func (c counters) plus(d counters) counters {
	return counters{c.Objects + d.Objects, c.Bytes + d.Bytes}
}

// readCounters stops nothing, unlike runtime.ReadMemStats: what a processor has
// handed out of the span that it has under way is not counted yet.
func readCounters() counters {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	var n [3]uint64
	for i, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			n[i] = s.Value.Uint64()
		}
	}
	return counters{n[0] + n[1], n[2]}
}

// attend answers until in ends, which it does when the parent has ended.
func attend(in io.Reader, out io.Writer, t *tap) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		asked, said := lines.Text(), ""
		switch asked {
		case askCounters:
			data, _ := json.Marshal(readCounters()) // two numbers
			said = string(data)
		case askCodes, askSilence:
			t.on.Store(asked == askCodes)
		}
		_, _ = fmt.Fprintf(out, "%s %s\n", asked, said) // one write: no line is cut by another
	}
}

// hear reads what a process says until it ends.
func (p *process) hear(out *bufio.Reader) {
	defer close(p.answers)
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\n")
		if told, ok := strings.CutPrefix(line, tellCode+" "); ok {
			number, code, _ := strings.Cut(told, " ")
			p.codes.tell(number, code)
			continue
		}
		p.answers <- line
	}
}

// ask asks a process and waits for its answer.
func (p *process) ask(question string) (string, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	if _, err := io.WriteString(p.in, question+"\n"); err != nil {
		return "", fmt.Errorf("%s: %w", question, err)
	}
	said, ok := <-p.answers
	if !ok {
		return "", fmt.Errorf("%s: the process has ended", question)
	}
	answer, ok := strings.CutPrefix(said, question+" ")
	if !ok {
		return "", fmt.Errorf("%s: the process says %q", question, said)
	}
	return answer, nil
}

// counters asks for the process's counters.
func (p *process) counters() (c counters, err error) {
	answer, err := p.ask(askCounters)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(answer), &c)
}
