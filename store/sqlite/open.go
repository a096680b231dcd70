package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// Options say where the store is.
type Options struct {
	// Path is the database file. It is made when it is missing, for its owner
	// alone, and so is its folder.
	Path string
	// Now is the clock of operations; nil is time.Now.
	Now func() time.Time
	// Observe is told the size of each transaction and how long it took; nil is
	// nobody. It must be quick.
	Observe func(batchSize int, took time.Duration)
	// Log is told when a table refuses a row that was promised to be kept; nil is
	// nobody.
	Log *slog.Logger
}

const (
	// readers is the size of the read pool: reads are short and in memory.
	readers = 4
	// busyWait is for how long another process may hold the lock that a reader
	// or the writer needs. The writer's connection, once made, does the waiting
	// itself: see writer.lock.
	busyWait = 5 * time.Second
)

// Open opens the store and brings its tables up to date. An error says what to
// do; where the disk is the cause, it is verify.ErrUnavailable.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	path, err := prepareFile(o.Path)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}
	s := &Store{now: o.Now}
	if s.keeper, err = newKeeper(path, o); err != nil {
		return nil, err
	}
	s.files, s.redo = s.keeper.files, s.keeper.redo
	if err := s.connect(ctx, path); err != nil {
		return nil, errors.Join(unavailable("open "+path, err), s.disconnect())
	}
	s.queue = commit.New(s.writer.run, commit.Options{Observe: o.Observe, Sync: s.sync})
	s.tasks = commit.New(s.keeper.run, commit.Options{})
	tidy, end := context.WithCancel(context.WithoutCancel(ctx)) // until Close
	var wg sync.WaitGroup
	wg.Go(func() { s.tidy(tidy) })
	wg.Go(func() { s.learn(tidy) })
	s.end = func() { end(); wg.Wait() }
	s.close = sync.OnceValue(s.closeOnce)
	return s, nil
}

// newKeeper opens the files of the redo log beside a database whose tables are up
// to date.
func newKeeper(path string, o Options) (*keeper, error) {
	connector, err := sqlite.NewConnector(writeDSN(path))
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	k := &keeper{connector: connector, now: o.Now, log: o.Log, bite: purgeBite, tick: time.Now, redo: newRedo()}
	if k.files, err = openFiles(path); err != nil {
		return nil, fmt.Errorf("sqlite: open the redo log; may this user write to its folder? %w: %w", verify.ErrUnavailable, err)
	}
	return k, nil
}

// connect makes the connections, and takes over what was left behind in the redo
// log.
func (s *Store) connect(ctx context.Context, path string) (err error) {
	connector, err := sqlite.NewConnector(readDSN(path))
	if err != nil {
		return err
	}
	s.writer = &writer{
		connector: connector, now: s.now, files: s.files, redo: s.redo, keeper: s.keeper,
		full: make(chan struct{}, 1), fullRows: fullRows, learn: make(chan *known, 1),
	}
	if s.pool, err = sql.Open("sqlite", readDSN(path)); err != nil {
		return err
	}
	s.pool.SetMaxOpenConns(readers)
	s.pool.SetMaxIdleConns(readers)
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.keeper.open(); err != nil { //nolint:contextcheck // A transaction that has begun is not broken off.
		return err
	}
	s.writer.anew()
	return nil
}

// disconnect undoes what connect did of it.
func (s *Store) disconnect() error {
	errs := []error{s.writer.close(), s.keeper.close(), s.files.close()}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) sync() error {
	if err := s.files.sync(); err != nil {
		return unavailable("sync the redo log", err)
	}
	return nil
}

// prepare makes the readers' statements. Closing the pool ends them too.
func (s *Store) prepare(ctx context.Context) (err error) {
	if s.get, err = s.pool.PrepareContext(ctx, selectVerification); err != nil {
		return err
	}
	if s.due, err = s.pool.PrepareContext(ctx, selectDue); err != nil {
		return err
	}
	s.list, err = s.pool.PrepareContext(ctx, selectList)
	return err
}

// selectDue says due > 0 because that is what the index is of.
const selectDue = `SELECT id, due FROM verifications WHERE due > 0 AND due <= ? ORDER BY due`

// prepareFile makes the folder and the file with modes that keep others out:
// the file holds phone numbers. SQLite gives the files beside it the same mode.
// A file that exists is not opened: POSIX gives up all locks that a process has
// on a file when it closes any descriptor of it, and a store that lost SQLite's
// would have its log deleted by the next process that comes and goes.
func prepareFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("sqlite: no path is given")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("sqlite: make the data folder: %w: %w", verify.ErrUnavailable, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // The operator says where.
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, fs.ErrExist):
		err = keepOthersOut(path)
	}
	if err != nil {
		return "", fmt.Errorf("sqlite: make the database; may this user write to its folder? %w: %w", verify.ErrUnavailable, err)
	}
	return resolved(path)
}

// resolved is the file itself, where the path is a link to it: the redo log must
// stand beside it by whatever name it is opened, as SQLite's own does.
func resolved(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("sqlite: %w: %w", verify.ErrUnavailable, err)
	}
	return path, nil
}

func keepOthersOut(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, info.Mode().Perm()&^fs.FileMode(0o077)); err != nil {
			return err
		}
	}
	return writable(path) // SQLite opens one that is not, and fails later
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{}
	q["_pragma"] = append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()),
		"temp_store(memory)", // no file beside the database holds its contents
	}, pragmas...)
	// As a path an URL escapes what SQLite would read as its own: ? # and %.
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

func writeDSN(path string) string {
	return dsn(path,
		"journal_mode(wal)",
		"synchronous(full)", // a commit is on the disk before it is answered
		"foreign_keys(off)",
		"cache_size(-32768)", // 32 MiB: the pages of the rows in use
		// 16,000 pages are 64 MiB: fewer, larger moves into the database file;
		// measured a quarter faster than the default of 1,000.
		"wal_autocheckpoint(16000)",
		"secure_delete(on)", // neither a purged number nor what the redo log had stays readable
	)
}

func readDSN(path string) string { return dsn(path, "query_only(on)") }
