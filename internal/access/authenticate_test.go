package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	store := NewMemory()
	_, key := create(t, store, Spec{Name: "n", App: "shop", Scopes: []Scope{ScopeVerify}})
	revoked, revokedKey := create(t, store, Spec{Name: "n", App: "shop"})
	if err := store.Revoke(t.Context(), revoked.ID, start()); err != nil {
		t.Fatal(err)
	}
	_, expiring := create(t, store, Spec{Name: "n", App: "shop", ExpiresAt: start().Add(time.Second)})
	_, stranger := create(t, NewMemory(), Spec{Name: "n", App: "shop"})
	mixed := key[:len(key)-secretLength] + stranger[len(stranger)-secretLength:]

	a, clock := newTest(store)
	clock.pass(time.Second)
	for _, tt := range []struct {
		name, header string
		want         error
	}{
		{"a key", "Bearer " + key, nil},
		{"the scheme in lower case", "bearer " + key, nil},
		{"spaces", "Bearer   " + key + " ", nil},
		{"nothing", "", ErrUnknownKey},
		{"the key alone", key, ErrUnknownKey},
		{"another scheme", "Basic " + key, ErrUnknownKey},
		{"no key", "Bearer ", ErrUnknownKey},
		{"a longer key", "Bearer " + key + "0", ErrUnknownKey},
		{"a shorter key", "Bearer " + key[:len(key)-1], ErrUnknownKey},
		{"in capitals", "Bearer " + strings.ToUpper(key), ErrUnknownKey},
		{"another's secret", "Bearer " + mixed, ErrUnknownKey},
		{"an unknown key", "Bearer " + stranger, ErrUnknownKey},
		{"revoked", "Bearer " + revokedKey, ErrRevoked},
		{"expired", "Bearer " + expiring, ErrExpired},
		{"NUL", "Bearer " + strings.Replace(key, "_", "\x00", 1), ErrUnknownKey},
	} {
		caller, err := a.Authenticate(t.Context(), tt.header)
		if !errors.Is(err, tt.want) || err != nil && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if (err == nil) != (caller.App == "shop") || err != nil && caller.KeyID != "" {
			t.Errorf("%s: %+v", tt.name, caller)
		}
		if err != nil && strings.Contains(err.Error(), "sd_") {
			t.Errorf("%s: the error quotes the key", tt.name)
		}
	}
	caller, err := a.Authenticate(t.Context(), "Bearer "+key)
	if err != nil || !caller.May(ScopeVerify) || caller.May(ScopeRead, ScopeMessages) || !caller.May(ScopeRead, ScopeVerify) || caller.May() {
		t.Errorf("scopes: %+v, %v", caller, err)
	}
}

// A key is looked up once in a while; another process may revoke it meanwhile.
func TestRevokedKeysStopWithinSeconds(t *testing.T) {
	t.Parallel()
	store := &fake{Memory: NewMemory()}
	k, key := create(t, store, Spec{Name: "n", App: "shop"})
	a, clock := newTest(store)
	for range 100 {
		if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.lookups.Load(); n != 1 {
		t.Errorf("%d lookups for 100 calls", n)
	}
	if err := store.Revoke(t.Context(), k.ID, start()); err != nil {
		t.Fatal(err)
	}
	clock.pass(refreshAfter)
	if _, err := a.Authenticate(t.Context(), "Bearer "+key); !errors.Is(err, ErrRevoked) {
		t.Errorf("after %s: %v", refreshAfter, err)
	}
}

// While one caller's lookup hangs, the others use what is remembered, but not
// for longer than staleAfter.
func TestOneCallerLooksUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fake{Memory: NewMemory()}
		_, key := create(t, store, Spec{Name: "n", App: "shop"})
		a := NewAuthenticator(store, nil)
		call := func() error {
			_, err := a.Authenticate(t.Context(), "Bearer "+key)
			return err
		}
		if err := call(); err != nil {
			t.Fatal(err)
		}
		hang := make(chan struct{})
		store.byID = func(ctx context.Context, id string) (Key, error) {
			<-hang
			return store.Memory.ByID(ctx, id)
		}
		time.Sleep(refreshAfter)
		first := make(chan error, 1)
		go func() { first <- call() }()
		synctest.Wait()
		for range 10 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.lookups.Load(); n != 2 {
			t.Errorf("%d lookups, want 2", n)
		}
		time.Sleep(staleAfter)
		late := make(chan error, 1)
		go func() { late <- call() }()
		synctest.Wait()
		select {
		case err := <-late:
			t.Errorf("after %s a remembered key still answers: %v", staleAfter, err)
		default:
		}
		close(hang)
		if err := errors.Join(<-first, <-late); err != nil {
			t.Error(err)
		}
	})
}

