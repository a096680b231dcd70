package commit_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/store/commit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a run whose batches wait to be let through and are written down.
type gate struct {
	begun chan []int    // one for each batch, as it begins
	pass  chan struct{} // one for each batch, to let it end
	fail  func(batch []int, out []commit.Result[int]) error
}

func newGate() *gate { return &gate{begun: make(chan []int), pass: make(chan struct{})} }

func (g *gate) run(batch []int, out []commit.Result[int]) error {
	g.begun <- slices.Clone(batch)
	<-g.pass
	if g.fail != nil {
		return g.fail(batch, out)
	}
	for i, n := range batch {
		out[i].Value = n * 10
	}
	return nil
}

type answer struct {
	value int
	err   error
}

// submit runs one Submit beside the test.
func submit(ctx context.Context, q *commit.Queue[int, int], n int) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		v, err := q.Submit(ctx, n)
		c <- answer{v, err}
	}()
	return c
}

func TestALoneCallerIsServedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := commit.New(func(batch []int, out []commit.Result[int]) error {
			out[0].Value = batch[0] + 1
			return nil
		}, commit.Options{})
		defer q.Close()
		start := time.Now()
		if v, err := q.Submit(t.Context(), 1); v != 2 || err != nil {
			t.Fatalf("Submit = %d, %v", v, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a lone caller waited %s for company", took)
		}
	})
}

func TestWhatWaitsBecomesOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		type seen struct {
			size int
			took time.Duration
		}
		var observed []seen
		q := commit.New(g.run, commit.Options{MaxBatch: 3, Observe: func(n int, d time.Duration) { observed = append(observed, seen{n, d}) }})
		answers := []<-chan answer{submit(t.Context(), q, 0)}
		sizes := []int{len(<-g.begun)}
		for n := 1; n <= 4; n++ {
			answers = append(answers, submit(t.Context(), q, n))
			synctest.Wait()
		}
		<-time.After(time.Second) // the bubble's clock: the first batch takes a second
		g.pass <- struct{}{}
		for range 2 {
			sizes = append(sizes, len(<-g.begun))
			g.pass <- struct{}{}
		}
		for n, a := range answers {
			if got := <-a; got != (answer{value: n * 10}) {
				t.Errorf("operation %d: %+v", n, got)
			}
		}
		q.Close()
		if want := []int{1, 3, 1}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v, want %v", sizes, want)
		}
		if want := []seen{{1, time.Second}, {3, 0}, {1, 0}}; !slices.Equal(observed, want) {
			t.Errorf("observed %v, want %v", observed, want)
		}
	})
}

func TestCanceledCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		q := commit.New(g.run, commit.Options{})
		defer q.Close()

		late, cancelLate := context.WithCancel(t.Context())
		begun := submit(late, q, 1)
		<-g.begun
		early, cancelEarly := context.WithCancel(t.Context())
		dropped, kept := submit(early, q, 2), submit(t.Context(), q, 3)
		synctest.Wait()
		cancelEarly()
		cancelLate()
		if got := <-dropped; !errors.Is(got.err, context.Canceled) {
			t.Errorf("not begun: %v, want canceled at once", got.err)
		}
		synctest.Wait() // the late caller has seen that its context ended
		select {
		case got := <-begun:
			t.Fatalf("begun: %+v before its batch ended", got)
		default:
		}
		g.pass <- struct{}{}
		if got := <-begun; got != (answer{value: 10}) {
			t.Errorf("begun: %+v, want its result", got)
		}
		if batch := <-g.begun; !slices.Equal(batch, []int{3}) {
			t.Errorf("the next batch is %v: a canceled operation must be dropped", batch)
		}
		g.pass <- struct{}{}
		if got := <-kept; got.err != nil {
			t.Error(got.err)
		}
		if _, err := q.Submit(early, 4); !errors.Is(err, context.Canceled) {
			t.Errorf("a dead context was let in: %v", err)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	errDisk, errOne := errors.New("disk"), errors.New("one")
	for name, tt := range map[string]struct {
		fail func(batch []int, out []commit.Result[int]) error
		want [2]error
	}{
		"the batch":  {func([]int, []commit.Result[int]) error { return errDisk }, [2]error{errDisk, errDisk}},
		"one":        {func(_ []int, out []commit.Result[int]) error { out[1].Err = errOne; return nil }, [2]error{nil, errOne}},
		"panic":      {func([]int, []commit.Result[int]) error { panic("secret") }, [2]error{commit.ErrPanicked, commit.ErrPanicked}},
		"panic(nil)": {func([]int, []commit.Result[int]) error { panic(nil) }, [2]error{commit.ErrPanicked, commit.ErrPanicked}},
		"goexit":     {func([]int, []commit.Result[int]) error { runtime.Goexit(); return nil }, [2]error{commit.ErrPanicked, commit.ErrPanicked}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				q := commit.New(g.run, commit.Options{})
				first := submit(t.Context(), q, 0)
				<-g.begun
				a := submit(t.Context(), q, 1)
				synctest.Wait()
				b := submit(t.Context(), q, 2)
				synctest.Wait()
				g.pass <- struct{}{}
				<-first
				<-g.begun
				g.fail = tt.fail
				g.pass <- struct{}{}
				for i, c := range []<-chan answer{a, b} {
					if got := <-c; !errors.Is(got.err, tt.want[i]) {
						t.Errorf("operation %d: %v, want %v", i, got.err, tt.want[i])
					} else if got.err != nil && got.err.Error() == "secret" {
						t.Error("the value of the panic is in the error")
					}
				}
				// The queue lives on.
				g.fail = nil
				again := submit(t.Context(), q, 7)
				<-g.begun
				g.pass <- struct{}{}
				if got := <-again; got != (answer{value: 70}) {
					t.Errorf("after the failure: %+v", got)
				}
				q.Close()
			})
		})
	}
}

func TestAFullQueueWaitsWithinTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		q := commit.New(g.run, commit.Options{MaxWaiting: 1})
		first := submit(t.Context(), q, 1)
		<-g.begun
		second := submit(t.Context(), q, 2)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Submit(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the third: %v", err)
		}
		fourth := submit(t.Context(), q, 4)
		synctest.Wait()
		g.pass <- struct{}{}
		<-g.begun // the second has left the line: the fourth takes its place
		g.pass <- struct{}{}
		<-g.begun
		g.pass <- struct{}{}
		for i, a := range []<-chan answer{first, second, fourth} {
			if got := <-a; got.err != nil {
				t.Errorf("%d: %v", i, got.err)
			}
		}
		q.Close()
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		q := commit.New(g.run, commit.Options{MaxWaiting: 2})
		let := []<-chan answer{submit(t.Context(), q, 1)}
		<-g.begun
		let = append(let, submit(t.Context(), q, 2), submit(t.Context(), q, 3))
		synctest.Wait()
		outside := submit(t.Context(), q, 4)
		synctest.Wait()
		closed := make(chan struct{})
		go func() { q.Close(); close(closed) }()
		synctest.Wait()
		if got := <-outside; !errors.Is(got.err, commit.ErrClosed) {
			t.Errorf("one that was not let in: %v", got.err)
		}
		if _, err := q.Submit(t.Context(), 5); !errors.Is(err, commit.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		select {
		case <-closed:
			t.Error("Close returned before the queue was empty")
		default:
		}
		g.pass <- struct{}{}
		<-g.begun
		g.pass <- struct{}{}
		for _, a := range let {
			if got := <-a; got.err != nil {
				t.Error(got.err)
			}
		}
		<-closed
		q.Close() // again
	})
}

// TestEveryOperationRunsOnce lets hundreds of callers race, some of whom give
// up: whoever is answered was run, whoever is told that the context ended was
// not, nobody is run twice, and batches never overlap.
func TestEveryOperationRunsOnce(t *testing.T) {
	t.Parallel()
	const callers, each = 200, 50
	ran := make([]int, callers*each) // the writer's alone
	q := commit.New(func(batch []int, out []commit.Result[int]) error {
		for i, n := range batch {
			ran[n]++
			out[i].Value = n
		}
		return nil
	}, commit.Options{MaxBatch: 64, MaxWaiting: 100})
	answered := make([]bool, callers*each)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				n := c*each + i
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					go cancel()
				}
				v, err := q.Submit(ctx, n)
				cancel()
				switch {
				case err == nil && v == n:
					answered[n] = true
				case !errors.Is(err, context.Canceled):
					t.Errorf("operation %d: %d, %v", n, v, err)
				}
			}
		})
	}
	wg.Wait()
	q.Close()
	for n := range ran {
		if ran[n] > 1 || answered[n] != (ran[n] == 1) {
			t.Fatalf("operation %d ran %d times, answered %t", n, ran[n], answered[n])
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	q := commit.New(func([]int, []commit.Result[int]) error { return nil }, commit.Options{})
	defer q.Close()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := q.Submit(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
