package commit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Defaults of Options.
const (
	// DefaultMaxBatch keeps a batch within some milliseconds of work; beyond a
	// few hundred operations the cost of the disk's sync is spread thin already.
	DefaultMaxBatch = 512
	// DefaultMaxWaiting is half a second of work at 20,000 operations a second:
	// whoever comes later is better told so than queued.
	DefaultMaxWaiting = 10_000
)

// ErrClosed is for an operation that comes after Close.
var ErrClosed = errors.New("commit: the queue is closed")

// ErrPanicked is for the operations of a batch whose run panicked.
var ErrPanicked = errors.New("commit: the batch panicked")

// Result is what one operation comes to.
type Result[R any] struct {
	Value R
	Err   error
}

// Run commits a batch. It sets out[i], which is zero at first, to the result of
// batch[i], and returns only when the results are durable, or will be with the next
// Sync. An error fails every operation of the batch. Run is called by one goroutine
// at a time and must not keep its arguments, which another batch uses again.
type Run[Q, R any] func(batch []Q, out []Result[R]) error

// Options are a Queue's settings. The zero Options are the defaults.
type Options struct {
	// MaxBatch bounds the operations of a batch.
	MaxBatch int
	// MaxWaiting bounds the operations that wait for their batch; further
	// callers wait, within their context, to be let in.
	MaxWaiting int
	// Observe is told the size of each batch and how long it took, after its
	// callers were answered. It is called by the writer, or beside
	// it where there is a Sync: it must be quick.
	Observe func(size int, took time.Duration)
	// Sync makes durable what all batches have done that were run before it is
	// called; nil is for a Run that does so itself. While it runs, the next batches
	// run too, and what they have done is the next Sync's. An error fails every
	// operation of the batches that waited for it.
	Sync func() error
}

// Queue gathers operations into batches. Make one with New.
type Queue[Q, R any] struct {
	run      Run[Q, R]
	maxBatch int
	observe  func(int, time.Duration)
	sync     func() error

	room   chan struct{} // holds one token for each waiting operation
	wake   chan struct{} // tells the writer that something waits
	closed chan struct{}
	done   chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	waiting []*call[Q, R]
	closing bool

	calls sync.Pool // of *call[Q, R] that were answered

	// Of a queue with a Sync.
	unsynced []*round[Q, R] // guarded by mu
	dirty    chan struct{}  // tells the syncer of them
	syncing  sync.Mutex
	synced   chan struct{} // closed when the syncer has ended

	spare []*round[Q, R] // guarded by mu
}

// round is one batch under way. Its slices are used again.
type round[Q, R any] struct {
	calls []*call[Q, R]
	batch []Q
	out   []Result[R]
	start time.Time
}

// call is one operation under way.
type call[Q, R any] struct {
	ctx    context.Context
	op     Q
	taken  bool // by the writer; guarded by the queue's mu
	result Result[R]
	done   chan struct{} // holds one token when there is a result
}

// New starts a queue, which must be closed in the end.
func New[Q, R any](run Run[Q, R], o Options) *Queue[Q, R] {
	if o.MaxBatch <= 0 {
		o.MaxBatch = DefaultMaxBatch
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = DefaultMaxWaiting
	}
	if o.Observe == nil {
		o.Observe = func(int, time.Duration) {}
	}
	q := &Queue[Q, R]{
		run: run, maxBatch: o.MaxBatch, observe: o.Observe, sync: o.Sync,
		room:   make(chan struct{}, o.MaxWaiting),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		done:   make(chan struct{}),
		dirty:  make(chan struct{}, 1),
		synced: make(chan struct{}),
	}
	go q.syncer()
	go q.write()
	return q
}

// Submit hands an operation in and waits for its batch. It returns the
// operation's own error, the batch's, ErrClosed, or ctx's: after ctx's error
// the operation was not run and never will be. Once the writer has taken the
// operation, Submit waits for its result, even when ctx ends: what was committed
// is never reported as given up.
func (q *Queue[Q, R]) Submit(ctx context.Context, op Q) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case q.room <- struct{}{}:
	default:
		select {
		case q.room <- struct{}{}:
		case <-ctx.Done():
			return none, ctx.Err()
		case <-q.closed:
			return none, ErrClosed
		}
	}
	c, _ := q.calls.Get().(*call[Q, R])
	if c == nil {
		c = &call[Q, R]{done: make(chan struct{}, 1)}
	}
	c.ctx, c.op = ctx, op
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		<-q.room
		return none, ErrClosed
	}
	q.waiting = append(q.waiting, c)
	q.mu.Unlock()
	signal(q.wake)

	select {
	case <-c.done:
		return q.finish(c)
	case <-ctx.Done():
	}
	q.mu.Lock()
	taken := c.taken
	q.mu.Unlock()
	if !taken {
		return none, ctx.Err() // take drops it: its context has ended
	}
	<-c.done
	return q.finish(c)
}