// Many who come with a new key at once ask the store once, and one whose client
// hangs up takes nobody with it.
func TestManyComeWithANewKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fake{Memory: NewMemory()}
		_, key := create(t, store, Spec{Name: "n", App: "shop"})
		a := NewAuthenticator(store, nil)
		hang := make(chan struct{})
		store.byID = func(ctx context.Context, id string) (Key, error) {
			select {
			case <-hang:
			case <-ctx.Done():
				return Key{}, ctx.Err()
			}
			return store.Memory.ByID(ctx, id)
		}
		const callers = 500
		errs := make(chan error, callers)
		call := func(ctx context.Context, to chan<- error) {
			_, err := a.Authenticate(ctx, "Bearer "+key)
			to <- err
		}
		leader, hangUp := context.WithCancel(t.Context())
		gone := make(chan error, 2)
		go call(leader, gone)
		synctest.Wait() // it asks
		follower, give := context.WithCancel(t.Context())
		go call(follower, gone)
		for range callers {
			go call(t.Context(), errs)
		}
		synctest.Wait()
		if n := store.lookups.Load(); n != 1 {
			t.Errorf("%d lookups, want 1", n)
		}
		give()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("one that waited and gave up: %v", err)
		}
		hangUp()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the one that asked and hung up: %v", err)
		}
		synctest.Wait()
		if n := store.lookups.Load(); n != 2 {
			t.Errorf("%d lookups after the first one was broken off, want 2", n)
		}
		close(hang)
		for range callers {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		if n := store.lookups.Load(); n != 2 || len(a.asked) != 0 {
			t.Errorf("%d lookups in all, %d under way", n, len(a.asked))
		}
		if err := func() error { call(t.Context(), errs); return <-errs }(); err != nil || store.lookups.Load() != 2 {
			t.Errorf("%v, %d lookups: the key was not remembered", err, store.lookups.Load())
		}
	})
}

// When the store has failed, one caller finds out whether it is back. The others
// are told at once.
func TestNobodyWaitsForAStoreThatFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fake{Memory: NewMemory()}
		_, key := create(t, store, Spec{Name: "n", App: "shop"})
		a := NewAuthenticator(store, nil)
		var down atomic.Bool
		down.Store(true)
		const hang = 3 * time.Second
		store.byID = func(ctx context.Context, id string) (Key, error) {
			time.Sleep(hang)
			if down.Load() {
				return Key{}, errors.New("no answer")
			}
			return store.Memory.ByID(ctx, id)
		}
		call := func() error { _, err := a.Authenticate(t.Context(), "Bearer "+key); return err }
		if err := call(); err == nil {
			t.Fatal("the store does not fail")
		}
		began, first := time.Now(), make(chan error)
		go func() { first <- call() }()
		synctest.Wait()
		for range 10 {
			if err := call(); err == nil || errors.Is(err, ErrUnauthorized) || time.Since(began) > 0 {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		}
		down.Store(false)
		if err := <-first; err != nil || time.Since(began) != hang {
			t.Errorf("the one who asked: %v after %s", err, time.Since(began))
		}
		if err := call(); err != nil || a.fault != nil {
			t.Errorf("%v, %v: the store is back", err, a.fault)
		}
	})
}

// Whoever waited for another's lookup does not take from it what was true too
// long ago.
func TestAnothersLookupMayBeTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fake{Memory: NewMemory()}
		k, key := create(t, store, Spec{Name: "n", App: "shop"})
		a := NewAuthenticator(store, nil)
		hang := make(chan struct{})
		store.byID = func(ctx context.Context, id string) (Key, error) {
			k, err := store.Memory.ByID(ctx, id) // read, and then long on the way
			<-hang
			return k, err
		}
		errs := make(chan error, 2)
		call := func() {
			_, err := a.Authenticate(t.Context(), "Bearer "+key)
			errs <- err
		}
		go call()
		synctest.Wait()
		if err := store.Revoke(t.Context(), k.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(refreshAfter)
		go call()
		synctest.Wait()
		close(hang)
		first, second := <-errs, <-errs
		if first != nil {
			first, second = second, first
		}
		if first != nil || !errors.Is(second, ErrRevoked) {
			t.Errorf("%v, %v: want the first caller served and the late one refused", first, second)
		}
	})
}

