package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/verify"
)

var _ verify.Outbox = (*Store)(nil)

// eventClaim asks the writer for events that are due.
type eventClaim struct {
	app   string
	limit int
	lease time.Duration
}

// outboxStmts are the writer's statements on events.
type outboxStmts struct {
	addEvent, claimDue, claimAhead      *stmt
	putOffEvent, dropEvent, headOfEvent *stmt
}

const eventColumns = `seq, id, app, type, key, created, tries, epoch, payload`

func (s *outboxStmts) all() map[**stmt]string {
	const claim = `UPDATE events SET due = ?3 + ?4, tries = tries + 1, epoch = epoch + 1 WHERE seq IN
		(SELECT seq FROM events WHERE app = ?1 AND due > 0 AND `
	return map[**stmt]string{
		&s.addEvent: `INSERT INTO events (id, app, type, key, created, due, tries, epoch, payload) VALUES (?1, ?2, ?3, ?4, ?5,
			CASE WHEN EXISTS (SELECT 1 FROM events WHERE key = ?4) THEN 0 ELSE ?5 END, 0, 0, ?6)`,
		&s.claimDue: claim + `due <= ?3 ORDER BY due, seq LIMIT ?2) RETURNING ` + eventColumns,
		// Put off by a clock that was wrong.
		&s.claimAhead:  claim + `due > ?3 + ?5 ORDER BY due DESC LIMIT ?2) RETURNING ` + eventColumns,
		&s.putOffEvent: `UPDATE events SET due = ?3, tries = ?4 WHERE seq = ?1 AND epoch = ?2`,
		&s.dropEvent:   `DELETE FROM events WHERE seq = ?1 AND epoch = ?2`,
		&s.headOfEvent: `UPDATE events SET due = ?2 WHERE due = 0 AND seq = (SELECT min(seq) FROM events WHERE key = ?1)`,
	}
}

// eventRow is an event on its way to its table. Its key is nobody else's: the same
// thing may be told twice.
func eventRow(b *row, e verify.Event, writer, n uint64) row {
	b.key = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b.key[:0], writer), n)
	b.number = b.number[:0]
	for _, text := range [...]string{e.ID, e.App, string(e.Type), e.Key} {
		b.number = append(binary.AppendUvarint(b.number, uint64(len(text))), text...)
	}
	b.data = append(b.data[:0], e.Payload...)
	return row{tableEvents, b.key, b.number, [3]int64{micros(e.CreatedAt)}, b.data}
}

func (s *stmts) saveEvent(r row) error {
	var texts [4]string // id, app, type, key
	rest := r.number
	for i := range texts {
		text, behind, err := readBytes(rest)
		if err != nil {
			return err
		}
		texts[i], rest = string(text), behind
	}
	return s.outbox.addEvent.exec(texts[0], texts[1], texts[2], texts[3], r.times[0], notNil(r.data))
}

