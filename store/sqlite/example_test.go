package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, path := context.Background(), filepath.Join(dir, "sixdigit.db")

	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := store.Do(ctx, verify.Op{
		Subject: verify.SubjectKey{1},
		Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
			v := &verify.Verification{ID: "example", App: "shop", Subject: s.Key, Status: verify.StatusPending, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
			return verify.Decision{Result: "made", Verification: v}, nil
		},
	})
	fmt.Println(result, err, store.Close())

	// It outlives the process.
	if store, err = sqlite.Open(ctx, sqlite.Options{Path: path}); err != nil {
		fmt.Println(err)
		return
	}
	v, err := store.Get(ctx, "example")
	fmt.Println(v.App, v.Status, err, store.Close())
	// Output:
	// made <nil> <nil>
	// shop pending <nil> <nil>
}
