package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/internal/pgtest"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestWhatIsReadIsReplicated reads where commits wait for a standby that is not
// there: nobody is told what a failover may undo. The first time the store learns
// of the standby by the way, the second time it knows.
func TestWhatIsReadIsReplicated(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Open()
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	url := server.Database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	id := idOf(time.Now(), 1)
	do(t, s, start(id))
	look := verify.Op{ID: id, App: "app", Decide: func(_ time.Time, _ *verify.Subject, v *verify.Verification) (verify.Decision, error) {
		return verify.Decision{Result: v.ID}, nil
	}}
	do(t, s, look) // nobody waits
	for range 2 {
		if err := server.AwaitStandby("absent"); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := s.Do(context.Background(), look)
			done <- err
		}()
		for deadline, n := time.Now().Add(2*time.Second), 0; n == 0; time.Sleep(time.Millisecond) {
			query(t, url, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'`, &n)
			if time.Now().After(deadline) {
				t.Fatal("nobody waits for the standby")
			}
		}
		select {
		case err := <-done:
			t.Fatalf("Do returned %v, and no standby knows", err)
		default:
		}
		server.Exec(t, url, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
