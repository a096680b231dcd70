package hooks

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	good := Hook{Name: "logto", App: "shop", Secrets: secrets(headerSecret)}
	for want, change := range map[string]func(h *Hook){
		"":                            func(*Hook) {},
		"lower-case letters":          func(h *Hook) { h.Name, h.Kind = "Logto", KindLogto },
		"kind: write one of authgear": func(h *Hook) { h.Kind = "auth0" },
		"shorter than 16":             func(h *Hook) { h.Secrets = secrets(headerSecret, "hunter2hunter2h") },
		"whsec_":                      func(h *Hook) { h.Kind = KindSupabase },
		"secrets: none":               func(h *Hook) { h.Secrets = nil },
		"app: none":                   func(h *Hook) { h.App = "" },
		"answer_within":               func(h *Hook) { h.AnswerWithin = -1 },
		"same_within":                 func(h *Hook) { h.SameWithin = 13 * time.Hour },
		"at least 10m0s":              func(h *Hook) { h.Kind, h.SameWithin = KindZitadel, 10*time.Minute-1 },
		"so long the server's":        func(h *Hook) { h.Kind, h.SameWithin, h.Secrets = KindSupabase, 1, secrets(standardSecret) },
		`"Signin" is no usage type`:   func(h *Hook) { h.Usages = map[string]sms.UsageType{"x": "Signin"} },
		"at least to and code":        func(h *Hook) { h.Kind, h.Fields = KindGeneric, Fields{To: "to"} },
		"only a hook of the kind":     func(h *Hook) { h.Header = "X-Key" },
		"header: name one":            func(h *Hook) { h.Kind, h.Header, h.Fields = KindGeneric, "X Key", Fields{To: "to", Code: "c"} },
	} {
		h := good
		change(&h)
		_, err := New(Options{Hooks: []Hook{h}, Messenger: &domain{}, Idem: testKeyring(t).Idem})
		switch {
		case want == "" && err != nil, want != "" && err == nil, want != "" && !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v", want, err)
		case err != nil && (strings.Contains(err.Error(), headerSecret) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%q: the error holds a secret: %v", want, err)
		}
	}
	_, err := New(Options{Hooks: []Hook{good, good}})
	if err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), "messenger") {
		t.Errorf("all at once: %v", err)
	}
}

// Every kind of the table has orders among the golden files, and every result
// a status.
func TestTable(t *testing.T) {
	t.Parallel()
	hooks := goldenHooks()
	if got := strings.Join(Kinds(), " "); got != "authgear generic kratos logto okta supabase zitadel" {
		t.Errorf("kinds: %s", got)
	}
	seen := map[string]bool{}
	for i := range hooks {
		seen[hooks[i].kindName()] = true
		if faults := hooks[i].Faults(); faults != nil {
			t.Errorf("%s: %v", hooks[i].Name, faults)
		}
	}
	for name, k := range kinds() {
		if !seen[name] {
			t.Errorf("no golden order of %s", name)
		}
		for theirs, ours := range k.usages {
			if !ours.Known() {
				t.Errorf("%s: %s is %s", name, theirs, ours)
			}
		}
		for _, r := range Results() {
			if a := k.reply(outcome{result: r}); a.status < 200 || a.status > 599 || a.status < 300 != (r.done() || isDropped(a) || r.final() && a.body != nil && a.status == 200) {
				t.Errorf("%s answers %s with %d", name, r, a.status)
			}
		}
	}
}

func isDropped(a reply) bool {
	_, ok := a.body.(dropped)
	return ok
}

// Kratos repeats whatever is not 2xx, and what stands behind it in its queue: only
// what may come to something else is worth that.
func TestKratosRepeats(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		o    outcome
		want int
	}{
		"no order":        {failure(malformedError{"the order has no code"}), 200},
		"a large body":    {failure(errTooLarge), 200},
		"a bad locale":    {outcomeOf(verify.Started{}, &verify.InvalidError{Field: "payload", Code: "payload_invalid"}), 200},
		"a torn body":     {failure(errBroken), 400},
		"a slow body":     {failure(os.ErrDeadlineExceeded), 400},
		"a wrong secret":  {failure(proofError{errWrong}), 401},
		"no store":        {outcomeOf(verify.Started{}, verify.ErrUnavailable), 503},
		"too many texts":  {outcomeOf(verify.Started{}, &verify.LimitError{}), 200},
		"it is under way": {outcomeOf(verify.Started{}, verify.ErrInFlight), 204},
	} {
		if got := replyKratos(c.o).status; got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}

