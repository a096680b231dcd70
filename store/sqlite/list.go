package sqlite

import (
	"context"
	"errors"

	"github.com/sixdigit/sixdigit/verify"
)

// selectList goes along the index of ids.
const selectList = `SELECT id, number, data FROM verifications WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?`

// List implements verify.Store. It reads beside the writer.
func (s *Store) List(ctx context.Context, from, below string, limit int) ([]*verify.Verification, error) {
	all, err := s.listed(ctx, from, below, max(limit, 0)) // less than zero is no limit to SQLite
	var row *verify.RowError
	switch {
	case err == nil:
		return all, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &row):
		return nil, err
	default:
		return nil, unavailable("list verifications", err)
	}
}

func (s *Store) listed(ctx context.Context, from, below string, limit int) (all []*verify.Verification, err error) {
	rows, err := s.list.QueryContext(ctx, from, below, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, number string
		var data []byte
		if err := rows.Scan(&id, &number, &data); err != nil {
			return nil, err
		}
		v, err := verify.ReadVerification(id, number, data)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
