package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestOneTrip counts the round trips of operations whose rows are remembered, or
// are new.
func TestOneTrip(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	for i := range 200 { // new numbers are what comes, as far as the store can tell
		op := starting(i)
		if i%2 == 0 {
			op.Idem = &verify.Idem{Key: mac("key %d", i), Body: mac("body")}
		}
		do(t, s, op)
	}
	id := idOf(time.Now(), 0)
	replay := starting(1)
	replay.Idem = &verify.Idem{Key: mac("key"), Body: mac("body")}
	inner := replay.Decide
	replay.Decide = func(now time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		d, err := inner(now, s, v)
		d.Idem.ID = d.Verification.ID
		return d, err
	}
	for name, c := range map[string]struct {
		op   verify.Op
		fail error
	}{
		"a start of a new number":            {op: starting(1000)},
		"a start of a known one":             {op: starting(1)},
		"a check":                            {op: count(id)},
		"a verification without its subject": {op: guess(id)},
		"nothing changes": {op: telling(verify.Op{ID: id, App: "app"}, func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			return verify.Decision{}, nil
		})},
		"another app's":                     {op: verify.Op{ID: id, App: "another"}, fail: verify.ErrNotFound},
		"a start with an idempotency key":   {op: replay},
		"the same start, and its replay":    {op: replay},
		"a new key of a known verification": {op: verify.Op{ID: id, App: "app", Idem: &verify.Idem{Key: mac("other"), Body: mac("body")}, Decide: count(id).Decide}},
	} {
		if name == "the same start, and its replay" {
			_, _ = s.Do(t.Context(), c.op)
		}
		if err := s.Ready(t.Context()); err != nil { // a connection that is silent for long is asked first
			t.Fatal(err)
		}
		before := s.Trips()
		if _, err := s.Do(t.Context(), c.op); !errors.Is(err, c.fail) {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.Trips() - before; n != 1 {
			t.Errorf("%s took %d round trips", name, n)
		}
	}
	before := s.Trips()
	if err := s.Ready(t.Context()); err != nil || s.Trips() != before+1 {
		t.Errorf("to be ready took %d round trips; %v", s.Trips()-before, err)
	}
}

// starting is a start as the service makes it: it says what it will charge.
func starting(i int) verify.Op {
	all := verify.Charge{Limit: verify.Limit{Name: "l", Burst: 1 << 20, Every: time.Minute}, Key: limitKey("all")}
	own := all
	own.Key = limitKey("%08d", i)
	op := start(idOf(time.Now(), i), all, own)
	op.Places = []verify.Place{all.Key.Place(), own.Key.Place()}
	return op
}

// TestWhatAnotherHasWritten lets a store rely on rows that another has changed,
// removed, or made.
func TestWhatAnotherHasWritten(t *testing.T) {
	t.Parallel()
	all := replicas(t, 2)
	one, other := all[0], all[1]
	id, gone := idOf(time.Now(), 0), "of no day"
	do(t, one, starting(0))
	do(t, one, start(gone))
	do(t, one, approve(gone))
	do(t, other, count(id))
	if n, err := other.Purge(t.Context(), time.Now().Add(time.Hour), 100); err != nil || n != 2 {
		t.Errorf("%d rows purged, %v; want a verification and its subject", n, err)
	}
	do(t, other, starting(7))
	for what, step := range map[string]func(){
		"a row that was changed": func() {
			if n := do(t, one, count(id)); n != 2 {
				t.Errorf("counted %v", n)
			}
		},
		"a row that is gone": func() {
			if _, err := one.Do(t.Context(), guess(gone)); !errors.Is(err, verify.ErrNotFound) {
				t.Errorf("on what is gone: %v", err)
			}
		},
		"a row that was made": func() {
			op := starting(7)
			s := telling(verify.Op{Subject: op.Subject, Places: op.Places}, op.Decide)
			if was := do(t, one, s).(told); len(was.S.Pending) != 1 {
				t.Errorf("of the other's start it saw %v", was.S.Pending)
			}
		},
	} {
		one.Dare()
		before := one.Reruns()
		step()
		if n := one.Reruns() - before; n != 1 {
			t.Errorf("%s: %d runs too many, want 1", what, n)
		}
	}
}

// TestASubjectThatIsNeededAfterAll runs operations that need no subject as far as
// the store remembers their verification, which another has changed. They are handed
// the subject, too, as it is there.
func TestASubjectThatIsNeededAfterAll(t *testing.T) {
	t.Parallel()
	all := replicas(t, 2)
	one, other := all[0], all[1]
	id := idOf(time.Now(), 0)
	do(t, one, start(id))
	do(t, one, count(id))
	op := count(id)
	op.Alone = func(v *verify.Verification) bool { return v.Checks%2 == 1 }
	op = telling(op, func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		v.Checks++
		if op.Alone(v) { // it was even
			s.Failures++
			return verify.Decision{Verification: v, Subject: s}, nil
		}
		return verify.Decision{Verification: v}, nil
	})
	do(t, other, count(id))
	one.Dare()
	before := one.Reruns()
	was := do(t, one, op).(told)
	if was.V.Checks != 2 || was.S.Failures != 2 || len(was.S.Pending) != 1 {
		t.Errorf("it was handed %d checks, and a subject of %d failures with %d verifications under way; want 2, 2 and 1", was.V.Checks, was.S.Failures, len(was.S.Pending))
	}
	if n := one.Reruns() - before; n != 1 {
		t.Errorf("%d runs too many, want 1", n)
	}
	if was = do(t, one, op).(told); was.V.Checks != 3 || was.S.Failures != 0 {
		t.Errorf("alone, it was handed %d checks and a subject of %d failures; want 3 and none", was.V.Checks, was.S.Failures)
	}
	if was = do(t, other, telling(guess(id), guess(id).Decide)).(told); was.V.Checks != 4 || was.S.Failures != 3 {
		t.Errorf("in the end there are %d checks and %d failures, want 4 and 3", was.V.Checks, was.S.Failures)
	}
}

