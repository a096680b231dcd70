package postgres_test

import (
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestManyDays writes verifications of many days in one batch, again and again:
// each finds its own, and no more is kept in mind than a batch needs.
func TestManyDays(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	const days = 12
	var starts, counts, looks []verify.Op
	for i := range days {
		id := idOf(time.Now().AddDate(0, 0, i-days/2), i) // of some there is a partition
		starts, counts = append(starts, start(id)), append(counts, count(id))
		looks = append(looks, telling(verify.Op{ID: id, App: "app"}, func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			return verify.Decision{}, nil
		}))
	}
	all := func(ops []verify.Op, check func(i int, result any)) {
		t.Helper()
		results, errs := s.Together(ops...)
		for i := range ops {
			if errs[i] != nil {
				t.Fatalf("day %d: %v", i, errs[i])
			}
			check(i, results[i])
		}
	}
	all(starts, func(int, any) {})
	for n := 1; n <= 3; n++ {
		all(counts, func(i int, result any) {
			if result != n {
				t.Errorf("day %d: counted %v, want %d", i, result, n)
			}
		})
		all(looks, func(i int, result any) {
			if was := result.(told); was.V.Checks != n || was.S.Failures != n {
				t.Errorf("day %d: %d checks, %d failures; want %d", i, was.V.Checks, was.S.Failures, n)
			}
		})
	}
	do(t, s, counts[days/2])
	do(t, s, counts[days/2])
	if n := s.Days(); n > 5 {
		t.Errorf("%d tables are kept in mind", n)
	}
	if n := s.Reruns(); n != 0 {
		t.Errorf("%d runs too many", n)
	}
}
