package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// inFlight is how many sends wait for the provider at once.
	inFlight = 5000
	// maxPerSend bounds what the process grows by for each of them, in bytes, all
	// counted: both connections, goroutines, garbage. It is 22 to 28 KiB some seconds
	// after they came all at once, when they have let go of their callers' connections
	// and pages were given back (docs/performance.md).
	maxPerSend = 40 << 10
	// holdAtMost is how long those seconds may last.
	holdAtMost = 10 * time.Second
)

// gate stands before the simulated Twilio: while it is shut, creates wait.
type gate struct {
	next http.Handler

	mu   sync.Mutex
	open chan struct{}
	held int
}

func newGate(next http.Handler) *gate {
	g := &gate{next: next, open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "read", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	g.mu.Lock()
	open := g.open
	g.held++
	g.mu.Unlock()
	select {
	case <-open:
	case <-r.Context().Done():
	}
	g.mu.Lock()
	g.held--
	g.mu.Unlock()
	g.next.ServeHTTP(w, r)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) lift() { close(g.open) }

func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// TestInFlight holds thousands of sends at a provider that does not answer.
// Meanwhile other calls answer as fast as before and a send takes little memory;
// afterwards every send is answered and its code works. SIXDIGIT_INFLIGHT is how
// many, SIXDIGIT_PACE the time between two, and SIXDIGIT_HOLD how long they are held
// before it measures.
func TestInFlight(t *testing.T) { // not in parallel: it measures
	count := inFlight
	if n, err := strconv.Atoi(os.Getenv("SIXDIGIT_INFLIGHT")); err == nil {
		count = n
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	// This process holds both ends of both connections of a send but two.
	if room := int(min(files.Cur, 1<<20))/2 - 200; room < count {
		count = room
		t.Logf("%d open files allow %d sends", files.Cur, count)
	}
	var g *gate
	s := newSite(t, "max_concurrent: 20000\nsend: {timeout: 50s}\n", func(next http.Handler) http.Handler {
		g = newGate(next)
		return g
	})
	v := s.serve()
	var n numbers
	others := startAll(t, v, &n, 300)
	begin, calm := v.memory(), probe(t, v, others)

	g.shut()
	answers := make([]answer, count)
	to := make([]string, count)
	var callers sync.WaitGroup
	pace, _ := time.ParseDuration(os.Getenv("SIXDIGIT_PACE")) // zero: all at once
	for i := range count {
		<-time.After(pace)
		to[i] = n.draw()
		callers.Go(func() {
			var err error
			if answers[i], err = v.start(to[i]); err != nil {
				t.Errorf("start: %v", err)
			}
		})
	}
	began := time.Now()
	until(t, "all sends to be at the provider", func() bool { return g.waiting() == count || t.Failed() })
	grown := func(resident float64) float64 { return (resident - begin.resident) / float64(count) }
	t.Logf("%d in flight after %s, %.1f KiB each", count, time.Since(began), grown(v.resident())/1024)
	hold, err := time.ParseDuration(os.Getenv("SIXDIGIT_HOLD"))
	until(t, "the hold", func() bool {
		if err == nil {
			return time.Since(began) > hold
		}
		return time.Since(began) > holdAtMost || grown(v.resident()) < maxPerSend*3/4
	})
	busy, full := probe(t, v, others), v.memory()
	t.Logf("measured after %s", time.Since(began))
	if g.waiting() != count {
		t.Errorf("%d sends are in flight after the measurement, not %d", g.waiting(), count)
	}
	g.lift()
	callers.Wait()

	per := func(a, b float64) float64 { return (b - a) / float64(count) / 1024 }
	t.Logf("KiB for each send in flight: resident %.1f (heap %.1f, stacks %.1f)",
		per(begin.resident, full.resident), per(begin.heap, full.heap), per(begin.stacks, full.stacks))
	t.Logf("other calls, p50 and p99: before %s %s, meanwhile %s %s", calm.p50, calm.p99, busy.p50, busy.p99)
	if got := grown(full.resident); got > maxPerSend {
		t.Errorf("a send in flight takes %.1f KiB, more than %d", got/1024, maxPerSend>>10)
	}
	// Factors for a busy machine; a queue behind the provider would show as seconds.
	if busy.p50 > 3*calm.p50+2*time.Millisecond || busy.p99 > 5*calm.p99+50*time.Millisecond {
		t.Error("other calls are slower while sends are in flight")
	}
	checkAll(t, v, answers, to)
}

// startAll starts verifications and returns their ids.
func startAll(t *testing.T, v *server, n *numbers, count int) []string {
	t.Helper()
	ids := make([]string, count)
	each(count, func(i int) {
		got, err := v.start(n.draw())
		if err != nil || got.status != http.StatusCreated {
			t.Errorf("start: %d %s %v", got.status, got.Code, err)
		}
		ids[i] = got.ID
	})
	return ids
}

// checkAll gives every code, twice: it passes once.
func checkAll(t *testing.T, v *server, answers []answer, to []string) {
	t.Helper()
	each(len(answers), func(i int) {
		if answers[i].status != http.StatusCreated {
			t.Errorf("a start was answered %d %s", answers[i].status, answers[i].Code)
			return
		}
		codes := v.site.texts(to[i])
		if len(codes) != 1 {
			t.Errorf("%d texts arrived at one number", len(codes))
			return
		}
		for round := range 2 {
			got, err := v.check(answers[i].ID, codes[0])
			if err != nil || got.status != http.StatusOK || got.Valid != (round == 0) {
				t.Errorf("check %d: %d %s, valid: %t, %v", round, got.status, got.Code, got.Valid, err)
			}
		}
	})
}

type quantiles struct{ p50, p99 time.Duration }

// probe makes one call after another: checks, and reads, of other verifications.
func probe(t *testing.T, v *server, ids []string) quantiles {
	t.Helper()
	var took []time.Duration
	for _, id := range ids {
		got, err := v.check(id, "000000") // each gets two in all, of five
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("check: %d %s %v", got.status, got.Code, err)
		}
		took = append(took, got.took)
		if got, err = v.get(id); err != nil || got.status != http.StatusOK {
			t.Fatalf("get: %d %s %v", got.status, got.Code, err)
		}
		took = append(took, got.took)
	}
	slices.Sort(took)
	return quantiles{took[len(took)/2], took[len(took)*99/100]}
}

// memory of the program, in bytes.
type memory struct{ resident, heap, stacks float64 }

func (v *server) memory() memory {
	v.site.t.Helper()
	return memory{
		heap: v.metric("go_memstats_heap_inuse_bytes"), stacks: v.metric("go_memstats_stack_inuse_bytes"), resident: v.resident(),
	}
}

func (v *server) resident() float64 {
	v.site.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", v.cmd.Process.Pid))
	if err != nil {
		v.site.t.Fatal(err)
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
	if err != nil {
		v.site.t.Fatal(err)
	}
	return pages * float64(os.Getpagesize())
}
