package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	role := flag.String("role", "", "internal: what this process is")
	target := flag.String("target", "", "internal: what the role posts to")
	slice := flag.Duration("slice", 3*time.Second, "how long each turn lasts")
	turns := flag.Int("turns", 3, "how many turns each has")
	asJSON := flag.Bool("json", false, "print JSON")
	only := flag.String("only", "", "measure START or CHECK alone")
	callers := flag.Int("callers", 0, "with this many callers alone")
	profile := flag.String("profile", "", "write the service's CPU profile of each turn into this folder, which must exist")
	flag.Parse()
	if *role != "" {
		return serveRole(ctx, *role, *target, *profile)
	}
	report, err := measure(ctx, plan{*slice, *turns, *only, *callers, *profile})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	report.print(os.Stdout)
	return nil
}

// plan is what is measured: everything, or a part of it.
type plan struct {
	slice   time.Duration
	turns   int
	only    string
	callers int
	profile string
}

// measure lets floor and service take turns.
func measure(ctx context.Context, p plan) (*report, error) {
	w, err := startWorld(ctx, p.profile)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	r := &report{FsyncMicros: probeSync(w.dir).Seconds() * 1e6}
	for _, callers := range []int{64, 1} {
		if p.callers != 0 && p.callers != callers {
			continue
		}
		pairs := []struct {
			name         string
			floor, ours  func() func(caller int) error
			floorProcess *process
		}{
			{"START", w.proxyCall, w.startCall, w.proxy},
			{"CHECK", w.emptyCall, w.checkCall, w.empty},
		}
		for _, pair := range pairs {
			if p.only != "" && p.only != pair.name {
				continue
			}
			if pair.name == "CHECK" {
				if err := w.prepareChecks(ctx, p.slice*time.Duration(p.turns), callers); err != nil {
					return nil, err
				}
			}
			var floors, ours []sample
			for range p.turns {
				f, err := load(ctx, callers, p.slice, pair.floor(), pair.floorProcess)
				if err != nil {
					return nil, fmt.Errorf("floor of %s: %w", pair.name, err)
				}
				w.service.toggle(p.profile)
				o, err := load(ctx, callers, p.slice, pair.ours(), w.service)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", pair.name, err)
				}
				w.service.toggle(p.profile)
				floors, ours = append(floors, f), append(ours, o)
			}
			r.Rows = append(r.Rows, row{pair.name, callers, middle(floors), middle(ours)})
		}
	}
	r.ServiceMiB = float64(w.service.peakMemory()) / (1 << 20)
	return r, nil
}

// middle is the turn with the median rate.
func middle(samples []sample) sample {
	slices.SortFunc(samples, func(a, b sample) int { return int(a.PerSecond - b.PerSecond) })
	return samples[len(samples)/2]
}
