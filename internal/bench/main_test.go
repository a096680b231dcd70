package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/app"
)

// TestMain is also the processes that a test starts: they are this program again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-role" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every mode, for a moment: each call is answered as it ought to be, or there is an
// error; and all that is said of it is there.
func TestModes(t *testing.T) {
	t.Parallel()
	p := plan{slice: 30 * time.Millisecond, turns: 1, callers: 4, store: "sqlite"}
	for _, m := range modes() {
		p.only = append(p.only, m.name)
	}
	r, err := measure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range modes() {
		x := r.Rows[i]
		if x.Name != m.name || x.Callers != 4 || x.Service.Count == 0 || x.Floor.Count == 0 {
			t.Errorf("row %d is %+v", i, x)
		}
		// An operation allocates: at least what net/http does for a request.
		for _, s := range []sample{x.Floor, x.Service} {
			if s.Allocs < 10*m.calls || s.AllocBytes < 500*m.calls {
				t.Errorf("%s allocates %.0f objects, %.0f bytes", m.name, s.Allocs, s.AllocBytes)
			}
		}
		if (len(x.Goals) > 0) != (m.goals.rate != nil) {
			t.Errorf("%s has the goals %+v", m.name, x.Goals)
		}
	}
	if len(r.Rows) != len(modes()) || len(r.Alone) != 2 || len(r.Memory) != 1 || r.Memory[0].ServiceMiB <= 0 || r.Machine.SyncMicros <= 0 {
		t.Errorf("the report has %d rows, %+v, %+v, %+v", len(r.Rows), r.Alone, r.Memory, r.Machine)
	}
	var out bytes.Buffer
	r.print(&out)
	columns := 0
	for line := range strings.Lines(out.String()) { // every line of a table has as many cells as its head
		n := strings.Count(line, "|")
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("a head has %d cells, a line %d: %s", columns-1, n-1, line)
		}
		columns = n
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"p999_us"`, `"allocs"`, `"alloc_bytes"`, `"rate_ratio"`, `"fdatasync_us"`, `"met"`, `"times"`} {
		if !bytes.Contains(data, []byte(word)) {
			t.Errorf("the JSON has no %s", word)
		}
	}
}

// A provider that takes its time: as many starts as callers can have, none lost.
func TestSlow(t *testing.T) {
	t.Parallel()
	r, err := measure(t.Context(), plan{slice: 250 * time.Millisecond, turns: 1, callers: 6, store: "sqlite", slow: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	x := r.Slow[0]
	if x.Callers != 6 || x.Starts <= 0 || x.Share <= 0 || x.Before.Count == 0 || x.Meanwhile.Count == 0 || len(x.Goals) != 0 {
		t.Errorf("%+v", x)
	}
}

// The service takes every config that a site may have.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, o := range []settings{{}, {called: true}, {flights: 2064}} {
		w := &world{dir: t.TempDir(), sim: &process{url: "http://127.0.0.1:1"}}
		s, err := w.openSite(t.Context(), sqliteEngine, o)
		if err != nil {
			t.Fatal(err)
		}
		c, err := app.ReadConfig(s.dir + "/sixdigit.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Policy(time.Now()); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		if (c.PublicURL != "") != o.called || (c.MaxConcurrent == o.flights) != (o.flights > 0) || o.flights > 0 && c.Send.Timeout <= maxSlow {
			t.Errorf("%+v is %d requests at once, %s each, called back at %q", o, c.MaxConcurrent, c.Send.Timeout, c.PublicURL)
		}
	}
}

func TestPrivateURL(t *testing.T) {
	t.Parallel()
	const line = "sixdigit answers on http://127.0.0.1:8080; health and metrics on http://127.0.0.1:8081\n"
	if got := privateURL(line); got != "http://127.0.0.1:8081" {
		t.Errorf("health is asked for at %q", got)
	}
	if got := privateURL(""); got != "" {
		t.Errorf("a program that says nothing is at %q", got)
	}
}
