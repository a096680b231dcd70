package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/verify"
)

func openKeys(t *testing.T, url string) *postgres.Keys {
	t.Helper()
	k, err := postgres.OpenKeys(t.Context(), secret.New(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestKeys(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := database(t)
	one, other := openKeys(t, url), openKeys(t, url) // as two processes have it
	now := time.Date(2026, time.March, 2, 9, 30, 0, 123456000, time.FixedZone("", 3600))

	if _, err := one.ByID(ctx, "none"); !errors.Is(err, access.ErrNoKey) {
		t.Errorf("an unknown id: %v", err)
	}
	if err := one.Revoke(ctx, "none", now); !errors.Is(err, access.ErrNoKey) {
		t.Errorf("revoke an unknown id: %v", err)
	}
	if err := one.Touch(ctx, "none", now); !errors.Is(err, access.ErrNoKey) {
		t.Errorf("touch an unknown id: %v", err)
	}

	plain, _, err := access.Create(ctx, one, access.Spec{Name: "plain", App: "shop"}, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	full, _, err := access.Create(ctx, one, access.Spec{
		Name: "Žluťoučký 'key'", App: "bank", Scopes: []access.Scope{access.ScopeRead}, ExpiresAt: now.Add(time.Hour),
	}, now.Add(time.Second), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Insert(ctx, plain); err == nil || errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("the same id twice: %v", err)
	}

	all, err := other.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]access.Key{plain, full}, all); diff != "" {
		t.Error(diff)
	}

	for _, err := range []error{
		other.Revoke(ctx, full.ID, now), one.Revoke(ctx, full.ID, now.Add(time.Hour)),
		other.Touch(ctx, full.ID, now), one.Touch(ctx, full.ID, now.Add(-72*time.Hour)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	full.RevokedAt, full.UsedOn = now.UTC(), access.Day(now)
	got, err := one.ByID(ctx, full.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Error(diff)
	}
}

// A key that another process makes works at once, also for one that had looked
// in vain, and beside a store on the database.
func TestKeysBesideTheStore(t *testing.T) {
	t.Parallel()
	url := database(t)
	open(t, postgres.Options{URL: secret.New(url)})
	serving, command := openKeys(t, url), openKeys(t, url)
	auth := access.NewAuthenticator(serving, nil)
	k, shown, err := access.Create(t.Context(), command, access.Spec{Name: "n", App: "shop"}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := auth.Authenticate(t.Context(), "Bearer "+shown.Reveal())
	if err != nil || caller.App != "shop" {
		t.Fatalf("%+v, %v", caller, err)
	}
	if got, err := command.ByID(t.Context(), k.ID); err != nil || got.UsedOn.IsZero() {
		t.Errorf("used on %s, %v", got.UsedOn, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := serving.ByID(ctx, k.ID); err == nil || errors.Is(err, access.ErrNoKey) {
		t.Errorf("a canceled lookup: %v", err)
	}
}
