package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/store/storetest"
	"github.com/sixdigit/sixdigit/verify"
)

// open opens a store that is closed when the test ends.
func open(t testing.TB, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), o)
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

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, now func() time.Time) storetest.Instance {
		o := sqlite.Options{Path: filepath.Join(t.TempDir(), "data", "sixdigit.db"), Now: now}
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
