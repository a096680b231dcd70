package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// replicas are stores on one database, as those of several processes are.
func replicas(t *testing.T, n int) []*postgres.Store {
	t.Helper()
	return replicasOn(t, database(t), n)
}

func replicasOn(t *testing.T, url string, n int) []*postgres.Store {
	t.Helper()
	all := make([]*postgres.Store, n)
	for i := range all {
		all[i] = open(t, postgres.Options{URL: secret.New(url)})
	}
	return all
}

// crowd calls n times at once, by one replica after the other: few transactions,
// as large as they get.
func crowd(all []*postgres.Store, n int, call func(i int, s *postgres.Store)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { call(i, all[i%len(all)]) })
	}
	wg.Wait()
}

// stream calls n times, a few at once by each replica: many transactions.
func stream(all []*postgres.Store, n int, call func(i int, s *postgres.Store)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range 3 * len(all) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				call(int(i), all[c%len(all)])
			}
		})
	}
	wg.Wait()
}

// TestReplicasCountTogether counts on one verification, on its subject and on
// both: whatever is between the replicas must be enough by itself.
func TestReplicasCountTogether(t *testing.T) {
	t.Parallel()
	const calls = 1000
	id := idOf(time.Now(), 1)
	ops := map[string]verify.Op{
		"both": count(id),
		"a verification without a subject": {ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			v.Checks++
			return verify.Decision{Result: v.Checks, Verification: v}, nil
		}},
		"a subject": {Subject: subjectKey("another"), Decide: func(_ time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
			s.Failures++
			return verify.Decision{Result: s.Failures, Subject: s}, nil
		}},
	}
	for what, op := range ops {
		for name, way := range map[string]func([]*postgres.Store, int, func(int, *postgres.Store)){"crowd": crowd, "stream": stream} {
			t.Run(what+", "+name, func(t *testing.T) {
				t.Parallel()
				url := database(t)
				all := replicasOn(t, url, 3)
				do(t, all[0], start(id))
				if what == "a verification without a subject" {
					shared.Server(t).Exec(t, url, `DELETE FROM subjects`)
				}
				seen := make([]atomic.Int32, calls+1)
				way(all, calls, func(_ int, s *postgres.Store) {
					n, err := s.Do(context.Background(), op)
					if err != nil {
						t.Error(err)
						return
					}
					seen[n.(int)].Add(1)
				})
				for n := range seen[1:] {
					if got := seen[n+1].Load(); got != 1 {
						t.Fatalf("%d calls were number %d", got, n+1)
					}
				}
				if n := do(t, all[1], op); n != calls+1 {
					t.Errorf("%v calls were kept, want %d", n, calls+1)
				}
			})
		}
	}
}

func TestReplicasGuessFiveTimes(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3)
	id := idOf(time.Now(), 1)
	do(t, all[0], start(id))
	var counted, approved atomic.Int32
	crowd(all, 1000, func(_ int, s *postgres.Store) {
		switch n, err := s.Do(context.Background(), guess(id)); {
		case err != nil:
			t.Error(err)
		case n != 0:
			counted.Add(1)
		}
	})
	crowd(all, 100, func(_ int, s *postgres.Store) {
		switch ok, err := s.Do(context.Background(), approve(id)); {
		case err != nil:
			t.Error(err)
		case ok == true:
			approved.Add(1)
		}
	})
	if counted.Load() != 5 || approved.Load() != 1 {
		t.Errorf("%d guesses were counted and %d approved, want 5 and 1", counted.Load(), approved.Load())
	}
}

