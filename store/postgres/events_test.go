package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

// TestEventIsAddedWhileTheOneBeforeIsDelivered stops a delivery between its last
// statement and its commit. An event of the same key that is added then must not
// wait for one that nobody will make way for any more.
func TestEventIsAddedWhileTheOneBeforeIsDelivered(t *testing.T) {
	t.Parallel()
	url := quick.Server(t).Database(t)
	s := open(t, postgres.Options{URL: secret.New(url)})
	tell := func(id string) error {
		_, err := s.Do(context.WithoutCancel(t.Context()), verify.Op{Decide: func(time.Time, *verify.Subject, *verify.Verification) (verify.Decision, error) {
			return verify.Decision{Events: []verify.Event{{ID: id, App: "shop", Key: "a", Payload: []byte("{}")}}}, nil
		}})
		return err
	}
	if err := tell("a1"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`DELETE FROM events WHERE id = 'a1'`,
		`UPDATE events SET due = 1 WHERE due = 0 AND seq = (SELECT min(seq) FROM events WHERE key = 'a')`,
	} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	added := make(chan error, 1)
	go func() { added <- tell("a2") }()
	early := false
	for deadline := time.Now().Add(10 * time.Second); !early; time.Sleep(time.Millisecond) {
		var waits int
		query(t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, &waits)
		if waits > 0 {
			break
		}
		select {
		case err := <-added:
			added <- err
			early = true
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the second event neither waits nor is added")
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	events, err := s.ClaimEvents(t.Context(), "shop", 10, time.Minute)
	if err != nil || len(events) != 1 || events[0].ID != "a2" {
		t.Errorf("%d events are due, %v; it was added without waiting: %t", len(events), err, early)
	}
}
