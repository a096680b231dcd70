package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sixdigit/sixdigit/verify"
)

// Factory opens an empty store for one test, which closes it in the end. now is
// the store's clock.
type Factory func(t testing.TB, now func() time.Time) Instance

// Instance is a store under test.
type Instance struct {
	Store verify.Store
	// Reopen closes the store and opens it anew, as a restart does; nil where
	// nothing outlives the process.
	Reopen func() verify.Store
}

// Run runs the whole suite.
func Run(t *testing.T, open Factory) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *harness){
		"not found":                 testNotFound,
		"records":                   testRecords,
		"the clock":                 testClock,
		"nothing is shared":         testNothingIsShared,
		"undo":                      testUndo,
		"sessions":                  testSessions,
		"any app":                   testAnyApp,
		"a former record":           testFormer,
		"idempotency":               testIdempotency,
		"settlement":                testSettlement,
		"forgetting a key":          testForget,
		"refusals are not kept":     testRefusalsAreNotKept,
		"limits with a period":      testPeriodLimits,
		"limits by the day":         testDailyLimits,
		"several limits":            testSeveralLimits,
		"limits of one place":       testLimitsOfOnePlace,
		"limits at midnight":        testMidnight,
		"refunds and clearing":      testRefunds,
		"guards":                    testGuards,
		"rows written as they are":  testSet,
		"due":                       testDue,
		"due no longer":             testDueNoLonger,
		"list":                      testList,
		"purge":                     testPurge,
		"purge what is owed":        testPurgeOwed,
		"purge what is quiet":       testPurgeQuiet,
		"purge in bites":            testPurgeInBites,
		"purge after a fast clock":  testPurgeAfterAFastClock,
		"one batch in turn":         testInTurn,
		"a panic is its own":        testPanic,
		"canceled callers":          testCanceled,
		"race on one verification":  testRaceOnID,
		"race on one subject":       testRaceOnSubject,
		"race on one limit":         testRaceOnLimit,
		"race on one idempotency":   testRaceOnIdem,
		"race on one guard":         testRaceOnGuard,
		"race of claims":            testRaceOfClaims,
		"race of workers":           testRaceOfWorkers,
		"race of canceled callers":  testRaceOfCanceled,
		"random calls like a model": testModel,
		"events":                    testEvents,
		"events, a few at a time":   testEventsLongestDue,
		"events that are undone":    testEventsUndone,
		"events that are too old":   testEventsTooOld,
		"events of a fast clock":    testEventsOfAFastClock,
		"race of event claims":      testRaceOfEventClaims,
		"race of events":            testRaceOfEvents,
		"random events":             testEventsModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHarness(t, open))
		})
	}
}

// harness is one test's store and clock.
type harness struct {
	store  verify.Store
	reopen func() verify.Store

	mu  sync.Mutex
	now time.Time
}

// elsewhere is where the stores' clock and the tests' times are: a zone that is
// no whole hours from UTC, so that nothing is right by chance.
func elsewhere() *time.Location { return time.FixedZone("elsewhere", -(3*3600 + 30*60)) }

func newHarness(t *testing.T, open Factory) *harness {
	h := &harness{now: time.Date(2031, 3, 9, 22, 15, 7, 123_456_789, elsewhere())}
	in := open(t, h.clock)
	h.store, h.reopen = in.Store, in.Reopen
	return h
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *harness) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// restart reopens the store where that is possible.
func (h *harness) restart() {
	if h.reopen != nil {
		h.store = h.reopen()
	}
}

// do runs an operation that must not fail.
func (h *harness) do(t fataler, op verify.Op) any {
	t.Helper()
	result, err := h.store.Do(context.Background(), op)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	return result
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// failing runs an operation that must fail with target.
func (h *harness) failing(t fataler, op verify.Op, target error) {
	t.Helper()
	if result, err := h.store.Do(context.Background(), op); !errors.Is(err, target) || result != nil {
		t.Fatalf("Do = %v, %v; want the error %v", result, err, target)
	}
}

// limited runs an operation that must fail on a limit.
func (h *harness) limited(t fataler, op verify.Op, name string, retry time.Duration) {
	t.Helper()
	_, err := h.store.Do(context.Background(), op)
	var limit *verify.LimitError
	if !errors.As(err, &limit) {
		t.Fatalf("Do: %v, want the limit %s", err, name)
	}
	if limit.Name != name || limit.RetryAfter != retry {
		t.Fatalf("limit %s for %s, want %s for %s", limit.Name, limit.RetryAfter, name, retry)
	}
}

// seen is what an operation is handed.
type seen struct {
	Now time.Time
	S   *verify.Subject
	V   *verify.Verification
}

// look returns what an operation on the id is handed, changing nothing.
func (h *harness) look(t fataler, id string) seen {
	t.Helper()
	return h.peek(t, verify.Op{ID: id, App: appOf(id)})
}

func (h *harness) peek(t fataler, op verify.Op) seen {
	t.Helper()
	var got seen
	op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		got = seen{now, s, v}
		return verify.Decision{}, nil
	}
	h.do(t, op)
	return got
}

// decide makes an operation's function of a decision that is fixed.
func decide(d verify.Decision) func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
	return func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) { return d, nil }
}

// same compares records; stores may turn what is empty into nil. Times must be
// in UTC, not only the same instant.
func same(t fataler, what string, got, want any) {
	t.Helper()
	utc := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() })
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(verify.Subject{}), utc); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// mac makes a MAC that stands for a name.
func mac(format string, args ...any) (m verify.MAC) {
	copy(m[:], fmt.Sprintf(format, args...))
	return m
}

func subjectKey(format string, args ...any) verify.SubjectKey {
	return verify.SubjectKey(mac(format, args...))
}

func limitKey(format string, args ...any) (k verify.LimitKey) {
	copy(k[:], fmt.Sprintf(format, args...))
	return k
}
