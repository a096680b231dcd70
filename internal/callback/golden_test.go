package callback

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sixdigit/sixdigit/connector"
)

type golden struct{ url, signature, body, expect string }

// readGoldens reads the callbacks or replies of testdata/twilio, by name.
func readGoldens(t testing.TB, folder string) map[string]golden {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/twilio/" + folder + "/*.txt")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d files of %s: %v", len(paths), folder, err)
	}
	all := map[string]golden{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, f := range archive.Files {
			sections[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		all[filepath.Base(path)] = golden{sections["url"], sections["signature"], sections["body"], sections["expect"]}
	}
	return all
}

// request is the golden's request; ok is false where its URL is none of ours.
func (g golden) request() (r *http.Request, ok bool) {
	u, _, _ := strings.Cut(g.url, "#")
	target, ok := strings.CutPrefix(u, "https://example.com")
	if !ok {
		return nil, false
	}
	r = httptest.NewRequest(http.MethodPost, target, strings.NewReader(g.body))
	r.Header.Set("Content-Type", formType)
	if g.signature != "" {
		r.Header.Set("X-Twilio-Signature", g.signature)
	}
	return r, true
}

// TestGoldens brings every request of testdata/twilio through the handler.
func TestGoldens(t *testing.T) {
	t.Parallel()
	refusals := map[string]int{"signature": 403, "malformed": 400, "unknown_status": 400}
	for folder, good := range map[string]int{"callback": http.StatusNoContent, "inbound": http.StatusOK} {
		n := 0
		for name, g := range readGoldens(t, folder) {
			r, ok := g.request()
			if !ok {
				continue
			}
			n++
			var expect struct {
				ProviderID string            `json:"provider_id"`
				Status     connector.Status  `json:"status"`
				From       string            `json:"from"`
				Consent    connector.Consent `json:"consent"`
				Refused    string            `json:"refused"`
			}
			if err := json.Unmarshal([]byte(g.expect), &expect); err != nil {
				t.Fatal(name, err)
			}
			f := &fake{
				delivery: func(_ context.Context, _, send string, u connector.StatusUpdate) error {
					if send != "s_1" || u.ProviderID != expect.ProviderID || u.Status != expect.Status {
						t.Errorf("%s: send %s, %+v", name, send, u)
					}
					return nil
				},
				reply: func(_ context.Context, _ string, r connector.Reply) error {
					if r.From.E164() != expect.From || r.Consent != expect.Consent {
						t.Errorf("%s: %q from %v", name, r.Consent, r.From)
					}
					return nil
				},
			}
			want, calls := good, 1
			if expect.Refused != "" {
				want, calls = refusals[expect.Refused], 0
			}
			tc := newTest(t, "https://example.com", f)
			if status, _, body, _ := tc.do(t, r); status != want || f.calls != calls {
				t.Errorf("%s/%s: %d %s, %d calls, want %d", folder, name, status, body, f.calls, want)
			}
		}
		if n < 30 {
			t.Errorf("only %d of %s have a URL of ours", n, folder)
		}
	}
}
