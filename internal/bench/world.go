package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	server            *server // nil without PostgreSQL
	skipped           string  // why there is none, where it was not asked for by name
	client            *http.Client
	fresh             numbers
	profile           string
	sites             []*site // those that are open
	made              int
	peaks             map[engine]int
}

func startWorld(ctx context.Context, p plan) (w *world, err error) {
	w = &world{
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}},
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
		w.server, w.skipped, err = nil, "PostgreSQL is skipped: "+err.Error()+".", nil
		_, _ = fmt.Fprintln(os.Stderr, w.skipped)
	}
	return w, err
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

// post makes a request and decodes the answer into v, or passes over it.
func (w *world) post(ctx context.Context, url, key string, body []byte, want int, v any) error {
	return w.request(ctx, http.MethodPost, url, key, body, want, v)
}

func (w *world) request(ctx context.Context, method, url, key string, body []byte, want int, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return &statusError{resp.StatusCode, text}
	}
	if v != nil {
		return json.NewDecoder(resp.Body).Decode(v)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// statusError is an answer that was not wanted.
type statusError struct {
	status int
	text   []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// floor is the side of a floor.
func (w *world) floor(p *process) *side {
	body := []byte(`{"to":"+14152000000","usage_type":"SignIn"}`)
	return &side{
		name: "floor", who: cast{measured: []*process{p}, simulator: w.sim},
		call: func(ctx context.Context, _ int) error {
			return w.post(ctx, p.url+"/", "none", body, http.StatusOK, nil)
		},
	}
}
