package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

type report struct {
	Machine   machine     `json:"machine"`
	Rows      []row       `json:"rows,omitempty"`
	Alone     []alone     `json:"alone,omitempty"`
	Footprint []footprint `json:"footprint,omitempty"`
	Slow      []slow      `json:"slow,omitempty"`
	Pairs     []pair      `json:"pairs,omitempty"`
	Memory    []memory    `json:"memory,omitempty"`
	Skipped   []string    `json:"skipped,omitempty"`
}

// machine is what figures depend on.
type machine struct {
	Processors int     `json:"processors"`
	SyncMicros float64 `json:"fdatasync_us"` // one 4 KiB append made durable, median
	Server     string  `json:"postgres,omitempty"`
}

// memory is the peak of a replica's resident memory.
type memory struct {
	Store      engine  `json:"store"`
	ServiceMiB float64 `json:"service_mib"`
}

func describe(w *world) machine {
	m := machine{Processors: runtime.NumCPU(), SyncMicros: micros(probeSync(w.dir))}
	if w.server != nil {
		m.Server = fmt.Sprintf("PostgreSQL %s, shared_buffers %s, all else as it comes", w.server.version, sharedBuffers)
	}
	return m
}

func (r *report) addMemory(peaks map[engine]int) {
	for _, e := range []engine{sqliteEngine, postgresEngine} {
		if n := peaks[e]; n > 0 {
			r.Memory = append(r.Memory, memory{e, float64(n) / (1 << 20)})
		}
	}
}

func (r *report) print(w io.Writer) {
	out := &paper{w: w}
	if len(r.Rows) > 0 {
		r.printRates(out)
		r.printCosts(out)
	}
	if len(r.Alone) > 0 {
		r.printAlone(out)
	}
	if len(r.Footprint) > 0 {
		r.printFootprint(out)
	}
	if len(r.Slow) > 0 {
		r.printSlow(out)
	}
	if len(r.Pairs) > 0 {
		r.printPairs(out)
	}
	if len(r.Rows)+len(r.Slow)+len(r.Pairs) > 0 {
		r.printCores(out)
	}
	out.printf("\nOne durable 4 KiB append (fdatasync): %.0f µs.", r.Machine.SyncMicros)
	for _, m := range r.Memory {
		out.printf(" The service's peak memory on %s: %.0f MiB.", m.Store, m.ServiceMiB)
	}
	if r.Machine.Server != "" {
		out.printf("\n%s", r.Machine.Server)
	}
	for _, line := range r.Skipped {
		out.printf("\n%s", line)
	}
	out.printf("\n")
}

// paper is what a report is printed on. What becomes of it is not its concern.
type paper struct{ w io.Writer }

func (p *paper) printf(format string, values ...any) { _, _ = fmt.Fprintf(p.w, format, values...) }

// table begins a table under a line of words, if there are any.
func (p *paper) table(words string, columns ...string) {
	p.printf("\n")
	if words != "" {
		p.printf("%s\n\n", words)
	}
	for _, c := range columns {
		p.printf("| %s ", c)
	}
	p.printf("|\n")
	for range columns {
		p.printf("|---")
	}
	p.printf("|\n")
}

// probeSync is what the disk takes to make one small append durable, as stores do
// it: the data and the file's length, no other metadata.
func probeSync(dir string) time.Duration {
	path := filepath.Join(dir, "probe")
	f, err := os.Create(path) // #nosec G304 -- our own folder
	if err != nil {
		return 0
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(path)
	}()
	page := make([]byte, 4096)
	var took []time.Duration
	for range 300 {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil { // #nosec G115 -- a file's number
			return 0
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
