//go:build linux && !race

package costs

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/sixdigit/sixdigit/internal/pgtest"
)

var (
	inSQLite *sqliteCounter
	// A commit need not reach a disk to be counted.
	shared = pgtest.Shared{Settings: []string{"fsync=off", "full_page_writes=off"}}
)

func TestMain(m *testing.M) {
	inSQLite = newSQLiteCounter()
	status := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// calm takes out what would differ from run to run. With one processor a sync.Pool is
// one pool, and a caller that waits leaves it to the others. Garbage is collected when
// nothing is measured: a collection empties the pools.
func calm() (restore func()) {
	processors, garbage, memory := runtime.GOMAXPROCS(1), debug.SetGCPercent(-1), debug.SetMemoryLimit(math.MaxInt64)
	return func() {
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(garbage)
		debug.SetMemoryLimit(memory)
	}
}

// The first round goes for what is made once, and does not count.
const rounds = 1 + 8

// bench is who makes calls. A window is some calls that are measured as one; those
// before the first of a round are warm.
type bench struct {
	store                string
	callers              int
	jobs                 []job
	warm, windows, calls int
	read                 func() counts
}

// spent is what a window cost.
type spent struct {
	figures [6]float64
	counts  counts
}

// window measures one.
func (b *bench) window(run func() error) (spent, error) {
	var before, after runtime.MemStats
	asked := b.read()
	runtime.ReadMemStats(&before)
	err := run()
	runtime.ReadMemStats(&after)
	c := b.read()
	c = c.minus(asked)
	return spent{[6]float64{
		float64(after.Mallocs - before.Mallocs), float64(after.TotalAlloc - before.TotalAlloc),
		float64(c.statements()), float64(c.commits()), float64(c.pages), float64(c.trips),
	}, c}, err
}

// round measures a job's windows, one after the other.
func (b *bench) round(j job) (all []spent, err error) {
	warm, windows := b.warm, b.windows
	if j.calls > 0 {
		warm, windows = 0, 1
	}
	if err := j.prepare(warm + windows*b.callsOf(j)); err != nil {
		return nil, err
	}
	if warm > 0 {
		if err := j.run(warm); err != nil {
			return nil, err
		}
	}
	for range windows {
		s, err := b.window(func() error { return j.run(b.callsOf(j)) })
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// callsOf are a job's calls in a window.
func (b *bench) callsOf(j job) int { return cmp.Or(j.calls, b.calls) }

// measured is what the calls of a job came to.
type measured struct {
	row
	counts counts // of so many calls
	calls  int
}

// measure has all jobs take turns.
func (b *bench) measure(t *testing.T) (all []measured) {
	t.Helper()
	defer calm()()
	windows := make([][]spent, len(b.jobs))
	for round := range rounds {
		runtime.GC()
		for i, j := range b.jobs {
			found, err := b.round(j)
			for again := 0; errors.Is(err, errTorn) && again < 10; again++ {
				found, err = b.round(j)
			}
			if err != nil {
				t.Fatalf("%s: %v", j.call, err)
			}
			if round > 0 {
				windows[i] = append(windows[i], found...)
			}
		}
	}
	var hold [6]float64
	for i, j := range b.jobs {
		figures := typical(windows[i])
		if j.call == holdCall {
			hold = figures
			continue
		}
		m := measured{row: row{b.store, b.callers, j.call, figures}, counts: newCounts(), calls: b.callsOf(j) * len(windows[i])}
		for k := range m.figures {
			held := float64(j.holds*b.callsOf(j)/b.callers) * hold[k]
			m.figures[k] = (m.figures[k] - held) / float64(b.callsOf(j))
		}
		for _, s := range windows[i] {
			m.counts = m.counts.plus(s.counts)
		}
		all = append(all, m)
	}
	return all
}

// typical are the figures that a quarter of the windows are below, each by itself.
// What comes at times and not with calls, or once for many calls, is in some windows,
// by chance, and only ever more: a look for what is due, a table that is made twice
// as large. In most it is not.
func typical(windows []spent) (figures [6]float64) {
	for k := range figures {
		all := sorted(windows, k)
		figures[k] = all[len(all)/4]
	}
	// Pages differ from call to call with where keys fall: theirs is a mean, of the
	// windows in the middle of those with the typical statements.
	plain := sorted(slices.DeleteFunc(slices.Clone(windows), func(s spent) bool { return s.figures[statements] != figures[statements] }), pages)
	middle, sum := plain[len(plain)/4:len(plain)-len(plain)/4], 0.0
	for _, n := range middle {
		sum += n
	}
	figures[pages] = sum / float64(len(middle))
	return figures
}

// sorted is one figure of each window, the least first.
func sorted(windows []spent, figure int) (all []float64) {
	for _, s := range windows {
		all = append(all, s.figures[figure])
	}
	slices.Sort(all)
	return all
}
