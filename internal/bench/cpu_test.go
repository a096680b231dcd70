package main

import (
	"testing"
	"testing/fstest"
	"time"
)

// stat is a line of /proc/PID/stat.
func stat(name, parent, utime, stime, cutime, cstime string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("7 (" + name + ") S " + parent + " 1 1 0 -1 4194560 9 9 9 9 " +
		utime + " " + stime + " " + cutime + " " + cstime + " 20 0 1 0 5 6 7\n")}
}

func TestCPUOfFamily(t *testing.T) {
	t.Parallel()
	proc := fstest.MapFS{
		"100/stat": stat("postgres", "1", "10", "5", "200", "100"), // and 3 s of children that have ended
		"101/stat": stat("postgres: 127) x", "100", "20", "1", "9", "9"),
		"102/stat": stat("postgres", "100", "0", "4", "0", "0"),
		"103/stat": stat("another's", "1", "1000", "1000", "0", "0"),
		"104/stat": stat("grandchild", "101", "1000", "1000", "0", "0"),
		"105/stat": &fstest.MapFile{Data: []byte("105 (half) S 100")},
		"self":     &fstest.MapFile{Data: []byte("no folder")},
		"stat":     &fstest.MapFile{Data: []byte("cpu 1 2 3 4 5 6 7 8 0 0\n")},
	}
	if got, want := cpuOfFamily(proc, 100), 3400*time.Millisecond; got != want {
		t.Errorf("the family used %v, want %v", got, want)
	}
	if got, want := cpuOf(proc, 101), (procStat{100, 210 * time.Millisecond, 180 * time.Millisecond}); got != want {
		t.Errorf("one used %+v, want %+v", got, want)
	}
	if got := cpuOfFamily(proc, 999); got != 0 {
		t.Errorf("nobody used %v", got)
	}
}

func TestParseBusy(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]time.Duration{
		"cpu  100 20 30 9999 8888 1 2 3 50 60\ncpu0 1 1 1 1 1 1 1 1\n": 156 * tick, // guests are in user's already
		"cpu 1 2 3":                 0,
		"":                          0,
		"intr 1 2 3 4 5 6 7 8 9 10": 0,
	} {
		if got := parseBusy(data); got != want {
			t.Errorf("%q is %v, want %v", data, got, want)
		}
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	const both = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n"
	for _, test := range []struct {
		data, line string
		want       int
	}{{both, "VmHWM:", 2 << 20}, {both, "VmRSS:", 1 << 20}, {"Name:\tx\n", "VmHWM:", 0}} {
		if got := parseMemory(test.data, test.line); got != test.want {
			t.Errorf("%s of %q is %d, want %d", test.line, test.data, got, test.want)
		}
	}
}
