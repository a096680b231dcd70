package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/internal/access"
)

// Keys keeps API keys, in the same file as the verifications and apart from
// their writer: keys change a few times a day, often by another process.
type Keys struct {
	read, write *sql.DB
	byID        *sql.Stmt
}

var _ access.Store = (*Keys)(nil)

const keyColumns = `id, hash, name, app, scopes, created, used, revoked, expires`

// OpenKeys opens the keys of a database, which need not exist yet. It may be
// open elsewhere.
func OpenKeys(ctx context.Context, path string) (*Keys, error) {
	path, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}
	k := &Keys{}
	if k.read, err = sql.Open("sqlite", readDSN(path)); err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	k.read.SetMaxOpenConns(2)
	if k.write, err = sql.Open("sqlite", writeDSN(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), k.read.Close())
	}
	k.write.SetMaxOpenConns(1)
	k.write.SetMaxIdleConns(0) // a write is rare; a page cache for it is not worth keeping
	if k.byID, err = k.read.PrepareContext(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = ?`); err != nil {
		return nil, errors.Join(unavailable("open the keys", err), k.Close())
	}
	return k, nil
}

// Close closes the database.
func (k *Keys) Close() error {
	var err error
	if k.byID != nil {
		err = k.byID.Close()
	}
	return errors.Join(err, k.read.Close(), k.write.Close())
}

// Insert implements access.Store.
func (k *Keys) Insert(ctx context.Context, key access.Key) error {
	_, err := k.write.ExecContext(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		key.ID, key.Hash[:], key.Name, key.App, joinScopes(key.Scopes),
		micros(key.CreatedAt), days(key.UsedOn), micros(key.RevokedAt), micros(key.ExpiresAt))
	switch {
	case isConstraint(err):
		return fmt.Errorf("sqlite: insert a key: its id exists: %w", err)
	case err != nil:
		return unavailable("insert a key", err)
	}
	return nil
}

// ByID implements access.Store.
func (k *Keys) ByID(ctx context.Context, id string) (access.Key, error) {
	key, err := scanKey(k.byID.QueryRowContext(ctx, id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return access.Key{}, access.ErrNoKey
	case err != nil:
		return access.Key{}, unavailable("read a key", err)
	}
	return key, nil
}

// List implements access.Store.
func (k *Keys) List(ctx context.Context) (keys []access.Key, err error) {
	rows, err := k.read.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY created, id`)
	if err != nil {
		return nil, unavailable("list the keys", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		key, err := scanKey(rows.Scan)
		if err != nil {
			return nil, unavailable("list the keys", err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("list the keys", err)
	}
	return keys, nil
}

// Revoke implements access.Store.
func (k *Keys) Revoke(ctx context.Context, id string, at time.Time) error {
	return k.update(ctx, "revoke a key", `UPDATE api_keys SET revoked = iif(revoked = 0, ?, revoked) WHERE id = ?`, micros(at), id)
}

// Touch implements access.Store.
func (k *Keys) Touch(ctx context.Context, id string, day time.Time) error {
	return k.update(ctx, "note a key's use", `UPDATE api_keys SET used = max(used, ?) WHERE id = ?`, days(day), id)
}

func (k *Keys) update(ctx context.Context, step, query string, args ...any) error {
	r, err := k.write.ExecContext(ctx, query, args...)
	if err != nil {
		return unavailable(step, err)
	}
	n, err := r.RowsAffected()
	switch {
	case err != nil:
		return unavailable(step, err)
	case n == 0:
		return access.ErrNoKey
	}
	return nil
}

func scanKey(scan func(...any) error) (access.Key, error) {
	var (
		key                             access.Key
		hash                            []byte
		scopes                          string
		created, used, revoked, expires int64
	)
	if err := scan(&key.ID, &hash, &key.Name, &key.App, &scopes, &created, &used, &revoked, &expires); err != nil {
		return access.Key{}, err
	}
	if copy(key.Hash[:], hash) != sha256.Size {
		return access.Key{}, fmt.Errorf("key %s: its hash is not %d bytes", key.ID, sha256.Size)
	}
	for scope := range strings.FieldsSeq(scopes) {
		key.Scopes = append(key.Scopes, access.Scope(scope))
	}
	key.CreatedAt, key.RevokedAt, key.ExpiresAt = fromMicros(created), fromMicros(revoked), fromMicros(expires)
	if used != 0 {
		key.UsedOn = time.Unix(used*secondsPerDay, 0).UTC()
	}
	return key, nil
}

const secondsPerDay = 24 * 60 * 60

// days counts the days since 1970; zero is none.
func days(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix() / secondsPerDay
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func joinScopes(scopes []access.Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}
