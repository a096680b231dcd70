package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refreshAfter is when a remembered key is looked up again, by one caller;
	// the others go on with what is remembered until staleAfter.
	refreshAfter = 2 * time.Second
	// staleAfter bounds for how long a revoked key may still work.
	staleAfter = 5 * time.Second
	// maxRemembered bounds the memory: about 1 MB. Only keys whose secret was
	// right are remembered, so strangers cannot fill it.
	maxRemembered = 4096
	// lookups at once, for ids that are not remembered and for those that are:
	// a flood of invented ids must not hold up keys in use.
	maxLookups = 8
	// gateWait is how long a lookup may wait for its turn.
	gateWait = time.Second
	// touchTimeout bounds the note of the day of use, which a request waits for
	// once a day.
	touchTimeout = 500 * time.Millisecond
)

// Errors of Authenticate. The first three wrap ErrUnauthorized; which of them it
// was is for the operator's log.
var (
	// ErrUnauthorized is for a header without a key that works.
	ErrUnauthorized = errors.New("access: not authenticated")
	// ErrUnknownKey is for no key, a broken one, or one that does not exist.
	ErrUnknownKey = fmt.Errorf("%w: no such key", ErrUnauthorized)
	// ErrRevoked is for a key that was revoked.
	ErrRevoked = fmt.Errorf("%w: the key is revoked", ErrUnauthorized)
	// ErrExpired is for a key whose time is over.
	ErrExpired = fmt.Errorf("%w: the key has expired", ErrUnauthorized)
	// ErrBusy says that too many unknown keys are being looked up.
	ErrBusy = errors.New("access: too many keys are being looked up")
)

// Caller is who a request comes from.
type Caller struct {
	App    string
	KeyID  string
	scopes []Scope
}

// May reports whether the caller's key has one of the scopes.
func (c Caller) May(anyOf ...Scope) bool {
	return slices.ContainsFunc(anyOf, func(s Scope) bool { return slices.Contains(c.scopes, s) })
}

// Authenticator tells who calls. Its methods may be called by many goroutines.
type Authenticator struct {
	store Store
	now   func() time.Time
	log   *slog.Logger

	mu    sync.RWMutex
	known map[string]*entry
	asked map[string]*lookup // the lookups under way, by id
	fault error              // of the last lookup; nil where the store answered

	forNew, forKnown chan struct{} // one token for each lookup under way
}

// entry is a remembered key. The key itself is replaced, never changed.
type entry struct {
	key        Key
	at         time.Time // when it was looked up
	refreshing atomic.Bool
	touching   atomic.Bool
}

// NewAuthenticator makes an Authenticator. A nil log is silent.
func NewAuthenticator(store Store, log *slog.Logger) *Authenticator {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Authenticator{
		store: store, now: time.Now, log: log, known: map[string]*entry{}, asked: map[string]*lookup{},
		forNew: make(chan struct{}, maxLookups), forKnown: make(chan struct{}, maxLookups),
	}
}

// Authenticate reads the value of an Authorization header: "Bearer" and a key.
// Errors: those that wrap ErrUnauthorized, ErrBusy, ctx's, and the store's.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Caller, error) {
	scheme, key, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Caller{}, ErrUnknownKey
	}
	id, hidden, ok := split(strings.Trim(key, " "))
	if !ok {
		return Caller{}, ErrUnknownKey
	}
	e, err := a.find(ctx, id)
	if err != nil {
		return Caller{}, err
	}
	hash := sha256.Sum256([]byte(hidden))
	if subtle.ConstantTimeCompare(hash[:], e.key.Hash[:]) != 1 {
		return Caller{}, ErrUnknownKey
	}
	now := a.now()
	switch {
	case !e.key.RevokedAt.IsZero():
		err = ErrRevoked
	case !e.key.ExpiresAt.IsZero() && !now.Before(e.key.ExpiresAt):
		err = ErrExpired
	}
	a.remember(e)
	if err != nil {
		return Caller{}, err
	}
	a.touch(ctx, e, now)
	return Caller{App: e.key.App, KeyID: e.key.ID, scopes: e.key.Scopes}, nil
}