// TestContestedRows lets replicas charge one limit all the time: they must not
// fall over each other again and again.
func TestContestedRows(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3)
	const calls = 3000
	began := time.Now()
	stream(all, calls, func(i int, s *postgres.Store) {
		if _, err := s.Do(context.Background(), starting(i)); err != nil {
			t.Error(err)
		}
	})
	var reruns, trips int64
	for _, s := range all {
		reruns, trips = reruns+s.Reruns(), trips+s.Trips()
	}
	t.Logf("%d calls in %s: %d round trips, %d batches run again", calls, time.Since(began), trips, reruns)
	if reruns > trips/20 {
		t.Errorf("%d batches were run again, in %d round trips", reruns, trips)
	}
}

// TestALostBatchThatComesLate asks after a batch before the server has seen it:
// what was said not to have happened must not happen later.
func TestALostBatchThatComesLate(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	if done, err := s.AskTooSoon(t.Context()); done || err != nil {
		t.Errorf("committed: %t, %v", done, err)
	}
	before := s.Reruns()
	if n := do(t, s, count(id)); n != 1 || s.Reruns() == before {
		t.Errorf("counted %v in %d runs too many; want another run, on another connection", n, s.Reruns()-before)
	}
}

// TestTheTime reckons with a wrong idea of the database's time.
func TestTheTime(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	look := telling(verify.Op{ID: id, App: "app"}, func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
		return verify.Decision{}, nil
	})
	last := time.Time{}
	for i := range 300 { // this machine's clock is the server's too
		before := time.Now()
		now := do(t, s, look).(told).Now
		if now.Before(last) || now.Before(before.Add(-time.Second)) || now.After(time.Now()) {
			t.Fatalf("call %d was at %s, between %s and %s; the last at %s", i, now, before, time.Now(), last)
		}
		last = now
	}
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		s.Askew(by)
		now := do(t, s, look).(told).Now
		if off := time.Since(now); off < 0 || off > time.Second {
			t.Errorf("%s off: it is %s", by, now)
		}
	}
}

// TestStatementsLookKeysUp plans every statement for tables that are empty, and
// known to be: none of the plans may read a table from one end to the other.
func TestStatementsLookKeysUp(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	do(t, s, starting(1))
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, q := range []string{`ANALYZE`, `SET enable_seqscan = off`, `SET enable_hashjoin = off`, `SET enable_mergejoin = off`, `SET plan_cache_mode = force_generic_plan`} {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	param, column := regexp.MustCompile(`\$\d+`), regexp.MustCompile(`Index Cond: .*k(_\d+)?\.`)
	for i, q := range postgres.Statements(time.Now()) {
		var used []string
		for _, p := range param.FindAllString(q, -1) {
			if !slices.Contains(used, p) {
				used = append(used, p)
			}
		}
		if _, err := conn.Exec(t.Context(), fmt.Sprintf(`PREPARE s%d AS %s`, i, q)); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		rows, err := conn.Query(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE s%d(%s)`, i, strings.Repeat(", NULL", len(used))[2:]), pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		scans := strings.Count(text, " on idems") + strings.Count(text, " on subjects") + strings.Count(text, " on verifications") + strings.Count(text, " on counters") + strings.Count(text, " using ")
		if strings.Contains(text, "Seq Scan") || len(column.FindAllString(text, -1)) != strings.Count(text, "Index Scan")+strings.Count(text, "Index Only Scan")+strings.Count(text, "Bitmap Index Scan on") || scans == 0 {
			t.Errorf("%s:\n%s", q, text)
		}
	}
}

// TestTwoThatReadWhatTheOtherWrites lets one store write a verification when its
// subject has no failures, and another at the same time the subject when the
// verification has no checks. One after the other, only one of them writes.
func TestTwoThatReadWhatTheOtherWrites(t *testing.T) {
	t.Parallel()
	all := replicasOn(t, quick.Server(t).Database(t), 2)
	id := idOf(time.Now(), 0)
	do(t, all[0], start(id))
	op := func(decide func(s *verify.Subject, v *verify.Verification) verify.Decision) verify.Op {
		return verify.Op{ID: id, App: "app", Decide: func(_ time.Time, s *verify.Subject, v *verify.Verification) (verify.Decision, error) {
			return decide(s, v), nil
		}}
	}
	reset := op(func(s *verify.Subject, v *verify.Verification) verify.Decision {
		s.Failures, v.Checks = 0, 0
		return verify.Decision{Subject: s, Verification: v}
	})
	look := op(func(s *verify.Subject, v *verify.Verification) verify.Decision {
		return verify.Decision{Result: s.Failures + v.Checks}
	})
	writes := []verify.Op{
		op(func(s *verify.Subject, v *verify.Verification) verify.Decision {
			if v.Checks++; s.Failures > 0 {
				return verify.Decision{}
			}
			return verify.Decision{Verification: v}
		}),
		op(func(s *verify.Subject, v *verify.Verification) verify.Decision {
			if s.Failures++; v.Checks > 0 {
				return verify.Decision{}
			}
			return verify.Decision{Subject: s}
		}),
	}
	for range 500 {
		do(t, all[0], reset)
		do(t, all[1], look) // now both remember both
		all[0].Dare()
		all[1].Dare()
		crowd(all, 2, func(i int, s *postgres.Store) {
			if _, err := s.Do(context.Background(), writes[i]); err != nil {
				t.Error(err)
			}
		})
		if n := do(t, all[0], look); n != 1 {
			t.Fatalf("%v of them have written", n)
		}
	}
}
