package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
)

// writeProfiles begins a CPU profile at one SIGUSR1 and ends it at the next:
// turn-01.pprof, turn-02.pprof and so on, in the order of the turns.
func writeProfiles(ctx context.Context, dir string) {
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, syscall.SIGUSR1)
	var f *os.File
	for turn := 1; ; {
		select {
		case <-ctx.Done():
			if f != nil {
				pprof.StopCPUProfile()
				_ = f.Close()
			}
			return
		case <-wake:
		}
		if f != nil {
			pprof.StopCPUProfile()
			_ = f.Close()
			f = nil
			continue
		}
		var err error
		if f, err = os.Create(filepath.Join(dir, fmt.Sprintf("turn-%02d.pprof", turn))); err == nil { // #nosec G304 -- a folder that was named
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			return
		}
		turn++
	}
}
