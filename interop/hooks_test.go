package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/twiliosim"
)

const (
	hookPerson = "14155550134" // Logto writes no +
	hookSecret = "a-secret-of-the-interop-test"
)

// behindLogto is the whole service with a simulated Twilio, as Logto finds it.
type behindLogto struct {
	t       *testing.T
	referee *referee
	sim     *twiliosim.Server
	url     string
	stop    func()
}

func newBehindLogto(t *testing.T) *behindLogto {
	t.Helper()
	b := &behindLogto{t: t, referee: startReferee(t), sim: twiliosim.New(twiliosim.Options{Step: time.Millisecond})}
	simServer := httptest.NewServer(b.sim)
	t.Cleanup(func() {
		_ = b.sim.Close() // first: it ends what hangs
		simServer.Close()
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "twilio.json")
	text := fmt.Sprintf(`{"accountSID": "AC%032d", "authToken": %q, "fromMessagingServiceSID": "MG%032d", "baseURL": %q,
		"templates": [{"usageType": "Generic", "content": "Your secret code is {{code}}."}]}`, 0, strings.Repeat("1", 32), 0, simServer.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := app.DefaultConfig()
	c.Listen, c.PrivateListen = "127.0.0.1:0", "127.0.0.1:0"
	c.Connector, c.Data, c.Countries = file, filepath.Join(dir, "data"), []string{"US"}
	c.Hooks = map[string]app.HookConfig{"logto": {Secrets: app.Secrets{secret.New(hookSecret)}, AnswerWithin: 1500 * time.Millisecond}}
	svc, err := app.NewService(t.Context(), c, func(string) string { return "" }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	b.url, b.stop = svc.URL(), func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		done <- nil // for who stops it twice
	}
	t.Cleanup(b.stop)
	return b
}

// send has the published connector order a text.
func (b *behindLogto) send(authorization, code string) refusal {
	b.t.Helper()
	var answer struct{ Refused refusal }
	err := b.referee.tryAsk("httpsms.send", map[string]any{
		"config": map[string]any{"endpoint": b.url + "/hooks/logto", "authorization": authorization},
		"data":   map[string]any{"to": hookPerson, "type": "SignIn", "payload": map[string]any{"code": code, "locale": "en"}, "ip": "203.0.113.7"},
	}, &answer)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.Refused
}

func (b *behindLogto) fail(f twiliosim.Faults) {
	b.t.Helper()
	if err := b.sim.SetFaults(f); err != nil {
		b.t.Fatal(err)
	}
}

// texts are the texts on the phone, the newest first.
func (b *behindLogto) texts() (all []string) {
	for _, m := range b.sim.Messages("+" + hookPerson) {
		all = append(all, m.Body)
	}
	return all
}

// TestLogtoHook has the published HTTP SMS connector send through /hooks/logto:
// it is taken, refused, slow and gone.
func TestLogtoHook(t *testing.T) {
	t.Parallel()
	b := newBehindLogto(t)
	const good = "Bearer " + hookSecret
	for range 2 {
		if r := b.send(good, "246810"); r != (refusal{}) {
			t.Errorf("a sign-in is refused: %+v", r)
		}
	}
	if all := b.texts(); len(all) != 1 || all[0] != "Your secret code is 246810." {
		t.Errorf("the phone has %q", all)
	}
	if r := b.send("Bearer another", "246811"); r.Code != "general" || !strings.HasPrefix(r.Message, "The secret or signature") {
		t.Errorf("a wrong secret: %+v", r)
	}

	b.fail(twiliosim.Faults{Code: 21211})
	if r := b.send(good, "246812"); r != (refusal{"general", "That number doesn't look right. Check it and try again."}) {
		t.Errorf("a refused number: %+v", r)
	}

	b.fail(twiliosim.Faults{LatencyMS: 2500})
	began := time.Now()
	if r := b.send(good, "246813"); r != (refusal{}) || time.Since(began) > 2400*time.Millisecond {
		t.Errorf("Twilio is slow: %+v after %s", r, time.Since(began))
	}
	if r := b.send(good, "246813"); r != (refusal{}) {
		t.Errorf("Twilio is slow, and Logto's user is not: %+v", r)
	}

	b.stop() // which waits for the slow one
	if all := b.texts(); len(all) != 2 || all[0] != "Your secret code is 246813." {
		t.Errorf("the phone has %q", all)
	}
	if r := b.send(good, "246814"); r.Code != "general" || r.Message == "" {
		t.Errorf("the service is gone: %+v", r)
	}
}
