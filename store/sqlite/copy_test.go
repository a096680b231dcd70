package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/store/sqlite"
)

// sampleRows are more rows of each kind than one bite holds; some records cannot be
// read.
func sampleRows() (r transfer.Rows) {
	for i := range transfer.Bite + 7 {
		key, n := []byte(fmt.Sprintf("%032d", i)), int64(i)
		data := []byte(fmt.Sprintf(`{"created":"2026-01-02T03:04:05.%06dZ","subject":"AAEC"}`, i))
		if i%100 == 0 {
			data = [][]byte{{}, {0xff, 0, '{'}}[i/100%2]
		}
		r.Verifications = append(r.Verifications, transfer.Verification{ID: fmt.Sprintf("v%05d", i), Number: "+1", Ended: n, Due: n % 3, Data: data})
		r.Subjects = append(r.Subjects, transfer.Subject{Key: key, Quiet: n, Failed: -n, Data: data})
		r.Counters = append(r.Counters, transfer.Counters{Place: n<<40 - 1, Expires: n, Data: data})
		r.Idems = append(r.Idems, transfer.Idem{Key: key, Expires: n, Data: data})
		r.APIKeys = append(r.APIKeys, transfer.APIKey{ID: fmt.Sprintf("k%05d", i), Hash: key, Name: "Žluťoučký", App: "shop", Scopes: "read verify", Created: n, Used: 1, Revoked: 2, Expires: 3})
		r.Services = append(r.Services, transfer.Service{SID: fmt.Sprintf("VA%05d", i), App: "shop", Created: n, Data: []byte("{}")})
		r.Events = append(r.Events, transfer.Event{ID: fmt.Sprintf("msg_%05d", i), App: "shop", Type: "message.delivered", Key: fmt.Sprint("k", i%9), Created: n, Due: n % 3, Tries: n % 5, Payload: data})
	}
	return r
}

// of is a source of rows, in two parts.
func of(r transfer.Rows) transfer.Source {
	return func(_ context.Context, each func(transfer.Rows) error) error {
		half := len(r.Verifications) / 2
		if err := each(transfer.Rows{Verifications: r.Verifications[:half], APIKeys: r.APIKeys}); err != nil {
			return err
		}
		return each(transfer.Rows{Verifications: r.Verifications[half:], Subjects: r.Subjects, Counters: r.Counters, Idems: r.Idems, Services: r.Services, Events: r.Events})
	}
}

// exported are all rows of a database.
func exported(t *testing.T, path string) (all transfer.Rows) {
	t.Helper()
	err := sqlite.Export(t.Context(), path, func(r transfer.Rows) error {
		all.Verifications = append(all.Verifications, r.Verifications...)
		all.Subjects = append(all.Subjects, r.Subjects...)
		all.Counters = append(all.Counters, r.Counters...)
		all.Idems = append(all.Idems, r.Idems...)
		all.APIKeys = append(all.APIKeys, r.APIKeys...)
		all.Services = append(all.Services, r.Services...)
		all.Events = append(all.Events, r.Events...)
		if n := len(r.Verifications); n > transfer.Bite {
			t.Errorf("%d rows at once", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCopy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "sixdigit.db")
	rows := sampleRows()
	counts, err := sqlite.Import(t.Context(), path, of(rows))
	if err != nil || counts != rows.Count() {
		t.Fatalf("%+v, %v", counts, err)
	}
	if diff := cmp.Diff(rows, exported(t, path), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, err := sqlite.Import(t.Context(), path, of(rows)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a database with rows: %v", err)
	}
	s := open(t, sqlite.Options{Path: path})
	do(t, s, start("another"))
}

// A copy that fails leaves nothing behind, and its reason is not lost.
func TestCopyIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, rows, broken := filepath.Join(dir, "sixdigit.db"), sampleRows(), errors.New("broken")
	twice := rows
	twice.Subjects = append(twice.Subjects, twice.Subjects[0])
	for name, from := range map[string]transfer.Source{
		"a source that fails": func(ctx context.Context, each func(transfer.Rows) error) error {
			return errors.Join(of(rows)(ctx, each), broken)
		},
		"a row that is there twice": func(ctx context.Context, each func(transfer.Rows) error) error {
			if err := of(twice)(ctx, each); err == nil {
				t.Error("a row was written twice")
			}
			return broken
		},
	} {
		if _, err := sqlite.Import(t.Context(), path, from); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		if got := exported(t, path).Count(); got != (transfer.Counts{}) {
			t.Errorf("%s leaves %+v", name, got)
		}
	}
	if _, err := sqlite.Import(t.Context(), path, of(rows)); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Export(t.Context(), path, func(transfer.Rows) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if err := sqlite.Export(t.Context(), filepath.Join(dir, "none.db"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database that is not there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("it was made")
	}
}

const exportEnv = "SQLITE_TEST_EXPORT"

// TestExportElsewhere is no test: it is the other process of the next one.
func TestExportElsewhere(t *testing.T) {
	path := os.Getenv(exportEnv)
	if path == "" {
		return
	}
	if err := sqlite.Export(t.Context(), path, func(transfer.Rows) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// Locks are between processes. A store that is open keeps every copy out, also
// when its keys were opened after it: SQLite's locks are the process's, and are
// easily lost with a descriptor that somebody closes.
func TestExportWantsNobodyElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sixdigit.db")
	elsewhere := func() (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestExportElsewhere$")
		cmd.Env = append(os.Environ(), exportEnv+"="+path)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, start("a"))
	refused := func(what string) {
		t.Helper()
		if out, err := elsewhere(); err == nil || !strings.Contains(out, "stop the service first") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	refused("a store")
	keys, err := sqlite.OpenKeys(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	refused("a store and its keys")
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	refused("a store after its keys")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := elsewhere(); err != nil {
		t.Errorf("nobody: %v\n%s", err, out)
	}
}

func TestMigrateTellsVersions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sixdigit.db")
	if _, _, err := sqlite.Migrate(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no database: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before, after, err := sqlite.Migrate(t.Context(), path)
	if err != nil || before != 0 || after < 3 {
		t.Errorf("an empty one: %d to %d, %v", before, after, err)
	}
	if again, same, err := sqlite.Migrate(t.Context(), path); err != nil || again != after || same != after {
		t.Errorf("once more: %d to %d, %v", again, same, err)
	}
}
