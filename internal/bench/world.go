package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

// engine is a kind of store.
type engine string

const (
	sqliteEngine   engine = "SQLite"
	postgresEngine engine = "PostgreSQL"
)

// world is everything that takes part.
type world struct {
	dir               string
	sim, empty, proxy *process
	server            *server  // nil without PostgreSQL
	skipped           []string // what is not measured, and why, where it was not asked for by name
	client            *http.Client
	fresh             numbers
	profile           string
	sites             []*site // those that are open
	made              int
	peaks             map[engine]int
}

func startWorld(ctx context.Context, p plan) (w *world, err error) {
	w = &world{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxCallers}},
		fresh:  freshNumbers(), profile: p.profile, peaks: map[engine]int{},
	}
	if w.dir, err = os.MkdirTemp("", "sixdigit-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop(ctx)
		}
	}()
	if w.sim, err = startProcess(ctx, "sim", ""); err != nil {
		return w, err
	}
	if w.empty, err = startProcess(ctx, "empty", ""); err != nil {
		return w, err
	}
	if w.proxy, err = startProcess(ctx, "proxy", w.sim.url); err != nil {
		return w, err
	}
	if !p.uses(postgresEngine) {
		return w, nil
	}
	w.server, err = startServer(ctx)
	if errors.Is(err, errNoServer) && p.store == "" {
		w.server = nil
		w.skip("PostgreSQL", err)
		return w, nil
	}
	return w, err
}

// skip says that a part is not measured.
func (w *world) skip(part string, err error) {
	line := part + " is skipped: " + err.Error() + "."
	w.skipped = append(w.skipped, line)
	_, _ = fmt.Fprintln(os.Stderr, line)
}

// engines are those to be measured.
func (w *world) engines(p plan) []engine {
	return slices.DeleteFunc([]engine{sqliteEngine, postgresEngine}, func(e engine) bool {
		return !p.uses(e) || e == postgresEngine && w.server == nil
	})
}

func (w *world) stop(ctx context.Context) {
	for len(w.sites) > 0 {
		w.sites[0].close(ctx)
	}
	for _, p := range []*process{w.proxy, w.empty, w.sim} {
		if p != nil {
			p.stop()
		}
	}
	if w.server != nil {
		w.server.stop()
	}
	_ = os.RemoveAll(w.dir)
}

// folder makes a folder in the world's.
func (w *world) folder(name string) (string, error) {
	dir := filepath.Join(w.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// floor is the side of floors: one, or several that each operation calls one after
// the other.
func (w *world) floor(parts ...*process) *side {
	body := []byte(`{"to":"+14152000000","usage_type":"SignIn"}`)
	who := cast{simulator: w.sim}
	for _, p := range parts {
		if !slices.Contains(who.measured, p) {
			who.measured = append(who.measured, p)
		}
	}
	return &side{
		name: "floor", who: who,
		call: func(ctx context.Context, _ int) error {
			for _, p := range parts {
				if err := w.send(ctx, jsonLetter(p.url+"/", "none", body, http.StatusOK), nil); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