// TestReplicasShareLimits charges limits, most of whose keys nobody has charged
// before, by all replicas at once.
func TestReplicasShareLimits(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func([]*postgres.Store, int, func(int, *postgres.Store)){"crowd": crowd, "stream": stream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := replicas(t, 3)
			const keys, calls, burst = 40, 24, 7
			hot := verify.Charge{Limit: verify.Limit{Name: "hot", Burst: keys * burst}, Key: limitKey("hot")}
			var passed [keys]atomic.Int32
			way(all, keys*calls, func(i int, s *postgres.Store) {
				k := (i / len(all)) % keys
				charge := verify.Charge{Limit: verify.Limit{Name: "l", Burst: burst}, Key: limitKey("l%d", k)}
				_, err := s.Do(context.Background(), charging(fmt.Sprint(i), hot, charge))
				if refused := (*verify.LimitError)(nil); err == nil {
					passed[k].Add(1)
				} else if !errors.As(err, &refused) {
					t.Error(err)
				}
			})
			for k := range passed {
				if n := passed[k].Load(); n != burst {
					t.Errorf("the limit %d let %d through, want %d", k, n, burst)
				}
			}
			// What all of them share was charged as often as any of them passed.
			if _, err := all[0].Do(t.Context(), charging("late", hot)); err == nil {
				t.Error("something is left of the limit that all share")
			}
		})
	}
}

// TestReplicasShareIdempotencyKeys lets all replicas do the same under one key:
// one of them does it.
func TestReplicasShareIdempotencyKeys(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3)
	const keys, calls = 30, 9
	var ran, replayed [keys]atomic.Int32
	crowd(all, keys*calls, func(i int, s *postgres.Store) {
		k := (i / len(all)) % keys
		op := start(idOf(time.Now(), i))
		inner := op.Decide
		op.Idem = &verify.Idem{Key: mac("key %d", k), Body: mac("body")}
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := inner(now, s, v)
			d.Idem = verify.IdemState{ID: d.Verification.ID, Outcome: "start"}
			return d, err
		}
		result, err := s.Do(context.Background(), op)
		if err != nil {
			t.Error(err)
		} else if r, ok := result.(*verify.Replayed); !ok {
			ran[k].Add(1)
		} else if r.Verification != nil {
			replayed[k].Add(1)
		}
	})
	for k := range ran {
		if ran[k].Load() != 1 || replayed[k].Load() != calls-1 {
			t.Errorf("key %d: %d ran and %d were replayed", k, ran[k].Load(), replayed[k].Load())
		}
	}
}

// TestReplicasDoNotBlockEachOther lets every replica work on the same few rows
// of all tables, in every order: whoever locked in another order than the others
// would wait for a deadlock to be noticed, a second each time.
func TestReplicasDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	url := database(t)
	all := replicasOn(t, url, 3)
	const rows, calls = 6, 1500
	for i := range rows {
		do(t, all[0], start(idOf(time.Now(), i), charge(i)))
	}
	began := time.Now()
	stream(all, calls, func(i int, s *postgres.Store) {
		id := idOf(time.Now(), i*5%rows)
		op := count(id)
		if i%3 == 0 { // the subject first, then its verification, by the session
			op = verify.Op{Subject: subjectKey("%s", id)}
			op.Decide = func(_ time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
				s.Failures++
				return verify.Decision{Subject: s}, nil
			}
		}
		inner := op.Decide
		if i%2 == 0 {
			op.Idem = &verify.Idem{Key: mac("k%d", i%4), Body: mac("b")}
		}
		op.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			d, err := inner(now, s, v)
			d.Charges = []verify.Charge{charge(i * 7 % rows), charge(i * 3 % rows)}
			if i%5 == 0 && op.Idem == nil { // a key that nobody could foresee
				d.Settle = &verify.Settlement{Key: mac("k%d", 2*(i/5%2))}
			}
			return d, err
		}
		_, err := s.Do(context.Background(), op)
		if err != nil && !errors.Is(err, verify.ErrIdemMismatch) {
			t.Error(err)
		}
	})
	took := time.Since(began)
	for _, s := range all { // a connection's statistics are complete when it ends
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	var deadlocks int
	query(t, url, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`, &deadlocks)
	t.Logf("%d calls in %s", calls, took)
	if deadlocks > 0 {
		t.Errorf("%d deadlocks in %s", deadlocks, took)
	}
}

func charge(n int) verify.Charge {
	return verify.Charge{Limit: verify.Limit{Name: "l", Burst: 1 << 20, Every: time.Minute}, Key: limitKey("shared %d", n)}
}
