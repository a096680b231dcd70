package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/postgres"
	"github.com/sixdigit/sixdigit/store/sqlite"
)

// Copied says what was copied, and between which stores.
type Copied struct {
	From, To string
	Rows     transfer.Counts
	// KeyFile is where the service on the copy looks for the server key, and
	// Shared whether it makes none where there is none.
	KeyFile string
	Shared  bool
}

// Copy copies everything of one store into another one that is empty: all of it,
// or nothing. Each is a data folder, or the address of a PostgreSQL database; no
// service may use either. Both count their rows, and agree, before the copy is
// committed. The server key is not in a store: whoever opens the copy needs it.
func Copy(ctx context.Context, from, to secret.String) (c Copied, err error) {
	source, err := placeOf("from", from)
	if err != nil {
		return c, err
	}
	target, err := placeOf("to", to)
	if err != nil {
		return c, err
	}
	if !source.shared() {
		if err := ranIn(filepath.Dir(source.file)); err != nil {
			return c, err
		}
	}
	c.From, c.To, c.Shared = source.name, target.name, target.shared()
	if !c.Shared {
		c.KeyFile = keyFile(filepath.Dir(target.file))
	} else if !source.shared() {
		c.KeyFile = keyFile(filepath.Dir(source.file))
	}
	// First whether the source can be read: a refused copy makes no target.
	if err := source.hand(ctx, func(transfer.Rows) error { return errReadable }); err != nil && !errors.Is(err, errReadable) {
		return c, err
	}
	c.Rows, err = target.receive(ctx, source.hand)
	return c, err
}

// errReadable ends a look at a source after its first rows.
var errReadable = errors.New("the source can be read")

func placeOf(name string, address secret.String) (place, error) {
	if address.IsEmpty() {
		return place{}, &ConfigError{fmt.Errorf("--%s: name a data folder, or a URL such as postgres://sixdigit@db.example.com/sixdigit", name)}
	}
	c := Config{Data: address.Reveal()}
	if isURL(c.Data) {
		c = Config{Store: Store{address}}
	} else if err := notURL(c.Data); err != nil {
		return place{}, &ConfigError{fmt.Errorf("--%s: %w", name, err)}
	}
	p, err := c.place()
	if err != nil {
		return place{}, &ConfigError{fmt.Errorf("--%s: %w", name, errors.Unwrap(err))}
	}
	return p, nil
}

// hand hands over every row.
func (p place) hand(ctx context.Context, each func(transfer.Rows) error) error {
	if p.shared() {
		return p.explain(postgres.Export(ctx, p.url, each))
	}
	return p.explain(sqlite.Export(ctx, p.file, each))
}

// receive takes every row of a source.
func (p place) receive(ctx context.Context, from transfer.Source) (c transfer.Counts, err error) {
	source := func(ctx context.Context, each func(transfer.Rows) error) error {
		return from(ctx, func(r transfer.Rows) error { return p.explain(each(r)) })
	}
	if p.shared() {
		c, err = postgres.Import(ctx, p.url, source)
	} else {
		c, err = sqlite.Import(ctx, p.file, source)
	}
	return c, p.explain(err)
}
