//go:build unix

package httpapi

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

// outsideEnv makes the test binary all that is outside of the service: its
// clients and its provider, so that their CPU is not counted as the service's.
const outsideEnv = "SIXDIGIT_BENCH_OUTSIDE"

const (
	benchCallers = 32
	benchAccount = "AC00000000000000000000000000000000"
	benchToken   = "11111111111111111111111111111111"
	benchService = "MG00000000000000000000000000000000"
)

// outside is the other process, driven over its standard input: a line asks for
// requests, a line answers when they are done.
type outside struct {
	provider string // its URL
	in       io.WriteCloser
	out      *bufio.Reader
}

func newOutside(b *testing.B) *outside {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe)
	cmd.Env = append(os.Environ(), outsideEnv+"=1")
	cmd.Stderr = os.Stderr
	o := &outside{}
	if o.in, err = cmd.StdinPipe(); err != nil {
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
		_ = o.in.Close()
		_ = cmd.Wait()
	})
	o.out = bufio.NewReader(out)
	o.provider = o.line(b)
	return o
}

func (o *outside) line(b *testing.B) string {
	b.Helper()
	line, err := o.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// do has n requests of a kind made.
func (o *outside) do(b *testing.B, kind, address, key string, n int) {
	b.Helper()
	if _, err := fmt.Fprintln(o.in, kind, address, key, n); err != nil {
		b.Fatal(err)
	}
	if said := o.line(b); said != "done" {
		b.Fatal(said)
	}
}

// BenchmarkStack is a whole START and a whole CHECK over HTTP, with the real
// domain, a store in memory and the real connector, beside the least that a
// server can do: an empty handler, and one that posts the text's form with
// net/http. All figures are the serving process's alone.
func BenchmarkStack(b *testing.B) {
	o := newOutside(b)
	address, key := serveStack(b, o.provider)
	empty := serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"0123456789abcdefghijklmnop","padding":"`+strings.Repeat("x", 300)+`"}`)
	}))
	bare := serveBench(b, bareProxy(o.provider))
	const warm = 500
	for _, turn := range []struct{ name, kind, address string }{
		{"EMPTY", "plain", empty}, {"PROXY", "plain", bare}, {"START", "start", address}, {"CHECK", "check", address},
	} {
		b.Run(turn.name, func(b *testing.B) {
			if turn.kind == "check" {
				o.do(b, "start", address, key, b.N+warm)
			}
			o.do(b, turn.kind, turn.address, key, warm)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			o.do(b, turn.kind, turn.address, key, b.N)
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
		})
	}
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

// serveStack serves all of the service, with every limit and none that stops
// the load.
func serveStack(b *testing.B, provider string) (address, key string) {
	b.Helper()
	client, err := twilio.New(twilio.Config{
		AccountSID: benchAccount, AuthToken: secret.New(benchToken), MessagingServiceSID: benchService, BaseURL: provider,
	}, twilio.Options{MaxConcurrent: 256, Timeout: 20 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	catalog, err := sms.NewCatalog([]sms.Template{{Usage: sms.UsageGeneric, Content: "Your code is {{code}}."}})
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
	ring := testKeyring(b)
	service, err := verify.New(verify.Options{
		Store: memory.New(time.Now), Connectors: []verify.Connector{{Name: "twilio", Sender: client, Templates: catalog}}, Keys: ring, Policy: policy,
	})
	if err != nil {
		b.Fatal(err)
	}
	keys := access.NewMemory()
	_, shown, err := access.Create(b.Context(), keys, access.Spec{Name: "bench", App: "bench"}, time.Now(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	api, err := New(Options{Verifier: service, Messenger: service, Authenticator: access.NewAuthenticator(keys, nil), Idem: ring.Idem})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = service.Close(context.Background()) })
	return serveBench(b, api.Handler(edge.Options{Observe: func(string, string, int, time.Duration) {}})), shown.Reveal()
}

func bareProxy(provider string) http.Handler {
	form := "To=%2B14155550134&MessagingServiceSid=" + benchService + "&Body=Your+code+is+123456.&RiskCheck=enable&ValidityPeriod=600&ProvideFeedback=true"
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, provider+"/2010-04-01/Accounts/"+benchAccount+"/Messages.json", strings.NewReader(form))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		req.SetBasicAuth(benchAccount, benchToken)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		_, _ = io.WriteString(w, `{"id":"0123456789abcdefghijklmnop","padding":"`+strings.Repeat("x", 300)+`"}`)
	})
}

// world is the other process.
type world struct {
	codes   sync.Map // of string by number
	pending chan pendingCheck
	started int
}

type pendingCheck struct{ id, code string }

var (
	sixDigits = regexp.MustCompile(`[0-9]{6}`)
	firstID   = regexp.MustCompile(`"id":"([0-9a-v]{26})","to":"(\+[0-9]+)"`)
)

// runOutside is the other process's main: it prints its provider's URL, obeys
// lines, and ends with its parent.
func runOutside() error {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w := &world{pending: make(chan pendingCheck, 1<<20)}
	server := &http.Server{Handler: http.HandlerFunc(w.provide), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }()
	fmt.Printf("http://%s\n", ln.Addr())
	for {
		var kind, address, key string
		var n int
		if _, err := fmt.Scanln(&kind, &address, &key, &n); err != nil {
			return server.Close()
		}
		if err := w.load(kind, address, key, n); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("done")
	}
}

// provide answers as Twilio does.
func (w *world) provide(rw http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(data))
	w.codes.Store(form.Get("To"), sixDigits.FindString(form.Get("Body")))
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Twilio-Request-Id", "RQ"+strings.Repeat("5", 32))
	rw.Header().Set("Twilio-Concurrent-Requests", "1")
	rw.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(rw, `{"account_sid": %q, "api_version": "2010-04-01", "body": %q, "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "date_sent": null, "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000", "direction": "outbound-api", "error_code": null, "error_message": null, "from": null, "messaging_service_sid": %q, "num_media": "0", "num_segments": "0", "price": null, "price_unit": null, "sid": "SM0123456789abcdef0123456789abcdef", "status": "accepted", "to": %q, "uri": "/2010-04-01/Accounts/%s/Messages/SM0123456789abcdef0123456789abcdef.json"}`,
		benchAccount, form.Get("Body"), benchService, form.Get("To"), benchAccount)
}

