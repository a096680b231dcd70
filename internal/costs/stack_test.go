//go:build linux && !race

package costs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/verify"
)

// openService runs the whole service in this process, as it is by default, with a
// caller of its own. Every limit is counted and none refuses. What the service does
// at times, and not with calls, is left out as far as it can be.
func openService(t *testing.T, store string) (*caller, *provider) {
	t.Helper()
	p, dir := newProvider(t), t.TempDir()
	file := filepath.Join(dir, "twilio.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"accountSID": %q, "authToken": %q, "fromMessagingServiceSID": %q, "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your code is {{code}}."}]}`, account, token, sender, p.url), 0o600); err != nil {
		t.Fatal(err)
	}
	c := app.DefaultConfig()
	c.Listen, c.PrivateListen, c.PublicURL = "127.0.0.1:0", "127.0.0.1:0", publicURL
	c.Connector, c.Data, c.Countries = file, filepath.Join(dir, "data"), []string{"US"}
	c.Apps = map[string]app.OneApp{appName: {ClientIP: "none"}}
	c.Send.PollAfter, c.Send.Feedback = 0, false
	c.Limits = map[string]app.LimitConfig{}
	limits := verify.DefaultPolicy().Limits
	for _, l := range limits.Each() {
		wide := app.LimitConfig{Burst: 10_000_000}
		if l.Every != 0 {
			wide.Every = time.Millisecond
		}
		c.Limits[l.Name] = wide
	}
	if store != "" {
		c.Store = app.NewStore(store)
	}
	// Of the server's key the store's are made, and from where they fall in a tree
	// how many of its pages a call touches.
	env := map[string]string{app.KeyEnv: "k1:" + strings.Repeat("A", 43) + "="}
	_, key, err := app.CreateKey(t.Context(), c, app.KeySpec{Name: appName})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := app.NewService(ctx, c, func(name string) string { return env[name] }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return newCaller(t, strings.TrimPrefix(s.URL(), "http://"), key.Reveal()), p
}
