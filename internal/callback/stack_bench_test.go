//go:build unix

package callback

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// BenchmarkStack is a whole callback over HTTP, one that moves a text that exists
// a step on, with the true connector and domain, beside the least that a server
// can do. All figures are the serving process's alone.
func BenchmarkStack(b *testing.B) {
	p := newProvider(b)
	untouched := make([]byte, 32<<20) // so that garbage is collected as seldom as internal/app has it
	defer runtime.KeepAlive(untouched)
	empty := serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	file, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	for _, turn := range []struct {
		name  string
		store verify.Store
	}{{"EMPTY", nil}, {"MEMORY", memory.New(time.Now)}, {"SQLITE", file}} {
		address, texts := empty, func(n int) []string { return make([]string, n) }
		if turn.store != nil {
			address, texts = serveStack(b, turn.store)
		}
		b.Run(turn.name, func(b *testing.B) {
			const warm = 500
			before, timed := texts(warm), texts((b.N+1)/2) // each text has two callbacks
			p.report(b, address, before)
			b.ReportAllocs()
			b.ResetTimer()
			spent := cpuTime(b)
			p.report(b, address, timed)
			b.ReportMetric(float64(cpuTime(b)-spent)/float64(2*len(timed))/1e3, "cpu-µs/op")
		})
	}
}

// cpuTime is what the process has used so far. Unlike the wall's time it says
// the same on a busy machine.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func serveBench(b *testing.B, h http.Handler) (address string) {
	b.Helper()
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	server := edge.NewServer(h, edge.Timeouts{Grace: time.Second}, nil)
	go func() {
		defer close(ended)
		_ = server.Serve(ctx, ln)
	}()
	b.Cleanup(func() {
		stop()
		<-ended
	})
	return ln.Addr().String()
}

// accepting is a provider that takes each text at once.
type accepting struct{ connector.Finder }

func (accepting) Send(_ context.Context, m connector.Message) (connector.Receipt, error) {
	return connector.Receipt{ProviderID: textID(m.CallbackURL), Status: connector.StatusAccepted}, nil
}

// serveStack serves callbacks as internal/app does, with a log that has nothing
// to say of what is well. texts sends as many texts and returns their ids.
func serveStack(b *testing.B, store verify.Store) (address string, texts func(n int) []string) {
	b.Helper()
	catalog, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}})
	if err != nil {
		b.Fatal(err)
	}
	ring, err := verify.NewKeyring(verify.ServerKey{ID: "k1", Secret: secret.New(strings.Repeat("k", verify.KeySize))})
	if err != nil {
		b.Fatal(err)
	}
	policy := verify.DefaultPolicy()
	policy.AllCountries, policy.Apps = true, map[string]verify.AppPolicy{"bench": {NoClientIP: true}}
	for _, l := range policy.Limits.Each() {
		l.Burst = 10_000_000
		if l.Every != 0 {
			l.Every = time.Millisecond
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	service, err := verify.New(verify.Options{
		Store: store, Keys: ring, Policy: policy, Log: log,
		Connectors:  []verify.Connector{{Name: "twilio", Sender: accepting{}, Templates: catalog}},
		CallbackURL: func(name, send string) string { return URL(publicURL, name, send) },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = service.Close(context.Background()) })
	client, err := twilio.New(twilio.Config{
		AccountSID: account(), AuthToken: secret.New(ourToken()), MessagingServiceSID: "MG" + strings.Repeat("0", 32),
	}, twilio.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	calls, err := New(Options{
		PublicURL: publicURL, Sources: map[string]Source{"twilio": {Status: client, Replies: client}}, Recorder: service, Log: log,
	})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	calls.Routes(mux)
	number := 2_000_000
	return serveBench(b, edge.Wrap(mux, edge.Options{Log: log})), func(n int) []string {
		ids := make([]string, n)
		var starts sync.WaitGroup
		for at := range 64 {
			starts.Go(func() {
				for i := at; i < n; i += 64 {
					to, err := phone.Parse(fmt.Sprintf("+1415%07d", number+i))
					if err != nil {
						b.Error(err)
						return
					}
					st, err := service.Start(context.Background(), verify.StartRequest{App: "bench", To: to, Usage: sms.UsageGeneric})
					if err != nil {
						b.Error(err)
						return
					}
					ids[i] = st.Verification.Sends[0].ID
				}
			})
		}
		starts.Wait()
		number += n
		return ids
	}
}

// provider is the other process, driven over its standard input: the address,
// how many texts, and each one's id, empty for none, in a line of its own. It
// answers with a line when all are reported on.
type provider struct {
	in  *bufio.Writer
	out *bufio.Reader
}

func newProvider(b *testing.B) *provider {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe)
	cmd.Env = append(os.Environ(), outsideEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &provider{bufio.NewWriter(in), bufio.NewReader(out)}
}

// report has every text reported as sent, then as delivered.
func (p *provider) report(b *testing.B, address string, texts []string) {
	b.Helper()
	_, _ = fmt.Fprintf(p.in, "%s\n%d\n%s\n", address, len(texts), strings.Join(texts, "\n"))
	if err := p.in.Flush(); err != nil {
		b.Fatal(err)
	}
	if line, err := p.out.ReadString('\n'); err != nil || line != "done\n" {
		b.Fatal(line, err)
	}
}
