package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrate brings the tables of a database that exists up to date, as Open does,
// and returns their version before and after. Zero is before the first.
func Migrate(ctx context.Context, path string) (before, after int64, err error) {
	if path, err = existing(path); err != nil {
		return 0, 0, err
	}
	if before, err = version(ctx, path); err != nil {
		return 0, 0, err
	}
	if err = migrate(ctx, path); err != nil {
		return before, before, err
	}
	after, err = version(ctx, path)
	return before, after, err
}

func version(ctx context.Context, path string) (v int64, err error) {
	db, err := sql.Open("sqlite", readDSN(path))
	if err != nil {
		return 0, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var there bool
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = ?`, goose.DefaultTablename).Scan(&there)
	if err == nil && there {
		err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+goose.DefaultTablename).Scan(&v)
	}
	if err != nil {
		return 0, unavailable("read the version of the tables", err)
	}
	return v, nil
}

// migrate brings the tables up to date. Several processes may do so at once:
// who loses the race finds the work done.
func migrate(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", writeDSN(path)+"&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := reach(ctx, db); err != nil {
		return unavailable("open "+path+"; may this user write to it and its folder?", err)
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	for range migrateTries {
		if err = up(ctx, db, files); err == nil || errors.Is(err, errNewer) {
			break
		}
	}
	return err
}

// reach makes the first connection, which turns a new file to WAL. Where several
// do so at once SQLite refuses some of them without waiting, lest they wait for
// each other: these ask again.
func reach(ctx context.Context, db *sql.DB) error {
	const pause = 5 * time.Millisecond
	for start := time.Now(); ; <-time.After(pause) {
		err := db.PingContext(ctx)
		if !isBusy(err) || time.Since(start) > busyWait {
			return err
		}
	}
}

// migrateTries bounds how often a race is run again. Migrations hold the write
// lock, so that whoever loses one finds it done by another.
const migrateTries = 5

var errNewer = errors.New("sqlite: the database was written by a newer version of this program; use that one")

func up(ctx context.Context, db *sql.DB, files fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("sqlite: read the migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return unavailable("read the version of the tables", err)
	case current == target:
		return nil
	case current > target:
		return errNewer
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable("bring the tables up to date", err)
	}
	return nil
}
