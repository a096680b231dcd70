package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
	var p plan
	role := flag.String("role", "", "internal: what this process is")
	target := flag.String("target", "", "internal: what the role posts to")
	flag.DurationVar(&p.slice, "slice", 3*time.Second, "how long each turn lasts")
	flag.IntVar(&p.turns, "turns", 3, "how many turns each has")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Func("only", "measure some alone: "+strings.Join(parts(), ",")+" (default all)", p.setOnly)
	flag.IntVar(&p.callers, "callers", 0, "with this many callers alone, instead of 64, and for START and CHECK 512 and 1")
	flag.StringVar(&p.store, "store", "", "sqlite, postgres or both (default both, if PostgreSQL is installed)")
	flag.Func("replicas", "how many replicas of the service share the PostgreSQL database: 2, or 1,2,4 one beside the other (default 1)", p.setReplicas)
	flag.BoolVar(&p.hot, "hot", false, "measure starts of one block of 10,000 numbers beside starts of many blocks")
	flag.IntVar(&p.full, "full", 0, "measure a store of this many verifications beside an empty one")
	flag.BoolVar(&p.purge, "purge", false, "with -full: measure starts during a purge beside starts without one")
	flag.DurationVar(&p.slow, "slow", 0, "measure while Twilio takes this long for each text, as 1s or 10s")
	flag.StringVar(&p.profile, "profile", "", "write the services' CPU profiles of each turn into folders in this one")
	flag.Parse()
	if *role != "" {
		return serveRole(ctx, *role, *target, p.profile)
	}
	if err := p.validate(flag.Args()); err != nil {
		return err
	}
	report, err := measure(ctx, p)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	report.print(os.Stdout)
	return nil
}

// measure does what the plan asks for.
func measure(ctx context.Context, p plan) (*report, error) {
	w, err := startWorld(ctx, p)
	if err != nil {
		return nil, err
	}
	defer w.stop(ctx)
	r := &report{Machine: describe(w)}
	if p.floors() {
		if err := w.measureFloors(ctx, p, r); err != nil {
			return nil, err
		}
		if p.has(footprintPart) {
			if err := w.measureFootprint(ctx, p, r); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range w.engines(p) {
		if err := w.measureMore(ctx, p, e, r); err != nil {
			return nil, err
		}
	}
	r.compareAlone()
	r.addMemory(w.peaks)
	r.Skipped = w.skipped
	return r, nil
}

// measureMore does what is not beside a floor.
func (w *world) measureMore(ctx context.Context, p plan, e engine, r *report) error {
	if p.hot {
		if err := w.measureHot(ctx, p, e, r); err != nil {
			return err
		}
	}
	if p.slow > 0 {
		if err := w.measureSlow(ctx, p, e, r); err != nil {
			return fmt.Errorf("slow: %w", err)
		}
	}
	if p.full > 0 {
		return w.measureFull(ctx, p, e, r)
	}
	return nil
}
