package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/secret"
)

// Keys keeps API keys, in the same database as the verifications and apart from
// their writer: keys change a few times a day, often by another process.
type Keys struct {
	pool    *pgxpool.Pool
	lookups breaker
}

var _ access.Store = (*Keys)(nil)

const keyColumns = `id, hash, name, app, scopes, created, used, revoked, expires`

// keyReaders is the size of the pool: a process that serves remembers the keys.
const keyReaders = 2

// OpenKeys opens the keys of a database, and brings its tables up to date.
func OpenKeys(ctx context.Context, url secret.String) (*Keys, error) {
	pool, err := openPool(ctx, url, keyReaders)
	if err != nil {
		return nil, err
	}
	return &Keys{pool: pool}, nil
}

// Close closes the connections.
func (k *Keys) Close() error {
	k.pool.Close()
	return nil
}

// Insert implements access.Store.
func (k *Keys) Insert(ctx context.Context, key access.Key) error {
	_, err := k.exec(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		key.ID, key.Hash[:], key.Name, key.App, joinScopes(key.Scopes),
		micros(key.CreatedAt), days(key.UsedOn), micros(key.RevokedAt), micros(key.ExpiresAt))
	switch {
	case code(err) == codeUnique:
		return fmt.Errorf("postgres: insert a key: its id exists: %w", err)
	case err != nil:
		return unavailable("insert a key", err)
	}
	return nil
}

// ByID implements access.Store.
func (k *Keys) ByID(ctx context.Context, id string) (key access.Key, err error) {
	err = k.lookups.read(ctx, func(ctx context.Context) error {
		key, err = scanKey(k.pool.QueryRow(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id))
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return access.Key{}, access.ErrNoKey
	case err != nil:
		return access.Key{}, unavailable("read a key", err)
	}
	return key, nil
}

// List implements access.Store.
func (k *Keys) List(ctx context.Context) (keys []access.Key, err error) {
	err = read(ctx, func(ctx context.Context) error {
		rows, err := k.pool.Query(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY created, id COLLATE "C"`)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (access.Key, error) { return scanKey(row) })
		return err
	})
	if err != nil {
		return nil, unavailable("list the keys", err)
	}
	return keys, nil
}

// Revoke implements access.Store.
func (k *Keys) Revoke(ctx context.Context, id string, at time.Time) error {
	return k.update(ctx, "revoke a key", `UPDATE api_keys SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2`, micros(at), id)
}

// Touch implements access.Store.
func (k *Keys) Touch(ctx context.Context, id string, day time.Time) error {
	return k.update(ctx, "note a key's use", `UPDATE api_keys SET used = greatest(used, $1) WHERE id = $2`, days(day), id)
}

func (k *Keys) update(ctx context.Context, step, query string, args ...any) error {
	tag, err := k.exec(ctx, query, args...)
	switch {
	case err != nil:
		return unavailable(step, err)
	case tag.RowsAffected() == 0:
		return access.ErrNoKey
	}
	return nil
}

func (k *Keys) exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	ctx, cancel := context.WithTimeout(ctx, tripWait)
	defer cancel()
	return k.pool.Exec(ctx, query, args...)
}

func scanKey(row pgx.Row) (access.Key, error) {
	var (
		key                             access.Key
		hash                            []byte
		scopes                          string
		created, used, revoked, expires int64
	)
	if err := row.Scan(&key.ID, &hash, &key.Name, &key.App, &scopes, &created, &used, &revoked, &expires); err != nil {
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
