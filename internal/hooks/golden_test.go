package hooks

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the golden files expect anew")

// golden is one request, as a server sends it, with what the domain says to it
// and what it is answered. The requests were signed by another program.
type golden struct {
	name    string
	archive *txtar.Archive
}

func (g *golden) section(name string) string {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return strings.TrimSuffix(string(f.Data), "\n")
		}
	}
	return ""
}

func readGoldens(t testing.TB) []*golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d golden files: %v", len(paths), err)
	}
	var all []*golden
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &golden{strings.TrimSuffix(filepath.Base(path), ".txt"), archive})
	}
	return all
}

// golden finds one by its name.
func goldenOf(t testing.TB, name string) *golden {
	t.Helper()
	all := readGoldens(t)
	i := slices.IndexFunc(all, func(g *golden) bool { return g.name == name })
	if i < 0 {
		t.Fatalf("there is no golden file %s", name)
	}
	return all[i]
}

// request is the golden's request; change may edit its body, and nil does not.
func (g *golden) request(t testing.TB, change func(body string) string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(g.section("request"), "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		body = change(body)
	}
	out := httptest.NewRequest(r.Method, r.URL.String(), strings.NewReader(body))
	out.Header = r.Header
	return out
}

// TestGoldens brings every golden request through its hook.
func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, g := range readGoldens(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			d := &domain{says: g.section("domain")}
			hooks := goldenHooks()
			for i := range hooks {
				hooks[i].AnswerWithin = 1 // who is in flight is not waited for
			}
			b := newBoard(t, d, goldenTime, hooks...)
			rec := httptest.NewRecorder()
			b.ServeHTTP(rec, g.request(t, nil))
			got := map[string]string{"order": d.order(t), "answer": answerOf(rec), "result": resultsOf(b)}
			if *update {
				g.write(t, got)
				return
			}
			for name, text := range got {
				if diff := cmp.Diff(g.section(name), text); diff != "" {
					t.Errorf("%s (-want +got)\n%s", name, diff)
				}
			}
			for _, leak := range []string{"482913", "4155552671", headerSecret, zitadelSecret, authgearSecret, "the disk is gone"} {
				if strings.Contains(rec.Body.String(), leak) || leak != "the disk is gone" && strings.Contains(b.log.String(), leak) {
					t.Errorf("answer or log holds %q", leak)
				}
			}
		})
	}
}

// order is what the domain was asked for, as JSON; "" when it was not.
func (d *domain) order(t *testing.T) string {
	t.Helper()
	if len(d.asked) == 0 {
		return ""
	}
	r := d.asked[0]
	ip := ""
	if r.ClientIP.IsValid() {
		ip = r.ClientIP.String()
	}
	text, err := json.MarshalIndent(map[string]any{
		"app": r.App, "to": r.To.E164(), "usage": r.Usage, "locale": r.Locale, "ip": ip, "payload": r.Payload,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// answerOf is an answer without what every answer has.
func answerOf(rec *httptest.ResponseRecorder) string {
	out := fmt.Sprintln(rec.Code)
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if v := rec.Header().Get(name); v != "" {
			out += name + ": " + v + "\n"
		}
	}
	body, _ := io.ReadAll(rec.Body)
	var problem map[string]any
	if json.Unmarshal(body, &problem) == nil && problem["request_id"] != nil {
		problem["request_id"] = "ID"
		body, _ = json.Marshal(problem)
	}
	rec.Body.Write(body) // for who looks for leaks
	if len(body) > 0 {
		out += "\n" + strings.TrimSuffix(string(body), "\n")
	}
	return strings.TrimSuffix(out, "\n")
}

// resultsOf is what metrics and log were told.
func resultsOf(b *board) string {
	var out strings.Builder
	for _, r := range b.results {
		fmt.Fprintln(&out, r)
	}
	if strings.Contains(b.log.String(), "order dropped") {
		fmt.Fprintln(&out, "and a warning that the order was dropped")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func (g *golden) write(t *testing.T, got map[string]string) {
	t.Helper()
	a := &txtar.Archive{Comment: g.archive.Comment}
	for _, name := range []string{"domain", "request", "order", "answer", "result"} {
		text, made := got[name]
		if !made {
			text = g.section(name)
		}
		if text != "" {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text + "\n")})
		}
	}
	if err := os.WriteFile(filepath.Join("testdata/golden", g.name+".txt"), txtar.Format(a), 0o600); err != nil {
		t.Fatal(err)
	}
}