// finish returns the result of a call that was answered, and lets another use it.
func (q *Queue[Q, R]) finish(c *call[Q, R]) (R, error) {
	r := c.result
	*c = call[Q, R]{done: c.done}
	q.calls.Put(c)
	return r.Value, r.Err
}

// Close refuses new operations, waits until those that were let in are
// answered, and ends the writer. It may be called more than once.
func (q *Queue[Q, R]) Close() {
	q.mu.Lock()
	if !q.closing {
		q.closing = true
		close(q.closed)
	}
	q.mu.Unlock()
	signal(q.wake)
	<-q.done
	<-q.synced
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// write is the writer: batch after batch, until the queue is closed and empty.
func (q *Queue[Q, R]) write() {
	ended := false
	defer func() {
		if ended {
			close(q.dirty)
			close(q.done)
			return
		}
		// runtime.Goexit in an operation (a test's FailNow, say) ends this
		// goroutine. Its batch was failed on the way; the queue lives on.
		go q.write()
	}()
	for {
		// Callers who were just answered, and can run, may come with their next
		// operation: one turn for them fills the batch by half as much again.
		// When nobody can run it costs nothing.
		runtime.Gosched()
		r, more := q.take()
		switch {
		case r != nil:
			q.commit(r)
		case !more:
			ended = true
			return
		default:
			<-q.wake
		}
	}
}

// take returns the next batch, without those whose callers have gone; nil when
// there is none. more is false when nothing waits and nothing will.
func (q *Queue[Q, R]) take() (r *round[Q, R], more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r = q.fresh()
	taken := 0
	for _, c := range q.waiting {
		if len(r.calls) == q.maxBatch {
			break
		}
		taken++
		if c.ctx.Err() == nil {
			c.taken = true // from here on its caller waits for the result
			r.calls, r.batch = append(r.calls, c), append(r.batch, c.op)
		}
	}
	rest := copy(q.waiting, q.waiting[taken:])
	clear(q.waiting[rest:]) // or callers long gone would be kept alive
	q.waiting = q.waiting[:rest]
	for range taken {
		<-q.room
	}
	if len(r.calls) == 0 {
		q.spare = append(q.spare, r)
		r = nil
	}
	return r, rest > 0 || !q.closing
}

// fresh is an empty round. The caller holds mu.
func (q *Queue[Q, R]) fresh() *round[Q, R] {
	n := len(q.spare)
	if n == 0 {
		return &round[Q, R]{}
	}
	r := q.spare[n-1]
	q.spare = q.spare[:n-1]
	return r
}

// commit runs one batch, whatever happens, and sees that its callers are answered.
func (q *Queue[Q, R]) commit(r *round[Q, R]) {
	r.out = slices.Grow(r.out[:0], len(r.calls))[:len(r.calls)]
	r.start = time.Now()
	err := ErrPanicked // what Goexit leaves behind
	defer func() {
		if p := recover(); p != nil {
			// The value of a panic may hold anything; its type does not.
			err = fmt.Errorf("%w: %T", ErrPanicked, p)
		}
		if err != nil || q.sync == nil {
			q.answer(r, err)
			return
		}
		q.mu.Lock()
		q.unsynced = append(q.unsynced, r)
		alone := len(r.calls) == 1 && len(q.waiting) == 0
		q.mu.Unlock()
		// With nobody else about, another goroutine would only have to be woken.
		if alone && q.syncing.TryLock() {
			q.settle()
			return
		}
		signal(q.dirty)
	}()
	err = q.run(r.batch, r.out)
}

// syncer syncs beside the writer, for as many batches at once as there are.
func (q *Queue[Q, R]) syncer() {
	defer close(q.synced)
	for open := true; open; {
		_, open = <-q.dirty
		// As in write: a few turns, and a sync is for a third more operations.
		for range 4 {
			runtime.Gosched()
		}
		q.syncing.Lock()
		q.settle()
	}
}

// settle syncs and answers whoever waits for that. The caller has locked syncing,
// which settle unlocks.
func (q *Queue[Q, R]) settle() {
	defer q.syncing.Unlock()
	q.mu.Lock()
	rounds := q.unsynced
	q.unsynced = nil
	q.mu.Unlock()
	if len(rounds) == 0 {
		return
	}
	err := ErrPanicked // what Goexit leaves behind
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %T", ErrPanicked, p)
		}
		for _, r := range rounds {
			q.answer(r, err)
		}
	}()
	err = q.sync()
}

// answer hands each caller of a batch its result, or all of them err.
func (q *Queue[Q, R]) answer(r *round[Q, R], err error) {
	took := time.Since(r.start)
	for i, c := range r.calls {
		if err != nil {
			r.out[i] = Result[R]{Err: err}
		}
		c.result = r.out[i]
		c.done <- struct{}{} // from here on it is its caller's
	}
	n := len(r.calls)
	clear(r.calls)
	clear(r.batch)
	clear(r.out)
	r.calls, r.batch, r.out = r.calls[:0], r.batch[:0], r.out[:0]
	q.mu.Lock()
	q.spare = append(q.spare, r)
	q.mu.Unlock()
	q.observe(n, took)
}