// A locale that no domain takes is none, and costs nothing to tell: to parse one of
// many dashes takes the square of its length.
func TestLongLocale(t *testing.T) {
	t.Parallel()
	d := &domain{says: "taken"}
	b := newBoard(t, d, nil, goldenHooks()...)
	long := "de" + strings.Repeat("-a", 100_000)
	began := time.Now()
	for i, locale := range []string{long, "de-" + strings.Repeat("a", 62), "de-x-" + strings.Repeat("abcdefgh-", 7) + "abcdefg", "de-x-" + strings.Repeat("abcdefgh-", 6) + "abcde"} {
		if rec := b.order(t, "kratos_sent", "", func(s string) string {
			return strings.Replace(s, `"locale":"de"`, `"locale":"`+locale+`"`, 1)
		}); rec.Code != 204 {
			t.Errorf("%d: %d %s", i, rec.Code, rec.Body)
		}
		want := ""
		if len(locale) <= maxLocale {
			want = locale
		}
		if got := d.asked[i].Locale; got != want {
			t.Errorf("%d: a locale of %d bytes", i, len(got))
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A hook lets its orders have no address: what other callers of its app need is the
// app's policy, which knows of no hooks.
func TestNoClientIP(t *testing.T) {
	t.Parallel()
	list := goldenHooks()
	for _, allowed := range []bool{false, true} {
		list[2].NoClientIP = allowed // Kratos, which has none
		d := &domain{says: "taken"}
		newBoard(t, d, nil, list...).order(t, "kratos_sent", "", nil)
		if d.asked[0].NoClientIP != allowed || d.asked[0].ClientIP.IsValid() {
			t.Errorf("%t: %+v", allowed, d.asked[0])
		}
	}
}

func TestUsages(t *testing.T) {
	t.Parallel()
	h := &handler{Hook: Hook{Usages: map[string]sms.UsageType{"theirs": sms.UsageSignIn, "Register": sms.UsageBindMfa}}}
	for theirs, want := range map[string]sms.UsageType{
		"theirs": sms.UsageSignIn, "Register": sms.UsageBindMfa, "BindMfa": sms.UsageBindMfa, "": sms.UsageGeneric, "other": sms.UsageGeneric,
	} {
		if got := h.usage(theirs); got != want {
			t.Errorf("%q is %s, want %s", theirs, got, want)
		}
	}
	h.Usages[AnyUsage] = sms.UsageForgotPassword
	if h.usage("other") != sms.UsageForgotPassword || h.usage("SignIn") != sms.UsageSignIn {
		t.Error("the entry for the rest is for the rest alone")
	}
}

// What is too large for a text does not keep the code from the person.
func TestLargePayload(t *testing.T) {
	t.Parallel()
	s := newService(t, memory.New(nil), &provider{})
	defer closed(t, s)
	b := newBoard(t, s, nil, goldenHooks()...)
	for i, filler := range []string{
		`"x":"` + strings.Repeat("y", 5000) + `"`,
		`"x":{"a":[` + strings.Repeat("1,", 3000) + `1]}`,
		`"x":{` + strings.Repeat(`"":1,`, 480) + `"a":1}`,
		strings.Repeat(`"ab":1,`, 300) + `"a":1`,
	} {
		rec := b.order(t, "logto_sent", "", func(body string) string {
			return strings.NewReplacer(`"locale":"de"`, filler, "482913", "48291"+string(rune('0'+i))).Replace(body)
		})
		if rec.Code != 204 {
			t.Errorf("%.20s: %d %s", filler, rec.Code, rec.Body)
		}
	}
}

// A body is read no further than it may be, and not at all from who has no secret.
func TestBodies(t *testing.T) {
	t.Parallel()
	b := newBoard(t, &domain{says: "taken"}, goldenTime, goldenHooks()...)
	for _, c := range []struct {
		name, secret string
		body         io.Reader
		status       int
		read         bool
	}{
		{"announced", headerSecret, bytes.NewReader(make([]byte, maxBody+1)), http.StatusRequestEntityTooLarge, false},
		{"not announced", headerSecret, io.LimitReader(zeros{}, maxBody+1), http.StatusRequestEntityTooLarge, true},
		{"torn", headerSecret, io.MultiReader(strings.NewReader(`{"to"`), torn{}), http.StatusBadRequest, true},
		{"from a stranger", "x", io.LimitReader(zeros{}, maxBody+1), http.StatusUnauthorized, false},
	} {
		counted := &counter{r: c.body}
		r := httptest.NewRequest("POST", "/hooks/logto", counted)
		if c.name == "announced" {
			r.ContentLength = maxBody + 1
		}
		r.Header.Set("Authorization", "Bearer "+c.secret)
		rec := httptest.NewRecorder()
		b.ServeHTTP(rec, r)
		if rec.Code != c.status || (counted.n > 0) != c.read || counted.n > maxBody+512 {
			t.Errorf("%s: %d after %d bytes", c.name, rec.Code, counted.n)
		}
	}
	// Where the body has to be read before anybody knows who sent it, it is a short
	// one; but for Supabase, whose bodies are large.
	for hook, most := range map[string]int{"zitadel": maxSigned, "authgear": maxSigned, "supabase": maxBody} {
		for size, want := range map[int]int{most: 401, most + 1: 413} {
			counted := &counter{r: io.LimitReader(zeros{}, int64(size))}
			rec := httptest.NewRecorder()
			b.ServeHTTP(rec, httptest.NewRequest("POST", "/hooks/"+hook, counted))
			if rec.Code != want || counted.n > most+512 {
				t.Errorf("%s, %d bytes: %d after %d", hook, size, rec.Code, counted.n)
			}
		}
	}
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, httptest.NewRequest("POST", "/hooks/auth0", http.NoBody))
	if rec.Code != http.StatusNotFound {
		t.Errorf("a hook that is not configured: %d", rec.Code)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// Over a true connection, a slow provider: the connection is let go, the answer
// comes in time, and what becomes of the text later is not answered again.
func TestSlowProviderOverTheWire(t *testing.T) {
	t.Parallel()
	p := &provider{hang: make(chan struct{})}
	s := newService(t, memory.New(nil), p)
	list := goldenHooks()
	for i := range list {
		list[i].AnswerWithin = 1300 * time.Millisecond // the domain lets go after 1 s
	}
	b := newBoard(t, s, nil, list...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- edge.NewServer(b, edge.Timeouts{}, nil).Serve(ctx, ln) }()
	client := &http.Client{Transport: &http.Transport{}}
	r := goldenOf(t, "okta_sent").request(t, nil)
	out, err := http.NewRequest("POST", "http://"+ln.Addr().String()+"/hooks/okta", r.Body)
	if err != nil {
		t.Fatal(err)
	}
	out.Header = r.Header
	began := time.Now()
	res, err := client.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), "PENDING") || !res.Close {
		t.Errorf("%v, %d %s, closed %t", err, res.StatusCode, body, res.Close)
	}
	if took < 1250*time.Millisecond || took > 2500*time.Millisecond {
		t.Errorf("the answer took %s", took)
	}
	close(p.hang)
	client.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	closed(t, s)
	if _, texts := p.count(); texts != 1 || len(b.results) != 1 || b.results[0] != ResultPending {
		t.Errorf("%d texts, %v", texts, b.results)
	}
	if n := strings.Count(b.log.String(), `"hook":"okta","result":"pending"`); n != 1 {
		t.Errorf("%d log lines: %s", n, b.log)
	}
}

// FuzzHooks: whatever comes, signed or not, is answered, and without what it held.
func FuzzHooks(f *testing.F) {
	for _, g := range readGoldens(f) {
		_, body, _ := strings.Cut(g.section("request"), "\n\n")
		f.Add(g.name[:strings.IndexByte(g.name, '_')], body, strings.HasPrefix(g.name, "casdoor"))
	}
	d := &fuzzDomain{}
	b := newBoard(f, d, nil, goldenHooks()...)
	f.Fuzz(func(t *testing.T, hook, body string, form bool) {
		r := httptest.NewRequest("POST", "/hooks/x", strings.NewReader(body))
		r.URL.Path = "/hooks/" + hook
		r.Header.Set("Authorization", headerSecret)
		r.Header.Set("X-Api-Key", headerSecret)
		if form {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		sign(t, r, body, "fuzz")
		rec := httptest.NewRecorder()
		b.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Errorf("%s: %d %s", hook, rec.Code, rec.Body)
		}
	})
}

// fuzzDomain takes every order that makes sense.
type fuzzDomain struct{}

func (*fuzzDomain) SendMessage(ctx context.Context, r verify.MessageRequest) (verify.Started, error) {
	if code, _ := r.Payload["code"].(string); code == "" || r.To.IsZero() || !r.Usage.Known() {
		panic("an order that cannot be carried out")
	}
	return (&domain{says: "taken"}).SendMessage(ctx, r)
}
