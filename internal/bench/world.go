package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
)

// world is everything that takes part.
type world struct {
	dir                        string
	sim, empty, proxy, service *process
	key                        string
	client                     *http.Client
	numbers                    atomic.Int64
	pending                    chan string // ids that can be checked
}

func startWorld(ctx context.Context, profile string) (w *world, err error) {
	w = &world{client: &http.Client{Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}}
	if w.dir, err = os.MkdirTemp("", "sixdigit-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop()
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
	if err = w.configure(ctx); err != nil {
		return w, err
	}
	w.service, err = startProcess(ctx, "service", w.dir, "-profile", profile)
	return w, err
}

// benchConfig has every limit, so that each is charged, and none that stops the
// load.
const benchConfig = `listen: 127.0.0.1:0
private_listen: 127.0.0.1:0
connector: twilio.json
countries: [all]
max_concurrent: 256
apps: {bench: {client_ip: none}}
limits:
  app_number: {burst: 10000000, every: 1ms}
  app_number_daily: {burst: 10000000}
  app_ip: {burst: 10000000, every: 1ms}
  app_ip_daily: {burst: 10000000}
  app_prefix: {burst: 10000000, every: 1ms}
  app_prefix_daily: {burst: 10000000}
  app_country: {burst: 10000000, every: 1ms}
  app_country_daily: {burst: 10000000}
  number: {burst: 10000000, every: 1ms}
  number_daily: {burst: 10000000}
  ip: {burst: 10000000, every: 1ms}
  prefix: {burst: 10000000, every: 1ms}
  all: {burst: 10000000, every: 1ms}
  all_daily: {burst: 10000000}
`

func (w *world) configure(ctx context.Context) error {
	connector := fmt.Sprintf(`{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`, simAccount, simToken, simService, w.sim.url)
	if err := os.WriteFile(filepath.Join(w.dir, "twilio.json"), []byte(connector), 0o600); err != nil {
		return err
	}
	path := filepath.Join(w.dir, "sixdigit.yaml")
	if err := os.WriteFile(path, []byte(benchConfig), 0o600); err != nil {
		return err
	}
	c, err := app.ReadConfig(path)
	if err != nil {
		return err
	}
	_, key, err := app.CreateKey(ctx, c, app.KeySpec{Name: "bench"})
	w.key = key.Reveal()
	return err
}

func (w *world) stop() {
	for _, p := range []*process{w.service, w.proxy, w.empty, w.sim} {
		if p != nil {
			p.stop()
		}
	}
	_ = os.RemoveAll(w.dir)
}

// post makes a request and decodes the answer into v, or passes over it.
func (w *world) post(url string, body []byte, want int, v any) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	if v != nil {
		return json.NewDecoder(resp.Body).Decode(v)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func (w *world) emptyCall() func(int) error { return w.floorCall(w.empty) }
func (w *world) proxyCall() func(int) error { return w.floorCall(w.proxy) }

func (w *world) floorCall(p *process) func(int) error {
	body := []byte(`{"to":"+14152000000","usage_type":"SignIn"}`)
	return func(int) error { return w.post(p.url+"/", body, http.StatusOK, nil) }
}

// startBody is a start of a number that nobody had before.
func (w *world) startBody() []byte {
	return fmt.Appendf(nil, `{"to":"+1415%07d","usage_type":"SignIn"}`, 2_000_000+w.numbers.Add(1))
}

func (w *world) startCall() func(int) error {
	return func(int) error {
		return w.post(w.service.url+"/v1/verifications", w.startBody(), http.StatusCreated, nil)
	}
}

// checksPerID leaves the last check of a verification unused.
const checksPerID = 4

// prepareChecks starts enough verifications for the time, and not one that is
// never checked: what is pending is there to be loaded.
func (w *world) prepareChecks(ctx context.Context, total time.Duration, callers int) error {
	perSecond := 30_000
	if callers == 1 {
		perSecond = 6_000
	}
	want := int(total.Seconds()*float64(perSecond)) / checksPerID
	w.pending = make(chan string, want*checksPerID)
	ids := make(chan string, want)
	var left atomic.Int64
	left.Store(int64(want))
	_, err := load(ctx, 64, time.Hour, func(int) error {
		if left.Add(-1) < 0 {
			return errDry
		}
		var v struct {
			ID string `json:"id"`
		}
		if err := w.post(w.service.url+"/v1/verifications", w.startBody(), http.StatusCreated, &v); err != nil {
			return err
		}
		ids <- v.ID
		return nil
	}, w.service)
	close(ids)
	var all []string
	for id := range ids {
		all = append(all, id)
	}
	for range checksPerID {
		for _, id := range all {
			w.pending <- id
		}
	}
	close(w.pending)
	return err
}

// checkCall brings a wrong code, which is counted durably; a right one costs the
// same and can be given once.
func (w *world) checkCall() func(int) error {
	body := []byte(`{"code":"000000"}`)
	return func(int) error {
		id, ok := <-w.pending
		if !ok {
			return errDry
		}
		return w.post(w.service.url+"/v1/verifications/"+id+"/check", body, http.StatusOK, nil)
	}
}
