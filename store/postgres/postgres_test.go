package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/storetest"
	"github.com/sixdigit/sixdigit/verify"
)

// shared is the server that most tests share. The suite has one that does not
// wait for the disk: it makes thousands of small calls, one after the other.
var (
	shared pgtest.Shared
	quick  = pgtest.Shared{Settings: []string{"fsync=off"}}
)

// tests end with the server, so that goleak finds nothing of it.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	if err := errors.Join(shared.Close(), quick.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// open opens a store that is closed when the test ends.
func open(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// database is a new one on the shared server.
func database(t testing.TB) string {
	t.Helper()
	return shared.Server(t).Database(t)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, now func() time.Time) storetest.Instance {
		o := postgres.Options{URL: secret.New(quick.Server(t).Database(t)), Now: now}
		s := open(t, o)
		return storetest.Instance{Store: s, Reopen: func() verify.Store {
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			s = open(t, o)
			return s
		}}
	})
}
