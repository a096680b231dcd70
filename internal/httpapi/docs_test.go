package httpapi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
)

func readDocs(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// snippet returns the one block of code in a section of the page.
func snippet(t *testing.T, section, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(readDocs(t), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	_, rest, ok := strings.Cut(rest, "\n```"+language+"\n")
	code, rest, closed := strings.Cut(rest, "\n```\n")
	if !found || !ok || !closed || strings.Contains(rest, "\n```") {
		t.Fatalf("docs/api.md has not one block of %s under %s", language, section)
	}
	return code + "\n"
}

// TestSnippets runs each example of docs/api.md against the real service. Those
// of a verification get the code typed that the text brought.
func TestSnippets(t *testing.T) {
	t.Parallel()
	const valid, sent = `"valid":true`, `"status":"accepted"`
	for _, tt := range []struct{ section, language, file, tool, key, want string }{
		{"curl", "sh", "api.sh", "curl", "shop", valid},
		{"Go", "go", "main.go", "go", "shop", valid},
		{"Node", "js", "api.mjs", "node", "shop", valid},
		{"Messages", "sh", "message.sh", "curl", "messages", sent},
	} {
		t.Run(tt.section, func(t *testing.T) {
			t.Parallel()
			code := snippet(t, tt.section, tt.language)
			if _, err := exec.LookPath(tt.tool); err != nil {
				t.Skipf("%s is not installed", tt.tool)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, tt.file)
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			command := map[string][]string{"sh": {"sh", file}, "go": {"go", "run", file}, "js": {"node", file}}[tt.language]
			runSnippet(t, command, tt.key, tt.want)
		})
	}
}

func runSnippet(t *testing.T, command []string, key, want string) {
	t.Helper()
	box := &phoneBox{sent: make(chan string, 1)}
	ta := newTestAPI(t, newService(t, box, &lockedBuffer{}))
	addr := serveTCP(t, ta, edge.Timeouts{})
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SIXDIGIT_URL=http://"+addr, "SIXDIGIT_KEY="+ta.keys[key], "NO_PROXY=*", "GOFLAGS=")
	var out, errs lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case body := <-box.sent:
		fmt.Fprintln(in, tenDigits.FindString(body))
		_ = in.Close()
		err = <-ended
	case err = <-ended:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		err = <-ended
	}
	if got := strings.ReplaceAll(out.String(), " ", ""); err != nil || !strings.Contains(got, want) {
		t.Errorf("%v\nstdout: %s\nstderr: %s", err, out.String(), errs.String())
	}
}

// The page's table is the program's, in its order.
func TestDocsTable(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for _, f := range faultTable() {
		if f.code == codeClosed {
			continue // nobody reads it
		}
		fmt.Fprintf(&want, "| `%s` | %d | %s |\n", f.code, f.status, f.detail)
		if f.code == codeNotFound { // edge answers these
			want.WriteString("| `no_such_path` | 404 | Nothing is served at this path. |\n")
			want.WriteString("| `method_not_allowed` | 405 | The path exists; Allow lists its methods. |\n")
		}
	}
	if !strings.Contains(readDocs(t), "|---|---|---|\n"+want.String()+"\n") {
		t.Errorf("docs/api.md should have this table:\n%s", want.String())
	}
}