// find returns a key as it was seconds ago at most.
func (a *Authenticator) find(ctx context.Context, id string) (*entry, error) {
	a.mu.RLock()
	e := a.known[id]
	a.mu.RUnlock()
	if e == nil {
		return a.look(ctx, id, a.forNew)
	}
	age := a.now().Sub(e.at)
	switch {
	case age < 0, age >= staleAfter: // below zero the clock jumped back
		return a.look(ctx, id, a.forKnown)
	case age >= refreshAfter && e.refreshing.CompareAndSwap(false, true):
		defer e.refreshing.Store(false)
		fresh, err := a.look(ctx, id, a.forKnown)
		if err != nil && !errors.Is(err, ErrUnauthorized) {
			return e, nil // a store that stumbles; there is time until staleAfter
		}
		return fresh, err
	}
	return e, nil
}

// lookup is one lookup under way: who needs the same key meanwhile waits for it.
type lookup struct {
	done  chan struct{} // closed when the rest is set
	entry *entry
	err   error
	own   bool // err is about the one who asked: its context was done
}

// look asks the store, or waits for whoever is asking it for the same key. What
// others have asked for counts while it is fresh. When the store has just failed,
// one finds out whether it is back, and nobody waits for that.
func (a *Authenticator) look(ctx context.Context, id string, gate chan struct{}) (*entry, error) {
	for {
		a.mu.Lock()
		l, asked := a.asked[id]
		if !asked {
			l = &lookup{done: make(chan struct{})}
			a.asked[id] = l
		}
		fault := a.fault
		a.mu.Unlock()
		switch {
		case !asked:
			return a.lead(ctx, id, gate, l)
		case fault != nil:
			return nil, fault
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case l.own:
		case l.err != nil:
			return nil, l.err
		default:
			if age := a.now().Sub(l.entry.at); age >= 0 && age < refreshAfter {
				return l.entry, nil
			}
		}
	}
}

// lead asks the store for all who wait for l.
func (a *Authenticator) lead(ctx context.Context, id string, gate chan struct{}, l *lookup) (*entry, error) {
	l.own = true // should the store panic
	defer func() {
		a.mu.Lock()
		delete(a.asked, id)
		switch {
		case l.err == nil, errors.Is(l.err, ErrUnauthorized):
			a.fault = nil
		case !l.own && !errors.Is(l.err, ErrBusy):
			a.fault = l.err
		}
		a.mu.Unlock()
		close(l.done)
	}()
	l.entry, l.err = a.ask(ctx, id, gate)
	l.own = l.err != nil && ctx.Err() != nil
	return l.entry, l.err
}

// ask asks the store, in its turn.
func (a *Authenticator) ask(ctx context.Context, id string, gate chan struct{}) (*entry, error) {
	select {
	case gate <- struct{}{}:
	default:
		wait := time.NewTimer(gateWait)
		defer wait.Stop()
		select {
		case gate <- struct{}{}:
		case <-wait.C:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-gate }()
	at := a.now() // before the store is asked: what it answers is no older
	k, err := a.store.ByID(ctx, id)
	switch {
	case errors.Is(err, ErrNoKey):
		a.forget(id)
		return nil, ErrUnknownKey
	case err != nil:
		return nil, fmt.Errorf("access: look a key up: %w", err)
	}
	return &entry{key: k, at: at}, nil
}

// remember keeps an entry whose secret was right.
func (a *Authenticator) remember(e *entry) {
	a.mu.RLock()
	old := a.known[e.key.ID]
	a.mu.RUnlock()
	if old == e || old != nil && old.at.After(e.at) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.known[e.key.ID]; !ok && len(a.known) >= maxRemembered {
		for id := range a.known { // any one: it costs its owner one lookup
			delete(a.known, id)
			break
		}
	}
	a.known[e.key.ID] = e
}

func (a *Authenticator) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, id)
}

// touch notes the day of use, once a day. A store that cannot write now is
// asked again when the key is next looked up: the note is worth no failure.
func (a *Authenticator) touch(ctx context.Context, e *entry, now time.Time) {
	day := Day(now)
	if !day.After(e.key.UsedOn) || !e.touching.CompareAndSwap(false, true) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchTimeout)
	defer cancel()
	if err := a.store.Touch(ctx, e.key.ID, day); err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "day of use not noted", slog.String("key", e.key.ID), slog.String("error", err.Error()))
	}
}
