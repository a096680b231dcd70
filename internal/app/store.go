package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/sqlite"
	"github.com/sixdigit/sixdigit/verify"
)

// StoreEnv names the environment variable that holds the store's URL, for those
// whose URL holds a password.
const StoreEnv = "SIXDIGIT_STORE"

// Store is the URL of a PostgreSQL database, or pgx's words for one ("host=db
// dbname=codes"). It may hold a password: it prints redacted, and as YAML it
// names servers and database alone.
type Store struct{ secret.String }

// NewStore is the store at an address.
func NewStore(address string) Store { return Store{secret.New(address)} }

// MarshalYAML implements yaml.Marshaler.
func (s Store) MarshalYAML() (any, error) {
	if s.IsEmpty() {
		return "", nil
	}
	return postgres.Where(s.String)
}

// HoldsPassword reports whether a password stands in the address of a store, or
// may.
func HoldsPassword(address string) bool {
	return isURL(address) && postgres.HoldsPassword(address)
}

// isURL tells the address of a PostgreSQL database from a folder. "host=db" is
// one; a folder whose name has a = is ./a=b.
func isURL(address string) bool {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if strings.HasPrefix(address, scheme) {
			return true
		}
	}
	word, _, ok := strings.Cut(address, "=")
	word = strings.TrimSpace(word)
	return ok && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// notURL refuses a data folder that is an address: a mistyped one would become a
// folder, whose name may hold a password and is shown. So no more of it than the
// scheme is told.
func notURL(folder string) error {
	scheme, _, ok := strings.Cut(folder, "://")
	switch {
	case !ok:
		return nil
	case isURL(folder):
		return errors.New("this is a folder; a database is named as the store (--store, or store: in the config)")
	case len(scheme) > 20 || strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "":
		scheme = "…"
	}
	return fmt.Errorf("%s:// is neither a folder nor PostgreSQL, whose addresses begin with postgres:// or postgresql://", scheme)
}

// place is where verifications and API keys are kept.
type place struct {
	url  secret.String // of PostgreSQL; empty is the embedded store
	file string        // of the embedded store
	name string        // what may be told of it
}

// databaseFile is the embedded store's file in a data folder.
func databaseFile(data string) string { return filepath.Join(data, "sixdigit.db") }

func (c Config) place() (place, error) {
	if c.Store.IsEmpty() {
		if err := notURL(c.Data); err != nil {
			return place{}, &ConfigError{fmt.Errorf("data: %w", err)}
		}
		file := databaseFile(c.Data)
		return place{file: file, name: file}, nil
	}
	if !isURL(c.Store.Reveal()) {
		return place{}, &ConfigError{errors.New("store: write a URL such as postgres://sixdigit@db.example.com/sixdigit?sslmode=verify-full, or leave it out: then the database is in the data folder")}
	}
	name, err := postgres.Where(c.Store.String)
	if err != nil {
		return place{}, &ConfigError{fmt.Errorf("store: %w", err)}
	}
	return place{url: c.Store.String, name: name}, nil
}

// shared reports whether other replicas may use the same store.
func (p place) shared() bool { return !p.url.IsEmpty() }

// store is what the service needs of a store, beside what the domain does. Who
// opened it closes it.
type store interface {
	verify.Store
	verify.Outbox
	// Ready writes something durably, to learn whether the store can.
	Ready(ctx context.Context) error
	Close() error
}

// keyStore is what it needs of the store of API keys.
type keyStore interface {
	access.Store
	access.ServiceStore
	Close() error
}

// openStore opens the store. This and openKeys are the map of stores.
func (p place) openStore(ctx context.Context, observe func(batchSize int, took time.Duration), log *slog.Logger) (store, error) {
	switch {
	case p.shared():
		s, err := postgres.Open(ctx, postgres.Options{URL: p.url, Observe: observe})
		if err != nil {
			return nil, p.explain(err)
		}
		return s, nil
	default:
		s, err := sqlite.Open(ctx, sqlite.Options{Path: p.file, Observe: observe, Log: log})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// openKeys opens the API keys.
func (p place) openKeys(ctx context.Context) (keyStore, error) {
	switch {
	case p.shared():
		k, err := postgres.OpenKeys(ctx, p.url)
		if err != nil {
			return nil, p.explain(err)
		}
		return k, nil
	default:
		k, err := sqlite.OpenKeys(ctx, p.file)
		if err != nil {
			return nil, err
		}
		return k, nil
	}
}

// trouble is an error of a database, in words that name no more of it than may be
// told.
type trouble struct {
	text string
	err  error
}

func (t *trouble) Error() string { return t.text }

func (t *trouble) Unwrap() error { return t.err }

// explain says what is wrong with the store. An error that a store has explained
// already stays as it is: in a copy each meets those of the other.
func (p place) explain(err error) error {
	if told := (*trouble)(nil); err == nil || errors.As(err, &told) {
		return err
	}
	if !p.shared() {
		return &trouble{err.Error(), err}
	}
	return &trouble{"the database " + p.name + ": " + postgres.Explain(err), err}
}

// Migration is what became of a store's tables.
type Migration struct {
	Store         string // where they are
	Before, After int64  // their version; 0 is none
}

// Migrate brings the tables of the store up to date, which a service does by
// itself when it starts. An embedded store must exist: its first start makes a
// server key too.
func Migrate(ctx context.Context, c Config) (m Migration, err error) {
	p, err := c.place()
	if err != nil {
		return m, err
	}
	m.Store = p.name
	if p.shared() {
		m.Before, m.After, err = postgres.Migrate(ctx, p.url)
		return m, p.explain(err)
	}
	if err := ranIn(c.Data); err != nil {
		return m, err
	}
	m.Before, m.After, err = sqlite.Migrate(ctx, p.file)
	return m, err
}

// ranIn fails where there is no embedded store.
func ranIn(data string) error {
	if _, err := os.Stat(databaseFile(data)); err != nil {
		return fmt.Errorf("no service has run in %s: %w", data, cause(err))
	}
	return nil
}
