package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// hold occupies the store with one operation until release is called: whatever
// comes meanwhile waits, and where the store gathers batches becomes one.
func (h *harness) hold(t *testing.T) (release func()) {
	begun, gate := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := h.store.Do(context.Background(), verify.Op{Subject: subjectKey("holder"),
			Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
				close(begun)
				<-gate
				return verify.Decision{}, nil
			}})
		done <- err
	}()
	<-begun
	return func() {
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// together runs a crowd of calls at once, as one batch where the store gathers batches.
func (h *harness) together(t *testing.T, call func(i int)) {
	release := h.hold(t)
	var wg sync.WaitGroup
	for i := range crowd {
		wg.Go(func() { call(i) })
	}
	release()
	wg.Wait()
}

// guess counts a check, if one is left.
func guess(id string) verify.Op {
	return verify.Op{ID: id, App: appOf(id), Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		if v.Checks >= v.MaxChecks {
			return verify.Decision{Result: 0}, nil
		}
		v.Checks++
		s.Failures++
		return verify.Decision{Result: v.Checks, Verification: v, Subject: s}, nil
	}}
}

const crowd = 300

func testInTurn(t *testing.T, h *harness) {
	key := subjectKey("s")
	h.do(t, start("a", key))
	var order [crowd]atomic.Int32
	h.together(t, func(int) {
		result, err := h.store.Do(context.Background(), verify.Op{ID: "a", App: appOf("a"),
			Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
				v.Checks++
				s.Failures++
				if s.Failures != v.Checks {
					return verify.Decision{}, errDecide
				}
				return verify.Decision{Result: v.Checks, Verification: v, Subject: s}, nil
			}})
		n, ok := result.(int)
		if err != nil || !ok || n < 1 || n > crowd {
			t.Errorf("Do = %v, %v", result, err)
			return
		}
		order[n-1].Add(1)
	})
	for i := range order {
		if n := order[i].Load(); n != 1 {
			t.Fatalf("%d operations were number %d", n, i+1)
		}
	}
	h.restart()
	if got := h.look(t, "a"); got.V.Checks != crowd || got.S.Failures != crowd {
		t.Errorf("%d and %d of %d operations were kept", got.V.Checks, got.S.Failures, crowd)
	}
}

func testPanic(t *testing.T, h *harness) {
	key := subjectKey("s")
	h.do(t, start("a", key))
	h.together(t, func(i int) {
		_, err := h.store.Do(context.Background(), verify.Op{ID: "a", App: appOf("a"),
			Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
				v.Checks++
				switch i % 3 {
				case 0:
					scribble(s, v)
					panic(errDecide)
				case 1:
					scribble(s, v)
					return verify.Decision{Verification: v}, errDecide
				}
				return verify.Decision{Verification: v, Subject: s}, nil
			}})
		if failed := err != nil; failed != (i%3 != 2) {
			t.Errorf("operation %d: %v", i, err)
		}
	})
	if got := h.look(t, "a"); got.V.Checks != crowd/3 || got.V.Status != verify.StatusPending {
		t.Errorf("%d of %d operations were kept", got.V.Checks, crowd/3)
	}
}

func testCanceled(t *testing.T, h *harness) {
	h.do(t, start("a", subjectKey("s")))
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.store.Do(dead, guess("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("a dead context: %v", err)
	}
	if _, err := h.store.Get(dead, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a dead context: %v", err)
	}
	release := h.hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range crowd {
		go func() {
			_, err := h.store.Do(ctx, guess("a"))
			errs <- err
		}()
	}
	cancel()
	for range crowd { // while the store is still held
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("a canceled caller: %v", err)
		}
	}
	release()
	if got := h.look(t, "a"); got.V.Checks != 0 {
		t.Errorf("%d operations of callers that had gone were run", got.V.Checks)
	}
	h.canceledMidway(t)
}

// canceledMidway ends contexts while their operations run: what was begun is
// done, and whoever asked for it is told so.
func (h *harness) canceledMidway(t *testing.T) {
	const calls = 20
	for i := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		result, err := h.store.Do(ctx, verify.Op{ID: "a", App: appOf("a"),
			Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
				cancel()
				v.Checks++
				s.Failures++
				return verify.Decision{Result: v.Checks, Verification: v, Subject: s}, nil
			}})
		if err != nil || result != i+1 {
			t.Errorf("canceled midway: %v, %v; want %d", result, err, i+1)
		}
	}
	if got := h.look(t, "a"); got.V.Checks != calls {
		t.Errorf("%d operations canceled midway were kept, want %d", got.V.Checks, calls)
	}
}