// load makes n requests from as many callers as there are.
func (w *world) load(kind, address, key string, n int) error {
	requests := make(chan string, benchCallers)
	failed := make(chan error, benchCallers)
	var callers sync.WaitGroup
	for range benchCallers {
		callers.Go(func() {
			if err := w.call(kind, address, requests); err != nil {
				failed <- err
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case requests <- w.request(kind, key):
		case err = <-failed:
		}
	}
	close(requests)
	callers.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	return err
}

func (w *world) request(kind, key string) string {
	path := "/v1/verifications"
	var body string
	switch kind {
	case "check":
		p := <-w.pending
		path += "/" + p.id + "/check"
		body = `{"code":"` + p.code + `"}`
	default:
		w.started++
		body = fmt.Sprintf(`{"to":"+1415%07d","usage_type":"Generic"}`, 2_000_000+w.started)
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept-Encoding: gzip\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		path, key, len(body), body)
}

// call makes requests on one connection.
func (w *world) call(kind, address string, requests <-chan string) error {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for text := range requests {
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		switch {
		case kind == "start" && resp.StatusCode == http.StatusCreated:
			id := firstID.FindSubmatch(answer)
			if id == nil {
				return fmt.Errorf("no id in %s", answer)
			}
			code, _ := w.codes.LoadAndDelete(string(id[2]))
			w.pending <- pendingCheck{string(id[1]), code.(string)}
		case kind == "check" && strings.HasPrefix(string(answer), `{"valid":true`):
		case kind == "plain" && resp.StatusCode == http.StatusOK:
		default:
			return fmt.Errorf("%s: %s %s", kind, resp.Status, answer)
		}
	}
	return nil
}
