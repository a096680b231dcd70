package sixdigit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/sixdigit/sixdigit"

// maxLines bounds a source file: what does not fit is two things.
const maxLines = 400

// Packages beside the floors: only tests import them.
func testOnly(pkg string) bool {
	switch pkg {
	case ".", "connector/connectortest", "store/storetest", "internal/costs", "internal/nettest", "internal/pgtest", "interop":
		return true
	}
	return strings.HasPrefix(pkg, "interop/")
}

// readFloors reads the map that ARCHITECTURE.md draws.
func readFloors(t *testing.T) map[string]int {
	t.Helper()
	data, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(data), "```floors\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatal("ARCHITECTURE.md has no block marked floors")
	}
	floors := map[string]int{}
	for line := range strings.Lines(block) {
		var floor int
		var pkg string
		if _, err := fmt.Sscan(line, &floor, &pkg); err != nil {
			t.Fatalf("the floors block has a line that names no floor and package: %q", line)
		}
		if _, twice := floors[pkg]; twice {
			t.Fatalf("the floors block has %s twice", pkg)
		}
		floors[pkg] = floor
	}
	return floors
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	floors := readFloors(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkg := ours(p.ImportPath)
		if testOnly(pkg) {
			continue
		}
		seen[pkg] = true
		floor, ok := floors[pkg]
		if !ok {
			t.Errorf("%s stands on no floor of ARCHITECTURE.md", pkg)
			continue
		}
		for _, imported := range p.Imports {
			below := ours(imported)
			switch {
			case below == "":
			case testOnly(below):
				t.Errorf("%s imports %s, which is for tests", pkg, below)
			case floors[below] >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", pkg, floor, below, floors[below])
			case pkg == "twiliosim":
				t.Errorf("twiliosim imports %s: it shares no code with us", below)
			}
		}
	}
	for pkg := range floors {
		if !seen[pkg] {
			t.Errorf("ARCHITECTURE.md has %s, which does not exist", pkg)
		}
	}
}

// ours returns the package's path inside the module, or "" for others'.
func ours(path string) string {
	if path == module {
		return "."
	}
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		if n := bytes.Count(data, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines; %d are allowed", path, n, maxLines)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The contract is plain data: who only hands it on, as the domain does, reaches
// no network code and no database.
func TestContractReachesNoNetwork(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{"connector", "verify"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+pkg).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for dep := range strings.Lines(string(out)) {
			if dep = strings.TrimSpace(dep); dep == "net/http" || dep == "database/sql" {
				t.Errorf("%s reaches %s", pkg, dep)
			}
		}
	}
}
