package sqlite

import (
	"cmp"
	"context"
	"errors"
	"slices"

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

// named is a verification as it is kept.
type named struct {
	id, number string
	data       []byte
}

func (s *Store) listed(ctx context.Context, from, below string, limit int) ([]*verify.Verification, error) {
	all, err := s.listTable(ctx, from, below, limit)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(b.id, a.id) })
	var list []*verify.Verification
	for _, n := range all[:min(limit, len(all))] {
		v, err := verify.ReadVerification(n.id, n.number, n.data)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// listTable returns those that stand in the redo log, and beside them the first
// of the table.
func (s *Store) listTable(ctx context.Context, from, below string, limit int) (all []named, err error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	logged, last := s.redo.between(from, below)
	if err := s.durable(ctx, last); err != nil {
		return nil, err
	}
	for id, r := range logged {
		all = append(all, named{id, string(r.number), r.data})
	}
	rows, err := s.list.QueryContext(ctx, from, below, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n named
		if err := rows.Scan(&n.id, &n.number, &n.data); err != nil {
			return nil, err
		}
		if _, newer := logged[n.id]; !newer {
			all = append(all, n)
		}
	}
	return all, rows.Err()
}
