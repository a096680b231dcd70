package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/store/commit"
)

// Options say where the store is.
type Options struct {
	// URL is the database's address, as pgx reads it: several hosts, TLS,
	// target_session_attrs and pool_max_conns (4) among the rest. Where it does
	// not say otherwise, a server must take writes, and a connection must be made
	// within 2 s.
	URL secret.String
	// Now is the clock of operations; nil is the database's, which all replicas
	// share.
	Now func() time.Time
	// Observe is told the size of each transaction and how long it took; nil is
	// nobody. It must be quick.
	Observe func(batchSize int, took time.Duration)
}

// readers is the size of the pool that reads, purges and asks, unless the URL
// has another.
const readers = 4

// Open connects, and brings the tables up to date. An error says what to do;
// where the database cannot be reached, it is verify.ErrUnavailable.
func Open(ctx context.Context, o Options) (*Store, error) {
	pool, err := openPool(ctx, o.URL, readers)
	if err != nil {
		return nil, err
	}
	s := &Store{
		pool: pool, clock: o.Now, sweeps: newSweeps(),
	}
	s.writer = newWriter(pool.Config().ConnConfig, o.Now)
	s.writer.made, s.writer.purged = &s.days, &s.purged
	s.days.Store(&daySet{})
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.writer.lost = s.lose
	if err := errors.Join(s.makePartitions(ctx), s.writer.connectFirst(ctx)); err != nil {
		s.end()
		s.writer.hangUp() //nolint:contextcheck // It says goodbye also when ctx is over.
		pool.Close()
		return nil, unavailable("open", err)
	}
	s.queue = commit.New(s.writer.run, commit.Options{Observe: o.Observe})
	return s, nil
}

// openPool makes a pool of connections to a database whose tables are up to date.
func openPool(ctx context.Context, url secret.String, size int32) (*pgxpool.Pool, error) {
	config, err := configure(url.Reveal())
	if err != nil {
		return nil, err
	}
	if !strings.Contains(url.Reveal(), "pool_max_conns") {
		config.MaxConns = max(size, config.MinConns)
	}
	if err := migrate(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, unavailable("open", err)
	}
	return pool, nil
}
