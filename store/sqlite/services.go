package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/internal/transfer"
)

var _ access.ServiceStore = (*Keys)(nil)

// SaveService implements access.ServiceStore.
func (k *Keys) SaveService(ctx context.Context, s access.Service) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("sqlite: encode a service: %w", err)
	}
	_, err = k.write.ExecContext(ctx, `INSERT INTO services (sid, app, created, data) VALUES (?, ?, ?, ?)
		ON CONFLICT (sid) DO UPDATE SET app = excluded.app, created = excluded.created, data = excluded.data`,
		s.SID, s.App, micros(s.CreatedAt), data)
	if err != nil {
		return unavailable("save a service", err)
	}
	return nil
}

// Service implements access.ServiceStore.
func (k *Keys) Service(ctx context.Context, sid string) (access.Service, error) {
	s, err := scanService(k.read.QueryRowContext(ctx, `SELECT sid, data FROM services WHERE sid = ?`, sid).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, access.ErrNoService
	case err != nil:
		return s, unavailable("read a service", err)
	}
	return s, nil
}

// Services implements access.ServiceStore.
func (k *Keys) Services(ctx context.Context, app string) (all []access.Service, err error) {
	rows, err := k.read.QueryContext(ctx, `SELECT sid, data FROM services WHERE app = ? ORDER BY created, sid`, app)
	if err != nil {
		return nil, unavailable("list services", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		s, err := scanService(rows.Scan)
		if err != nil {
			return nil, unavailable("list services", err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("list services", err)
	}
	return all, nil
}

func scanService(scan func(...any) error) (s access.Service, err error) {
	var sid string
	var data []byte
	if err := scan(&sid, &data); err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("service %s: %w", sid, err)
	}
	s.SID, s.CreatedAt, s.UpdatedAt = sid, fromMicros(micros(s.CreatedAt)), fromMicros(micros(s.UpdatedAt))
	return s, nil
}

func (h *handover) services(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT sid, app, created, data FROM services`, func(scan func(...any) error) error {
		var s transfer.Service
		err := scan(&s.SID, &s.App, &s.Created, &s.Data)
		s.Data = notNil(s.Data)
		h.rows.Services = append(h.rows.Services, s)
		return err
	})
}
