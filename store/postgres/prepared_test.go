package postgres_test

import (
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
)

// TestPreparedStatementsAreBounded lets the bound be reached at every statement of
// a batch's trips: those that are queued already stay prepared.
func TestPreparedStatementsAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	for left := range 12 {
		if err := s.Prepare(t.Context(), postgres.PreparedKept-left); err != nil {
			t.Fatal(err)
		}
		full := s.Prepared()
		for i := range 2 {
			do(t, s, starting(2*left+i))
		}
		if n := s.Prepared(); n > postgres.PreparedKept || left == 0 && n >= full {
			t.Errorf("%d are prepared, after %d", n, full)
		}
	}
	if n := s.Reruns(); n != 0 {
		t.Errorf("%d runs too many", n)
	}
}

// TestStatementsFromBefore meets a connection that has statements of these names,
// as one of a pooler may: the batch is run again, without them.
func TestStatementsFromBefore(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: secret.New(database(t))})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	do(t, s, count(id))
	s.Unknown()
	before := s.Reruns()
	if n := do(t, s, count(id)); n != 2 {
		t.Errorf("counted %v", n)
	}
	if n := s.Reruns() - before; n != 1 {
		t.Errorf("%d runs too many, want 1", n)
	}
}
