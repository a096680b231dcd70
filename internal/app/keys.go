package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/phone"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// KeySpec asks for an API key.
type KeySpec struct {
	Name   string // for people, and the app's name where App is empty
	App    string
	Scopes []string // none are all
	Life   time.Duration
}

// CreateKey makes an API key in the store, which running services may have open:
// the key works at once. The string is shown once.
func CreateKey(ctx context.Context, c Config, spec KeySpec) (access.Key, secret.String, error) {
	keys, err := openKeys(ctx, c)
	if err != nil {
		return access.Key{}, secret.String{}, err
	}
	defer func() { _ = keys.Close() }()
	now := time.Now()
	s := access.Spec{Name: spec.Name, App: spec.App}
	if s.App == "" {
		s.App = spec.Name
	}
	for _, scope := range spec.Scopes {
		s.Scopes = append(s.Scopes, access.Scope(scope))
	}
	if spec.Life > 0 {
		s.ExpiresAt = now.Add(spec.Life)
	}
	return access.Create(ctx, keys, s, now, rand.Reader)
}

// ListKeys returns the API keys, the oldest first; no secret is among them.
func ListKeys(ctx context.Context, c Config) ([]access.Key, error) {
	p, err := c.place()
	if err != nil {
		return nil, err
	}
	if !p.shared() {
		if err := ranIn(c.Data); err != nil {
			return nil, err // to look makes nothing
		}
	}
	keys, err := p.openKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = keys.Close() }()
	return keys.List(ctx)
}

// RevokeKey ends a key for good. A running service refuses it within seconds.
func RevokeKey(ctx context.Context, c Config, id string) error {
	keys, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	return keys.Revoke(ctx, id, time.Now())
}

func openKeys(ctx context.Context, c Config) (keyStore, error) {
	p, err := c.place()
	if err != nil {
		return nil, err
	}
	if p.shared() {
		return p.openKeys(ctx)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", c.Data, cause(err))
	}
	if _, err := os.Stat(p.file); errors.Is(err, fs.ErrNotExist) {
		// As a first start does: a database without a server key means a lost one.
		if _, _, err := serverKeys(c.Data, os.Getenv); err != nil {
			return nil, err
		}
	}
	return p.openKeys(ctx)
}

// ClearLimits gives a locked-out person back their tries, at one app. Counters
// are named by their limit, so the config's numbers do not matter here.
func ClearLimits(ctx context.Context, c Config, getenv func(string) string, app string, to phone.Number) error {
	p, err := c.place()
	if err != nil {
		return err
	}
	ring, err := c.existingKeys(p, getenv)
	if err != nil {
		return err
	}
	store, err := p.openStore(ctx, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if err := knownApp(ctx, c, app); err != nil {
		return err
	}
	policy := verify.DefaultPolicy()
	names := []string{onlyConnector}
	for _, s := range c.connectors() {
		names = append(names, s.Name)
	}
	return p.explain(verify.ClearLimits(ctx, store, ring, &policy.Limits, app, to, names...))
}

// existingKeys are the keys of a service that has run. Another key finds nothing
// of what those made, so none is made, nor is it said how.
func (c Config) existingKeys(p place, getenv func(string) string) (*verify.Keyring, error) {
	if !p.shared() {
		if err := ranIn(c.Data); err != nil {
			return nil, err
		}
	}
	ring, err := givenKeys(c.Data, getenv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &ConfigError{fmt.Errorf("server key: only the service's own finds the limits of a number, and it is not here; set %s, or put it into %s", KeyEnv, keyFile(c.Data))}
	}
	return ring, err
}

// knownApp refuses an app that neither a key nor the config names: whoever
// mistypes one would clear nothing and be told that it was done.
func knownApp(ctx context.Context, c Config, app string) error {
	if _, ok := c.Apps[app]; ok {
		return nil
	}
	keys, err := ListKeys(ctx, c)
	if err != nil || slices.ContainsFunc(keys, func(k access.Key) bool { return k.App == app }) {
		return err
	}
	return fmt.Errorf("there is no app %s; keys list names them", app)
}
