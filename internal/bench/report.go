package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

type report struct {
	Rows        []row   `json:"rows"`
	FsyncMicros float64 `json:"fsync_us"`    // one 4 KiB append made durable, median
	ServiceMiB  float64 `json:"service_mib"` // the service's peak resident memory
}

type row struct {
	Name    string `json:"name"`
	Callers int    `json:"callers"`
	Floor   sample `json:"floor"`
	Service sample `json:"service"`
}

func (r *report) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "| | callers | floor/s | service/s | ratio | floor p50/p99 ms | service p50/p99/p99.9 ms | floor CPU µs | service CPU µs | ratio |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		_, _ = fmt.Fprintf(w, "| %s | %d | %.0f | %.0f | **%.2f** | %.2f/%.2f | %.2f/%.2f/%.2f | %.0f | %.0f | **%.1f** |\n",
			x.Name, x.Callers, x.Floor.PerSecond, x.Service.PerSecond, x.Service.PerSecond/x.Floor.PerSecond,
			x.Floor.P50/1e3, x.Floor.P99/1e3, x.Service.P50/1e3, x.Service.P99/1e3, x.Service.P999/1e3,
			x.Floor.CPU, x.Service.CPU, x.Service.CPU/x.Floor.CPU)
	}
	_, _ = fmt.Fprintf(w, "\nOne durable 4 KiB append: %.0f µs. The service's peak memory: %.0f MiB.\n", r.FsyncMicros, r.ServiceMiB)
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
