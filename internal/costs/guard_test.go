//go:build linux && !race

package costs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// write has TestCosts write the file instead of comparing with it.
var write = flag.Bool("write", false, "write "+limitsFile+" from what is measured")

// machine is what figures depend on besides this code.
func machine() string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }

// openLine makes the one caller of a service on a store, openGathering the many of
// the domain on one.
func openLine(t *testing.T, store string) *bench {
	read, url := openCounted(t, store)
	c, p := openService(t, url)
	return &bench{store: store, callers: 1, jobs: (&line{caller: c, provider: p}).jobs(), warm: 10, windows: 4, calls: 10, read: read}
}

func openGathering(t *testing.T, store string) *bench {
	read, url := openCounted(t, store)
	dir, files := t.TempDir(), 0
	open := func() (*crowd, error) {
		files++
		return openCrowd(t.Context(), url, filepath.Join(dir, fmt.Sprintf("%d.db", files)))
	}
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	g := &gathering{crowd: c, ctx: t.Context()}
	if url == "" {
		g.open = open // PostgreSQL's puts nothing off
	}
	return &bench{store: store, callers: crowdSize, jobs: g.jobs(), warm: crowdSize, windows: 2, calls: crowdSize, read: read}
}

// openCounted makes an empty store whose statements are counted. Only a database has
// a URL.
func openCounted(t *testing.T, store string) (read func() counts, url string) {
	t.Helper()
	if store == "sqlite" {
		return inSQLite.read, ""
	}
	way := newTap(t, shared.Server(t).Database(t))
	return way.read, way.url
}

// TestCosts measures what each call costs on each store, and compares it with the
// file. Where PostgreSQL is not installed it does so on SQLite.
func TestCosts(t *testing.T) {
	text, err := os.ReadFile(limitsFile)
	if err != nil && !*write {
		t.Fatal(err)
	}
	made, limits, err := parse(text)
	if err != nil && !*write {
		t.Fatal(err)
	}
	var all []row
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			found := append(openLine(t, store).measure(t), openGathering(t, store).measure(t)...)
			rows := make([]row, len(found))
			for i, m := range found {
				rows[i] = m.row
			}
			if *write {
				for i, r := range rows {
					if was, ok := r.of(limits); ok {
						rows[i] = r.settled(was)
					}
				}
				all = append(all, rows...)
				return
			}
			for _, r := range rows {
				t.Log(r)
			}
			report(t, compare(store, limits, rows), found)
			if t.Failed() && made != machine() {
				t.Logf("%s was made with %s, this is %s", limitsFile, made, machine())
			}
		})
	}
	if !*write || t.Failed() {
		return
	}
	if err := os.WriteFile(limitsFile, format(machine(), all), 0o644); err != nil {
		t.Fatal(err)
	}
}

// report fails with the faults, and lists what the first call that asks something
// else of its store asks.
func report(t *testing.T, faults []string, found []measured) {
	t.Helper()
	if len(faults) == 0 {
		return
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	t.Logf("MORE: find what costs it, and take it out. Where it is worth its cost, run make costs, and say in the commit message why.")
	t.Logf("LESS: run make costs and commit internal/costs/%s with what made it cheaper, so that nobody loses it again.", limitsFile)
	for _, m := range found {
		mine := func(fault string) bool {
			return strings.HasPrefix(fault, m.name()) && strings.Contains(fault, " statements;")
		}
		if !slices.ContainsFunc(faults, mine) {
			continue
		}
		t.Logf("the statements of %s, in each call:", m.name())
		for _, text := range m.counts.list() {
			t.Logf("%8.3f  %.120s", float64(*m.counts.texts[text])/float64(m.calls), strings.Join(strings.Fields(text), " "))
		}
		return
	}
}
