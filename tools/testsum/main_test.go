package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs the real go test over small modules: what it prints is the only
// truth about its events.
func TestRun(t *testing.T) {
	t.Parallel()
	const head = "package m\n\nimport \"testing\"\n\n"
	tests := map[string]struct {
		source string
		status int
		want   []string
		absent []string
	}{
		"pass": {
			source: head + "func TestA(t *testing.T) { t.Log(\"chatter\"); t.Run(\"nested\", func(*testing.T) {}) }\nfunc TestB(*testing.T) {}\n",
			status: 0,
			want:   []string{"ok  \tm\t", "2 passed, 0 failed, 0 skipped\n"},
			absent: []string{"chatter", "=== RUN"},
		},
		"fail": {
			source: head + "func TestA(t *testing.T) { t.Run(\"nested\", func(t *testing.T) { t.Error(\"the reason\") }) }\nfunc TestB(*testing.T) {}\n",
			status: 1,
			want:   []string{"the reason", "--- FAIL: TestA/nested", "FAIL\tm\t", "1 passed, 1 failed, 0 skipped\n"},
			absent: []string{"ok  \t"},
		},
		"skip": {
			source: head + "func TestA(t *testing.T) { t.Skip(\"no such tool\") }\nfunc TestB(*testing.T) {}\n",
			status: 1,
			want:   []string{"no such tool", "--- SKIP: TestA", "1 passed, 0 failed, 1 skipped\n"},
		},
		"nested skip": {
			source: head + "func TestA(t *testing.T) { t.Run(\"n\", func(t *testing.T) { t.Skip(\"no such tool\") }) }\n",
			status: 1,
			want:   []string{"no such tool", "--- SKIP: TestA/n", "1 passed, 0 failed, 1 skipped\n"},
		},
		"panic": {
			source: head + "func TestA(t *testing.T) { t.Log(\"before\"); panic(\"at once\") }\nfunc TestB(*testing.T) {}\n",
			status: 1,
			want:   []string{"before", "panic: at once", "FAIL\tm\t", "0 passed, 1 failed, 0 skipped\n"},
		},
		"exit": {
			source: "package m\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) { t.Log(\"before\"); os.Exit(3) }\n",
			status: 1,
			want:   []string{"before", "FAIL\tm\t", "0 passed, 1 failed, 0 skipped\n"},
		},
		"does not build": {
			source: head + "func TestA(t *testing.T) { undefined() }\n",
			status: 1,
			want:   []string{"undefined: undefined", "[build failed]", "0 passed, 1 failed, 0 skipped\n"},
		},
		"no test": {
			source: "package m\n",
			status: 1,
			want:   []string{"0 passed, 0 failed, 0 skipped\n"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "go.mod"), "module m\n\ngo 1.26\n")
			write(t, filepath.Join(dir, "m_test.go"), test.source)
			var out strings.Builder
			status, err := run([]string{"go", "-C", dir, "test", "-json", "-vet=off"}, &out)
			if status != test.status {
				t.Errorf("status %d, want %d (error: %v)", status, test.status, err)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q", want)
				}
			}
			for _, absent := range test.absent {
				if strings.Contains(out.String(), absent) {
					t.Errorf("the output holds %q", absent)
				}
			}
			if t.Failed() {
				t.Logf("the output:\n%s", out.String())
			}
		})
	}
}

// TestRunCommand covers commands that are not go test -json at all.
func TestRunCommand(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if status, err := run([]string{filepath.Join(t.TempDir(), "absent")}, &out); status != 1 || err == nil {
		t.Errorf("a command that is not there: status %d, error %v", status, err)
	}
	out.Reset()
	if status, err := run([]string{"go", "version"}, &out); status != 1 || err == nil {
		t.Errorf("a command that ran no test: status %d, error %v", status, err)
	}
	if !strings.HasPrefix(out.String(), "go version ") {
		t.Errorf("a line that is no event is not passed on: %q", out.String())
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
