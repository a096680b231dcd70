package twilioverify

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/sms"
	"github.com/sixdigit/sixdigit/verify"
)

// A client follows the links of a list and sends its token along.
func TestLinksAreHTTPS(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"verify.example.com": "https://verify.example.com", "verify.example.com:8443": "https://verify.example.com:8443",
		"10.0.0.7:8080": "https://10.0.0.7:8080", "localhost.example.com": "https://localhost.example.com", "127.0.0.1.example.com": "https://127.0.0.1.example.com",
		"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost:8080": "http://localhost:8080", "[::1]:8080": "http://[::1]:8080", "[::1]": "http://[::1]", "": "https://",
	} {
		r := httptest.NewRequest(http.MethodGet, "/v2/Services", http.NoBody)
		r.Host = host
		if got := (&API{}).base(r); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
		if got := (&API{Options: Options{PublicURL: "https://v.example/"}}).base(r); got != "https://v.example" {
			t.Errorf("%q, with public_url: %s", host, got)
		}
	}
}

// Parameters in the address of a POST would have no effect.
func TestQueryOfPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	va := "/v2/Services/" + access.DefaultServiceSID(app)
	const form = "application/x-www-form-urlencoded"
	for path, body := range map[string]string{
		va + "/Verifications?Locale=de":  "To=%2B14155552671&Channel=sms",
		va + "/VerificationCheck?Code=1": "To=%2B14155552671&Code=1234567890",
		va + "?CodeLength=10":            "FriendlyName=x",
		"/v2/Services?secret-4711":       "FriendlyName=x",
	} {
		if status, _, answer := w.raw("POST", path, form, body); status != 400 || !strings.Contains(answer, `"code":60200`) || strings.Contains(answer, "4711") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if n := len(w.texts(person)); n != 0 {
		t.Errorf("%d texts", n)
	}
}

// pickyStore is a store that fails at what is no sid, as PostgreSQL does at NUL.
type pickyStore struct{ access.ServiceStore }

func (pickyStore) Service(_ context.Context, sid string) (access.Service, error) {
	if len(sid) != sidLength {
		return access.Service{}, verify.ErrUnavailable
	}
	return access.Service{}, access.ErrNoService
}

func TestBrokenServiceSID(t *testing.T) {
	t.Parallel()
	a := &API{Options: Options{Services: pickyStore{}, CodeLength: 6}}
	for _, sid := range []string{"VA\x00", "VA", "", "VA" + strings.Repeat("g", 32), "MG" + strings.Repeat("0", 32), "VA" + strings.Repeat("0", 33)} {
		if _, err := a.serviceOf(t.Context(), app, sid); !errors.Is(err, access.ErrNoService) {
			t.Errorf("%q: %v", sid, err)
		}
	}
	if s, err := a.serviceOf(t.Context(), app, access.DefaultServiceSID(app)); err != nil || s.App != app {
		t.Errorf("the one from the start: %+v, %v", s, err)
	}
}

// A row without a number, as a store might bring it, is no reason to fall.
func TestFilterWithoutNumber(t *testing.T) {
	t.Parallel()
	if !(&filter{}).matches(&verify.Verification{}) || (&filter{prefix: "1"}).matches(&verify.Verification{}) {
		t.Error("what matches a row without a number")
	}
}

// overtaken is a domain in which a check approves between a look and what follows.
type overtaken struct{ Verifier }

func (overtaken) FindAt(context.Context, verify.Handle) (*verify.Verification, time.Time, error) {
	now := time.Now()
	return &verify.Verification{Status: verify.StatusPending, ExpiresAt: now.Add(time.Minute)}, now, nil
}

func (overtaken) CancelAt(context.Context, verify.Handle) (verify.Ended, error) {
	return verify.Ended{Verification: &verify.Verification{Status: verify.StatusApproved}, Now: time.Now()}, nil
}

// Who cancels never reads of an approval that was somebody else's.
func TestCancelWhileChecked(t *testing.T) {
	t.Parallel()
	a := &API{Options: Options{Verifier: overtaken{}}}
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	r.SetPathValue("sid", person)
	_, answer, err := a.update(t.Context(), &call{form: form{"Status": "canceled"}, r: r})
	if !errors.Is(err, verify.ErrNotFound) || answer != nil {
		t.Errorf("%+v, %v", answer, err)
	}
}

// reader is a domain whose lists take until they are let go.
type reader struct {
	Verifier
	begun chan int // how many it may return at most
	free  chan struct{}
	rows  []*verify.Verification
}

func (r *reader) List(_ context.Context, q verify.ListRequest) (verify.Listed, error) {
	r.begun <- q.Found
	<-r.free
	for _, v := range r.rows {
		q.Match(v)
	}
	return verify.Listed{}, nil
}

// Two read at once; who comes then is told to come again. A summary keeps no rows.
func TestReadersAtOnce(t *testing.T) {
	t.Parallel()
	v := &verify.Verification{ID: "ah0g2jv3n0000000000000001o", Status: verify.StatusApproved, Sends: []verify.Send{{CreatedAt: time.Now()}, {CreatedAt: time.Now()}}}
	domain := &reader{begun: make(chan int), free: make(chan struct{}), rows: []*verify.Verification{v, v}}
	keys := access.NewMemory()
	_, key, err := access.Create(t.Context(), keys, access.Spec{Name: "n", App: app, Scopes: []access.Scope{access.ScopeTwilio}}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Verifier: domain, Authenticator: access.NewAuthenticator(keys, nil), Services: keys, Usage: sms.UsageSignIn})
	if err != nil {
		t.Fatal(err)
	}
	c := func() *call {
		return &call{form: form{}, r: httptest.NewRequest(http.MethodGet, "/v2/Attempts", http.NoBody)}
	}
	list, summary := a.atMost(a.listAttempts), a.atMost(a.summarize)
	done := make(chan error, maxReaders)
	for range maxReaders {
		go func() {
			_, answer, err := summary(t.Context(), c())
			if s, ok := answer.(Summary); err == nil && (!ok || s.TotalAttempts != 4 || s.TotalConverted != 2) {
				err = errors.New("the summary is wrong")
			}
			done <- err
		}()
		if found := <-domain.begun; found != 1 {
			t.Errorf("a summary keeps %d rows", found)
		}
	}
	for what, h := range map[string]handler{"a list": list, "a summary": summary} {
		_, _, err := h(t.Context(), c())
		var e *Error
		if !errors.As(err, &e) || e.Code != codeTooMany || e.retryAfter < time.Second {
			t.Errorf("%s beside two: %v", what, err)
		}
	}
	close(domain.free)
	for range maxReaders {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { <-domain.begun }()
	if status, _, err := list(t.Context(), c()); status != http.StatusOK || err != nil {
		t.Errorf("a list after them: %d, %v", status, err)
	}
	// Both routes have the gate.
	a.readers <- struct{}{}
	a.readers <- struct{}{}
	mux := http.NewServeMux()
	a.Routes(mux)
	for _, path := range []string{"/v2/Attempts", "/v2/Attempts/Summary"} {
		rec, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.SetBasicAuth(access.AccountSID(app), access.Token(key).Reveal())
		mux.ServeHTTP(rec, r)
		if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}
