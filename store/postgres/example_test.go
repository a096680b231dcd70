package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

func Example() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, postgres.Options{
		// Two servers, of which one takes writes; here nobody is at home.
		URL: secret.New("postgres://sixdigit:password@127.0.0.1:1,127.0.0.1:2/sixdigit?target_session_attrs=read-write"),
	})
	if errors.Is(err, verify.ErrUnavailable) {
		fmt.Println("no server answers")
		return
	}
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
	// Output: no server answers
}
