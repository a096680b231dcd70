package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// The simulator's account.
const (
	simAccount = "AC00000000000000000000000000000000"
	simToken   = "11111111111111111111111111111111"
	simService = "MG00000000000000000000000000000000"
)

// serveRole is one of the processes: it prints its address and serves until its
// standard input closes, which it does when the parent ends.
func serveRole(ctx context.Context, role, target, profile string) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	t := &tap{out: os.Stdout}
	// Before it listens for questions it has to say where it is.
	ready := func(url string) {
		fmt.Println(url)
		go func() {
			attend(os.Stdin, os.Stdout, t)
			end()
		}()
	}
	if role == "service" {
		var wg sync.WaitGroup
		defer wg.Wait()
		defer end()
		if profile != "" {
			wg.Go(func() { writeProfiles(ctx, profile) })
		}
		return serveService(ctx, target, ready)
	}
	var h http.Handler
	switch role {
	case "empty":
		h = http.HandlerFunc(answer)
	case "proxy":
		h = proxy(target)
	case "sim":
		// A step of an hour: the texts' progress is not what is measured.
		t.next = twiliosim.New(twiliosim.Options{Step: time.Hour})
		h = t
	default:
		return fmt.Errorf("no role %q", role)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	ready("http://" + ln.Addr().String())
	err = srv.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// answer is a body of about the size of ours.
func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id":"0123456789abcdefghijklmnop","status":"pending","padding":"`+strings.Repeat("x", 300)+`"}`)
}

// simMessages is where texts are posted.
const simMessages = "/2010-04-01/Accounts/" + simAccount + "/Messages.json"

// textForm is the form that the connector posts for a text.
func textForm() string {
	return url.Values{
		"To": {"+14155550134"}, "MessagingServiceSid": {simService}, "Body": {"Your code is 123456."}, "RiskCheck": {"enable"},
		"ValidityPeriod": {"600"}, "ProvideFeedback": {"true"},
	}.Encode()
}

// proxy posts the form that the connector posts for the same text.
func proxy(target string) http.Handler {
	form := textForm()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, target+simMessages, bytes.NewReader([]byte(form)))
		if err != nil {
			http.Error(w, "request", http.StatusInternalServerError)
			return
		}
		req.SetBasicAuth(simAccount, simToken)
		req.Header.Set("Content-Type", formType)
		resp, err := client.Do(req)
		if err != nil {
			http.Error(w, "post", http.StatusBadGateway)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			http.Error(w, "post", http.StatusBadGateway)
			return
		}
		answer(w, r)
	})
}

// serveService runs the service on the folder that holds its config, durable as
// by default. Only the limits are off: they would stop the load.
func serveService(ctx context.Context, dir string, ready func(url string)) error {
	c, err := app.ReadConfig(dir + "/sixdigit.yaml")
	if err != nil {
		return err
	}
	svc, err := app.NewService(ctx, c, func(string) string { return "" }, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	ready(svc.URL())
	return svc.Run(ctx)
}
