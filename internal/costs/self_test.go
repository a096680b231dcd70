//go:build linux && !race

package costs

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// waste is what a careless change adds to each call.
var waste []byte

// The guard sees what it is there for, in the service itself: allocations, bytes, a
// statement, each a little more than is allowed. And it says nothing twice of a
// service that has not changed.
func TestGuardSeesWaste(t *testing.T) {
	b := openLine(t, "sqlite")
	for _, j := range b.jobs {
		if j.call == "CHECK" {
			b.jobs = []job{j}
			break
		}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "waste.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	limits := []row{b.measure(t)[0].row}
	objects := int(limits[0].figures[0]*0.06) + 1
	size := int(limits[0].figures[1] * 0.06)
	for name, test := range map[string]struct {
		add  func()
		want string
	}{
		"nothing":     {func() {}, ""},
		"allocations": {func() { allocate(objects, 8) }, "allocs"},
		"bytes":       {func() { allocate(1, size) }, "bytes"},
		"a statement": {func() { _, err = db.Exec("PRAGMA user_version") }, "statements"},
	} {
		wasteful := *b
		wasteful.jobs = []job{{call: "CHECK", prepare: b.jobs[0].prepare, run: func(calls int) error {
			for range calls {
				test.add()
			}
			return b.jobs[0].run(calls)
		}}}
		faults := compare("sqlite", limits, []row{wasteful.measure(t)[0].row})
		if err != nil {
			t.Fatal(err)
		}
		if test.want == "" && len(faults) > 0 || test.want != "" && !strings.Contains(strings.Join(faults, "\n"), " "+test.want+";") {
			t.Errorf("with %s added it says %q", name, faults)
		}
	}
}

func allocate(objects, size int) {
	for range objects {
		waste = make([]byte, size)
	}
}

// What measures costs nothing itself: a caller and a provider without the service
// between them allocate nothing, and no more does a way to PostgreSQL.
func TestMeasuringAllocatesNothing(t *testing.T) {
	p := newProvider(t)
	started := []byte("HTTP/1.1 201 Created\r\nContent-Length: 35\r\n\r\n" + `{"id":"0123456789abcdefghijklmnop"}`)
	done := []byte("HTTP/1.1 204 No Content\r\n\r\n")
	ln := listen(t, func(c net.Conn) {
		for in := make([]byte, 16<<10); ; {
			n, err := c.Read(in)
			said := started
			if bytes.HasPrefix(in[:n], []byte("POST /callbacks/")) {
				said = done
			}
			if err == nil {
				_, err = c.Write(said)
			}
			if err != nil {
				return
			}
		}
	})
	c := newCaller(t, ln.Addr().String(), "key")
	toProvider := newCaller(t, strings.TrimPrefix(p.url, "http://"), "key")
	talk := conversation{tap: &tap{counts: newCounts()}, prepared: map[string]string{}, begun: true}
	talk.hear(message('P', "one\x00SELECT 1\x00\x00\x00"))
	trip := slices.Concat(message('B', "\x00one\x00\x00\x00\x00\x00\x00\x00"), message('E', "\x00\x00\x00\x00\x00"), message('S', ""))
	for name, run := range map[string]func() error{
		"a call":     func() error { _, err := c.start(); return err },
		"a callback": func() error { return c.callback(id{}) },
		"a text": func() error {
			toProvider.begin()
			toProvider.out = append(append(toProvider.out, '/'), headers...)
			return toProvider.end("application/x-www-form-urlencoded", []byte("Body=Your+code+is+123456."), 201)
		},
		"a trip": func() error {
			talk.hear(trip[:7]) // in two pieces, as a network has it
			talk.hear(trip[7:])
			return nil
		},
	} {
		var err error
		if n := testing.AllocsPerRun(100, func() { err = run() }); n > 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", name, n, err)
		}
	}
	if p.last() != [6]byte([]byte("123456")) {
		t.Errorf("the provider read %s", p.last())
	}
	const trips = 101 // AllocsPerRun runs it once before it counts
	if c := talk.tap.counts; c.trips != trips || c.statements() != trips || *c.texts["SELECT 1"] != trips {
		t.Errorf("the way to PostgreSQL counted %d statements and %d trips, want %d", c.statements(), c.trips, trips)
	}
}

// message is one of PostgreSQL's.
func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}
