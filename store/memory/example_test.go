package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/store/memory"
	"github.com/sixdigit/sixdigit/verify"
)

func Example() {
	store := memory.New(nil)
	ctx := context.Background()
	made, err := store.Do(ctx, verify.Op{
		Subject: verify.SubjectKey{1},
		Decide: func(now time.Time, s *verify.Subject, _ *verify.Verification) (verify.Decision, error) {
			v := &verify.Verification{ID: "example", App: "shop", Subject: s.Key, Status: verify.StatusPending, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
			return verify.Decision{Result: "made", Verification: v}, nil
		},
	})
	fmt.Println(made, err)
	v, err := store.Get(ctx, "example")
	fmt.Println(v.Status, err)
	// Output:
	// made <nil>
	// pending <nil>
}
