package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

type report struct {
	Machine machine  `json:"machine"`
	Rows    []row    `json:"rows,omitempty"`
	Pairs   []pair   `json:"pairs,omitempty"`
	Memory  []memory `json:"memory"`
	Skipped string   `json:"skipped,omitempty"`
}

// machine is what figures depend on.
type machine struct {
	Processors  int     `json:"processors"`
	FsyncMicros float64 `json:"fsync_us"` // one 4 KiB append made durable, median
	Server      string  `json:"postgres,omitempty"`
}

// memory is the peak of a replica's resident memory.
type memory struct {
	Store      engine  `json:"store"`
	ServiceMiB float64 `json:"service_mib"`
}

func describe(w *world) machine {
	m := machine{Processors: runtime.NumCPU(), FsyncMicros: micros(probeSync(w.dir))}
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
	if len(r.Rows) > 0 {
		r.printRows(w)
	}
	if len(r.Pairs) > 0 {
		r.printPairs(w)
	}
	r.printCores(w)
	_, _ = fmt.Fprintf(w, "\nOne durable 4 KiB append: %.0f µs.", r.Machine.FsyncMicros)
	for _, m := range r.Memory {
		_, _ = fmt.Fprintf(w, " The service's peak memory on %s: %.0f MiB.", m.Store, m.ServiceMiB)
	}
	for _, line := range []string{r.Machine.Server, r.Skipped} {
		if line != "" {
			_, _ = fmt.Fprintf(w, "\n%s", line)
		}
	}
	_, _ = fmt.Fprintln(w)
}

func (r *report) printRows(w io.Writer) {
	_, _ = fmt.Fprint(w, "| | store | replicas | callers | floor/s | service/s | ratio | floor p50/p99 ms | service p50/p99/p99.9 ms | floor CPU µs | service CPU µs | database CPU µs | ratio |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		_, _ = fmt.Fprintf(w, "| %s | %s | %d | %d | %.0f | %.0f | **%.2f** | %.2f/%.2f | %s | %.0f | %.0f | %s | **%.1f** |\n",
			x.Name, x.Store, x.Replicas, x.Callers, x.Floor.PerSecond, x.Service.PerSecond, x.Service.PerSecond/x.Floor.PerSecond,
			x.Floor.P50/1e3, x.Floor.P99/1e3, x.Service.latency(), x.Floor.CPU, x.Service.CPU, some(x.Service.DatabaseCPU), x.Service.total()/x.Floor.total())
	}
}

func (r *report) printPairs(w io.Writer) {
	if len(r.Rows) > 0 {
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprint(w, "| | store | callers | A | B | A/s | B/s | A p50/p99/p99.9 ms | B p50/p99/p99.9 ms | A, B CPU µs | of | B : A | turns | goal |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Pairs {
		_, _ = fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %.0f | %.0f | %s | %s | %.0f, %.0f | %s | **%.2f** | %.2f–%.2f | %s |\n",
			x.Name, x.Store, x.Callers, x.Plain, x.Other, x.PlainSample.PerSecond, x.OtherSample.PerSecond, x.PlainSample.latency(), x.OtherSample.latency(),
			x.PlainSample.total(), x.OtherSample.total(), x.Of, x.Ratio, x.Low, x.High, x.Goal)
	}
	_, _ = fmt.Fprintln(w)
	for _, x := range r.Pairs {
		if x.Note != "" {
			_, _ = fmt.Fprintf(w, "- %s, %s, %s: %s.\n", x.Name, x.Store, x.Other, x.Note)
		}
	}
}

// printCores says who had the processors. Load and simulated Twilio are not what
// bounds the service where they do many times as much in the floors' turns; and
// where others were busy, the figures are not worth much.
func (r *report) printCores(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\nProcessors of %d that were busy:\n\n| turn | callers | a second | floor or service | database | Twilio | load | others |\n|---|---|---|---|---|---|---|---|\n", r.Machine.Processors)
	line := func(name string, callers int, s sample) {
		database := ""
		if s.DatabaseCPU > 0 {
			database = fmt.Sprintf("%.2f", s.cores(s.DatabaseCPU))
		}
		_, _ = fmt.Fprintf(w, "| %s | %d | %.0f | %.2f | %s | %.2f | %.2f | %.2f |\n", name, callers, s.PerSecond, s.cores(s.CPU), database,
			s.cores(s.SimulatorCPU), s.cores(s.LoadCPU), s.cores(s.OthersCPU))
	}
	for i, x := range r.Rows {
		if i == 0 || r.Rows[i-1].Name != x.Name || r.Rows[i-1].Callers != x.Callers {
			line("floor of "+x.Name, x.Callers, x.Floor)
		}
		name := fmt.Sprintf("%s, %s", x.Name, x.Store)
		if x.Replicas > 1 {
			name += fmt.Sprintf(", %d replicas", x.Replicas)
		}
		line(name, x.Callers, x.Service)
	}
	for _, x := range r.Pairs {
		line(fmt.Sprintf("%s, %s, %s", x.Name, x.Store, x.Plain), x.Callers, x.PlainSample)
		line(fmt.Sprintf("%s, %s, %s", x.Name, x.Store, x.Other), x.Callers, x.OtherSample)
	}
}

func (s sample) latency() string {
	return fmt.Sprintf("%.2f/%.2f/%.2f", s.P50/1e3, s.P99/1e3, s.P999/1e3)
}

// some leaves a cell empty where there is nothing.
func some(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", n)
}

// probeSync is what the disk takes to make one small append durable.
func probeSync(dir string) time.Duration {
	f, err := os.Create(filepath.Join(dir, "probe")) // #nosec G304 -- our own folder
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	var took []time.Duration
	for range 200 {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0
		}
		if err := f.Sync(); err != nil {
			return 0
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