func testRaceOnID(t *testing.T, h *harness) {
	h.do(t, start("a", subjectKey("s")))
	var counted atomic.Int32
	h.together(t, func(i int) {
		result, err := h.store.Do(context.Background(), guess("a"))
		if err != nil {
			t.Error(err)
		} else if result != 0 {
			counted.Add(1)
		}
		if i%10 == 0 { // readers beside them
			if v, err := h.store.Get(context.Background(), "a"); err != nil || v.Checks > v.MaxChecks {
				t.Errorf("Get: %v", err)
			}
		}
	})
	if n := counted.Load(); n != 5 {
		t.Errorf("%d guesses were counted, want 5", n)
	}
	if got := h.look(t, "a"); got.V.Checks != 5 {
		t.Errorf("%d guesses were kept, want 5", got.V.Checks)
	}
}

func testRaceOnSubject(t *testing.T, h *harness) {
	key := subjectKey("s")
	var made atomic.Int32
	h.together(t, func(i int) {
		id := fmt.Sprintf("v%d", i)
		session := mac("session of %s", id)
		_, err := h.store.Do(context.Background(), verify.Op{Subject: key, Session: session,
			Decide: func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
				if v != nil || len(s.Pending) >= 7 {
					return verify.Decision{}, errDecide
				}
				return start(id, key).Decide(now, s, nil)
			}})
		if err == nil {
			made.Add(1)
		} else if !errors.Is(err, errDecide) {
			t.Error(err)
		}
	})
	pending := h.peek(t, verify.Op{Subject: key}).S.Pending
	if made.Load() != 7 || len(pending) != 7 {
		t.Fatalf("%d made, %d pending, want 7", made.Load(), len(pending))
	}
	for _, p := range pending {
		h.kept(t, p.ID)
	}
}

func testRaceOnLimit(t *testing.T, h *harness) {
	for _, limit := range []verify.Limit{{Name: "period", Burst: 50, Every: time.Minute}, {Name: "day", Burst: 50}} {
		charge := verify.Charge{Limit: limit, Key: limitKey("%s", limit.Name)}
		var passed atomic.Int32
		h.together(t, func(i int) {
			_, err := h.store.Do(context.Background(), verify.Op{Subject: subjectKey("s%d", i), Decide: decide(verify.Decision{Charges: []verify.Charge{charge}})})
			var refused *verify.LimitError
			if err == nil {
				passed.Add(1)
			} else if !errors.As(err, &refused) {
				t.Error(err)
			}
		})
		if n := passed.Load(); n != 50 {
			t.Errorf("%d passed the limit %s of 50", n, limit.Name)
		}
	}
}

func testRaceOnIdem(t *testing.T, h *harness) {
	var ran, replayed atomic.Int32
	h.together(t, func(i int) {
		op := start(fmt.Sprintf("v%d", i), subjectKey("s%d", i))
		op.Idem = &verify.Idem{Key: mac("k"), Body: mac("b")}
		result, err := h.store.Do(context.Background(), op)
		if err != nil {
			t.Error(err)
		} else if _, ok := result.(*verify.Replayed); ok {
			replayed.Add(1)
		} else {
			ran.Add(1)
		}
	})
	if ran.Load() != 1 || replayed.Load() != crowd-1 {
		t.Errorf("%d ran and %d were replayed", ran.Load(), replayed.Load())
	}
}

// testRaceOfCanceled lets callers give up at any moment: an operation happens
// wholly or not at all, and whoever was told that it happened finds it; whoever
// was told otherwise does not.
func testRaceOfCanceled(t *testing.T, h *harness) {
	charge := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 10 * crowd}, Key: limitKey("l")}
	var told [crowd]atomic.Bool
	h.together(t, func(i int) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if i%2 == 0 {
			go cancel()
		}
		op := start(fmt.Sprintf("v%d", i), subjectKey("s%d", i))
		inner := op.Decide
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := inner(now, s, v)
			d.Charges = []verify.Charge{charge}
			return d, err
		}
		_, err := h.store.Do(ctx, op)
		told[i].Store(err == nil)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	h.do(t, charging()) // the last batch is over
	happened := 0
	for i := range told {
		_, err := h.store.Get(t.Context(), fmt.Sprintf("v%d", i))
		if err == nil {
			happened++
			if !told[i].Load() {
				t.Errorf("v%d happened although its caller was told that it was canceled", i)
			}
			if n := len(h.look(t, fmt.Sprintf("v%d", i)).S.Pending); n != 1 {
				t.Errorf("v%d happened and its subject has %d pending", i, n)
			}
		} else if told[i].Load() {
			t.Errorf("v%d was told to have happened: %v", i, err)
		}
	}
	charge.Limit.Burst = happened + 1
	h.do(t, charging(charge)) // as many charges as verifications
	if _, err := h.store.Do(t.Context(), charging(charge)); err == nil {
		t.Error("fewer charges than verifications")
	}
}