// ClaimEvents implements verify.Outbox. A reader looks whether there is anything
// to claim: while there is nothing, nothing is written.
func (s *Store) ClaimEvents(ctx context.Context, app string, limit int, lease time.Duration) ([]verify.Event, error) {
	if err := s.gather(ctx); err != nil {
		return nil, err
	}
	var due bool
	now := micros(s.now())
	err := s.pool.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM events WHERE app = ?1 AND due > 0 AND due <= ?2)
		OR EXISTS (SELECT 1 FROM events WHERE app = ?1 AND due > 0 AND due > ?2 + ?3)`, app, now, verify.EventWait.Microseconds()).Scan(&due)
	switch {
	case err == nil && due && limit > 0:
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("look for events", err)
	}
	claimed, err := s.keep(ctx, task{claim: &eventClaim{app, limit, lease}})
	events, _ := claimed.([]verify.Event)
	return events, err
}

// gather brings the events of the redo log to their table.
func (s *Store) gather(ctx context.Context) error {
	if err := s.fresh(ctx); err != nil || !s.redo.hasEvents() {
		return err
	}
	return s.settle(ctx)
}

func (k *keeper) claimEvents(c *eventClaim) (events []verify.Event, err error) {
	now, wait := micros(k.now()), verify.EventWait.Microseconds()
	for _, ahead := range []bool{false, true} {
		left := c.limit - len(events)
		if left <= 0 {
			break
		}
		read := func(row []driver.Value) error {
			e, err := readEvent(row)
			events = append(events, e)
			return err
		}
		st, args := k.stmts.outbox.claimDue, []any{c.app, int64(left), now, c.lease.Microseconds()}
		if ahead {
			st, args = k.stmts.outbox.claimAhead, append(args, wait)
		}
		if err := st.each(read, args...); err != nil {
			return nil, fmt.Errorf("claim events: %w", err)
		}
	}
	return events, nil
}

func readEvent(row []driver.Value) (e verify.Event, err error) {
	text := func(i int) string {
		s, ok := row[i].(string)
		if !ok {
			err = errors.Join(err, fmt.Errorf("an event's column %d is of type %T", i, row[i]))
		}
		return s
	}
	number := func(i int) int64 {
		n, ok := row[i].(int64)
		if !ok {
			err = errors.Join(err, fmt.Errorf("an event's column %d is of type %T", i, row[i]))
		}
		return n
	}
	payload, _ := row[8].([]byte)
	e = verify.Event{
		Seq: number(0), ID: text(1), App: text(2), Type: verify.EventType(text(3)), Key: text(4), CreatedAt: time.UnixMicro(number(5)).UTC(),
		Tries: int(number(6)), Epoch: int(number(7)), Payload: append([]byte(nil), payload...),
	}
	return e, err
}

// SettleEvent implements verify.Outbox.
func (s *Store) SettleEvent(ctx context.Context, r verify.EventResult) (bool, error) {
	if err := s.gather(ctx); err != nil { // the next one of its key may be on its way
		return false, err
	}
	done, err := s.keep(ctx, task{settle: &r})
	was, _ := done.(bool)
	return was, err
}

func (k *keeper) settleEvent(r *verify.EventResult) (bool, error) {
	st, now := &k.stmts.outbox, micros(k.now())
	if !r.Done {
		n, err := st.putOffEvent.changed(r.Seq, int64(r.Epoch), now+r.After.Microseconds(), int64(r.Tries))
		return n > 0, err
	}
	n, err := st.dropEvent.changed(r.Seq, int64(r.Epoch))
	if err != nil || n == 0 {
		return false, err
	}
	return true, st.headOfEvent.exec(r.Key, now)
}

// OldestEvents implements verify.Outbox.
func (s *Store) OldestEvents(ctx context.Context, limit int) ([]verify.Event, error) {
	if err := s.gather(ctx); err != nil {
		return nil, err
	}
	events, err := s.oldestEvents(ctx, max(limit, 0))
	switch {
	case err == nil:
		return events, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, unavailable("look for old events", err)
	}
}

func (s *Store) oldestEvents(ctx context.Context, limit int) (events []verify.Event, err error) {
	var rows *sql.Rows
	rows, err = s.pool.QueryContext(ctx, `SELECT seq, id, app, type, key, created, tries, epoch FROM events ORDER BY seq LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e verify.Event
		var created int64
		if err := rows.Scan(&e.Seq, &e.ID, &e.App, &e.Type, &e.Key, &created, &e.Tries, &e.Epoch); err != nil {
			return nil, err
		}
		e.CreatedAt = time.UnixMicro(created).UTC()
		events = append(events, e)
	}
	return events, rows.Err()
}

// insertEvent writes a copied event. Those that come later get a higher seq.
const insertEvent = `INSERT INTO events (id, app, type, key, created, due, tries, epoch, payload) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)`

func (h *handover) events(ctx context.Context, tx *sql.Conn) error {
	return h.read(ctx, tx, `SELECT id, app, type, key, created, due, tries, payload FROM events ORDER BY seq`, func(scan func(...any) error) error {
		var e transfer.Event
		err := scan(&e.ID, &e.App, &e.Type, &e.Key, &e.Created, &e.Due, &e.Tries, &e.Payload)
		e.Payload = notNil(e.Payload)
		h.rows.Events = append(h.rows.Events, e)
		return err
	})
}
