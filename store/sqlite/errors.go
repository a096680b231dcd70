package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/sixdigit/sixdigit/verify"
)

// unavailable wraps an error of the database, so that verify.ErrUnavailable is
// found in it. SQLite's texts name codes, tables and columns, never values.
func unavailable(step string, err error) error {
	if errors.Is(err, verify.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("sqlite: %s: %w: %w", step, verify.ErrUnavailable, err)
}

// code returns the primary result code of SQLite, 0 when err is not SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isBusy reports whether another connection held the lock.
func isBusy(err error) bool { return code(err) == codes.SQLITE_BUSY }

// isConstraint reports whether a statement failed on what it said. It then
// changed nothing, and its transaction goes on.
func isConstraint(err error) bool { return code(err) == codes.SQLITE_CONSTRAINT }

// isRefused reports whether a statement failed on the row that it would have
// written or the pages that it would have gone to. Its transaction goes on; that
// of a disk that is full or fails does not.
func isRefused(err error) bool {
	switch code(err) {
	case codes.SQLITE_CORRUPT, codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH, codes.SQLITE_TOOBIG:
		return true
	default:
		return errors.Is(err, errRedo)
	}
}
