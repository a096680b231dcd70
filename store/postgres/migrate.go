package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrateTries bounds how often a lost race is run again: the tables that keep
// the version and the lock are made by all who come at once.
const migrateTries = 10

// errNewer is for tables that this program cannot live with.
var errNewer = errors.New("postgres: the database was written by a newer version of this program; use that one")

// migrate brings the tables up to date. Replicas may do so at once: one of them
// holds the lock, a row in a table, and the others find the work done.
func migrate(ctx context.Context, config *pgx.ConnConfig) error {
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	for n := 1; ; n++ {
		err := up(ctx, db, files)
		if c := code(err); err == nil || n == migrateTries || c != codeUnique && c != codeTableExists && c != codeNoTable {
			return err
		}
		<-time.After(jitter(time.Duration(n) * 10 * time.Millisecond))
	}
}

// How the lock is held: whoever dies with it is waited for this long.
const (
	migrateLease = 15 * time.Second
	migrateBeat  = 3 * time.Second
	migratePoll  = 50 * time.Millisecond
	migrateWait  = 10 * time.Minute
)

func up(ctx context.Context, db *sql.DB, files fs.FS) error {
	quiet := slog.New(slog.DiscardHandler)
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLeaseDuration(migrateLease), lock.WithTableHeartbeatInterval(migrateBeat),
		lock.WithTableLockTimeout(migratePoll, uint64(migrateWait/migratePoll)), lock.WithTableLogger(quiet))
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithLocker(locker))
	if err != nil {
		return fmt.Errorf("postgres: read the migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return unavailable("read the version of the tables", err)
	case current == target:
		return nil
	case current > target:
		return compatible(ctx, db, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable("bring the tables up to date", err)
	}
	return nil
}

// compatible lets a program of the version before run on tables that a newer one
// has brought up to date, as replicas do in the middle of an upgrade: so one that
// crashes may come back.
func compatible(ctx context.Context, db *sql.DB, known int64) error {
	var oldest int64
	switch err := db.QueryRowContext(ctx, `SELECT oldest FROM compatible`).Scan(&oldest); {
	case err != nil:
		return unavailable("read with which versions the tables go", err)
	case known < oldest:
		return errNewer
	}
	return nil
}
