package twilio_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// moduleRoot is where go.mod stands, seen from this package.
const moduleRoot = "../.."

// sdk is Twilio's own library. It is the referee of our tests and nothing
// else: what it gets wrong (no context, no Retry-After, a 3xx is a success)
// must not become ours.
const sdk = "github.com/twilio/twilio-go"

// TestOnlyTestsImportTheSDK reads the imports of every file of the module,
// whatever its build constraints.
func TestOnlyTestsImportTheSDK(t *testing.T) {
	files := goFiles(t, moduleRoot)
	const fewest = 30 // a wrong path must not pass as no imports
	if len(files) < fewest {
		t.Fatalf("%d files under %s, want %d or more", len(files), moduleRoot, fewest)
	}
	referees := 0
	for _, file := range files {
		for _, path := range imports(t, file) {
			switch {
			case path != sdk && !strings.HasPrefix(path, sdk+"/"):
			case strings.HasSuffix(file, "_test.go"):
				referees++
			default:
				t.Errorf("%s imports %s: only tests may", file, path)
			}
		}
	}
	if referees == 0 {
		t.Error("no test imports the SDK either: this test looks for the wrong path, or the referee has left")
	}
}

// TestSimulatorImportsTheStandardLibraryOnly keeps the simulator's opinion of
// Twilio apart from the connector's: with one signing function, one fault
// would hide in both.
func TestSimulatorImportsTheStandardLibraryOnly(t *testing.T) {
	const fewest = 5
	seen := 0
	for _, file := range goFiles(t, filepath.Join(moduleRoot, "twiliosim")) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		seen++
		for _, path := range imports(t, file) {
			// Paths outside the standard library start with a host name.
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") || path == "C" {
				t.Errorf("%s imports %s: the simulator imports the standard library only", file, path)
			}
		}
	}
	if seen < fewest {
		t.Errorf("%d files, want %d or more", seen, fewest)
	}
}

// goFiles lists the Go files under dir that belong to its module.
func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() && path != dir:
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // a module of its own
			}
		case strings.HasSuffix(path, ".go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}
