package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/transfer"
)

var _ access.ServiceStore = (*Keys)(nil)

// SaveService implements access.ServiceStore.
func (k *Keys) SaveService(ctx context.Context, s access.Service) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("postgres: encode a service: %w", err)
	}
	_, err = k.exec(ctx, `INSERT INTO services (sid, app, created, data) VALUES ($1, $2, $3, $4)
		ON CONFLICT (sid) DO UPDATE SET app = excluded.app, created = excluded.created, data = excluded.data`,
		s.SID, s.App, micros(s.CreatedAt), data)
	if err != nil {
		return unavailable("save a service", err)
	}
	return nil
}

// Service implements access.ServiceStore.
func (k *Keys) Service(ctx context.Context, sid string) (s access.Service, err error) {
	err = read(ctx, func(ctx context.Context) error {
		s, err = scanService(k.pool.QueryRow(ctx, `SELECT sid, data FROM services WHERE sid = $1`, sid))
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s, access.ErrNoService
	case err != nil:
		return s, unavailable("read a service", err)
	}
	return s, nil
}

// Services implements access.ServiceStore.
func (k *Keys) Services(ctx context.Context, app string) (all []access.Service, err error) {
	err = read(ctx, func(ctx context.Context) error {
		rows, err := k.pool.Query(ctx, `SELECT sid, data FROM services WHERE app = $1 ORDER BY created, sid`, app)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (access.Service, error) { return scanService(row) })
		return err
	})
	if err != nil {
		return nil, unavailable("list services", err)
	}
	return all, nil
}

func scanService(row pgx.Row) (s access.Service, err error) {
	var sid string
	var data []byte
	if err := row.Scan(&sid, &data); err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("service %s: %w", sid, err)
	}
	s.SID, s.CreatedAt, s.UpdatedAt = sid, fromMicros(micros(s.CreatedAt)), fromMicros(micros(s.UpdatedAt))
	return s, nil
}

func (h *handover) services(ctx context.Context, tx pgx.Tx) error {
	var s transfer.Service
	return h.read(ctx, tx, `SELECT sid, app, created, data FROM services`,
		[]any{&s.SID, &s.App, &s.Created, &s.Data}, func() { h.rows.Services = append(h.rows.Services, s) })
}
