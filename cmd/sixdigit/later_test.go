package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A provider takes 3 s. Callers get their answer when the outcome is there, on a
// connection that ends with it, also while the program is told to stop.
func TestLater(t *testing.T) {
	t.Parallel()
	const latency = 3 * time.Second
	arrived := make(chan struct{}, 10)
	s := newSite(t, "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			select {
			case <-time.After(latency):
			case <-r.Context().Done():
			}
			next.ServeHTTP(w, r)
		})
	})
	v := s.serve()
	var n numbers
	send := func(path, body string) (a answer) {
		began := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return a
		}
		req.Header.Set("Authorization", "Bearer "+s.key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := v.http.Do(req)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return a
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		took := time.Since(began)
		if resp.StatusCode != http.StatusCreated || !resp.Close || resp.ContentLength <= 0 || took < latency || took > 2*latency {
			t.Errorf("%s: %s, close %t, length %d, after %s", path, resp.Status, resp.Close, resp.ContentLength, took)
		}
		return a
	}

	to := n.draw()
	started := send("/v1/verifications", `{"to": "`+to+`", "usage_type": "SignIn"}`)
	codes := s.texts(to)
	if len(codes) != 1 {
		t.Fatalf("%d texts arrived", len(codes))
	}
	if got, err := v.check(started.ID, codes[0]); err != nil || !got.Valid {
		t.Errorf("check: %d %s, %v", got.status, got.Code, err)
	}
	<-arrived

	var callers sync.WaitGroup
	first, second := n.draw(), n.draw()
	callers.Go(func() { send("/v1/verifications", `{"to": "`+first+`", "usage_type": "SignIn"}`) })
	callers.Go(func() {
		send("/v1/messages", `{"to": "`+second+`", "usage_type": "SignIn", "payload": {"code": "482913"}}`)
	})
	<-arrived
	<-arrived
	<-time.After(latency / 2) // they have let go of their connections
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	callers.Wait()
	<-v.ended
	if v.err != nil {
		t.Errorf("the program ended with %v\n%s", v.err, v.log)
	}
}
