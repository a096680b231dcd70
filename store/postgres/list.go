package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/verify"
)

// selectList goes along the primary keys of the partitions, the newest first.
const selectList = `SELECT id, number, data FROM verifications
	WHERE day BETWEEN $1 AND $2 AND id >= $3 AND id < $4 ORDER BY day DESC, id DESC LIMIT $5`

// List implements verify.Store. It reads beside the writer.
func (s *Store) List(ctx context.Context, from, below string, limit int) ([]*verify.Verification, error) {
	type listed struct {
		ID, Number string
		Data       []byte
	}
	var found []listed
	err := read(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectList, dayOf(from), dayOf(below), from, below, max(limit, 0))
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[listed])
		return err
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("list verifications", err)
	}
	all := make([]*verify.Verification, 0, len(found))
	for _, f := range found {
		v, err := verify.ReadVerification(f.ID, f.Number, f.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