// A flood of invented ids neither grows the memory nor holds up keys in use.
func TestFloodOfUnknownKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fake{Memory: NewMemory()}
		known, key := create(t, store, Spec{Name: "n", App: "shop"})
		a := NewAuthenticator(store, nil)
		if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
			t.Fatal(err)
		}
		var most, now atomic.Int32
		hang := make(chan struct{})
		store.byID = func(ctx context.Context, id string) (Key, error) {
			if id != known.ID {
				most.Store(max(most.Load(), now.Add(1)))
				<-hang
				now.Add(-1)
			}
			return store.Memory.ByID(ctx, id)
		}
		strangers := NewMemory()
		errs := make(chan error, 100)
		for range 100 {
			_, invented := create(t, strangers, Spec{Name: "n", App: "shop"})
			go func() {
				_, err := a.Authenticate(t.Context(), "Bearer "+invented)
				errs <- err
			}()
		}
		synctest.Wait()
		time.Sleep(staleAfter) // the known key has to be looked up, and is
		if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
			t.Errorf("a key in use: %v", err)
		}
		close(hang)
		busy := 0
		for range 100 {
			switch err := <-errs; {
			case errors.Is(err, ErrBusy):
				busy++
			case !errors.Is(err, ErrUnknownKey):
				t.Error(err)
			}
		}
		if busy != 100-maxLookups || most.Load() != maxLookups {
			t.Errorf("%d were told to come back, %d lookups at once", busy, most.Load())
		}
		if n := len(a.known); n != 1 {
			t.Errorf("%d keys are remembered", n)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	store := NewMemory()
	a, _ := newTest(store)
	for range maxRemembered + 10 {
		_, key := create(t, store, Spec{Name: "n", App: "shop"})
		if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.known); n != maxRemembered {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestDayOfUse(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store := &fake{Memory: NewMemory()}
	k, key := create(t, store, Spec{Name: "n", App: "shop"})
	a, clock := newTest(store)
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	use := func(times int) {
		for range times {
			if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
				t.Fatal(err)
			}
		}
	}
	use(50)
	clock.pass(3 * time.Second) // another lookup, the same day
	use(50)
	got, _ := store.Memory.ByID(t.Context(), k.ID)
	if want := time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC); !got.UsedOn.Equal(want) || store.touches.Load() != 1 {
		t.Errorf("used on %s after %d notes", got.UsedOn, store.touches.Load())
	}
	clock.pass(7 * time.Second) // midnight
	store.touch = errors.New("the disk is full")
	use(50)
	if store.touches.Load() != 2 || !strings.Contains(log.String(), "day of use not noted") {
		t.Errorf("%d notes; log %q", store.touches.Load(), &log)
	}
	store.touch = nil
	clock.pass(3 * time.Second)
	use(50)
	got, _ = store.Memory.ByID(t.Context(), k.ID)
	if want := time.Date(2026, time.March, 3, 0, 0, 0, 0, time.UTC); !got.UsedOn.Equal(want) || store.touches.Load() != 3 {
		t.Errorf("used on %s after %d notes", got.UsedOn, store.touches.Load())
	}
}

func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	store := &fake{Memory: NewMemory()}
	_, key := create(t, store, Spec{Name: "n", App: "shop"})
	a, clock := newTest(store)
	if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
		t.Fatal(err)
	}
	store.byID = func(context.Context, string) (Key, error) { return Key{}, down }
	clock.pass(refreshAfter)
	if _, err := a.Authenticate(t.Context(), "Bearer "+key); err != nil {
		t.Errorf("a store that stumbles: %v", err)
	}
	clock.pass(staleAfter - refreshAfter)
	if _, err := a.Authenticate(t.Context(), "Bearer "+key); !errors.Is(err, down) || errors.Is(err, ErrUnauthorized) {
		t.Errorf("a store that is down: %v", err)
	}
	clock.pass(-time.Hour) // a clock that jumps back makes nothing fresh
	if _, err := a.Authenticate(t.Context(), "Bearer "+key); !errors.Is(err, down) {
		t.Errorf("after the clock jumped back: %v", err)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	store := NewMemory()
	_, shown, err := Create(b.Context(), store, Spec{Name: "n", App: "a"}, time.Now(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	a := NewAuthenticator(store, nil)
	header := "Bearer " + shown.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
}
