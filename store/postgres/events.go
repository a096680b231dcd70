package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sixdigit/sixdigit/internal/transfer"
	"github.com/sixdigit/sixdigit/verify"
)

var _ verify.Outbox = (*Store)(nil)

// lockEvents locks what is there of some keys. Whoever is about to delete the
// oldest of a key makes the next one due, hence has to be waited for, or has to
// wait: else neither would see what the other does. Keys come in their order.
const lockEvents = `SELECT 1 FROM unnest($1::text[]) AS k (key), LATERAL (SELECT seq FROM events WHERE key = k.key ORDER BY seq FOR UPDATE) AS t`

// addEvents comes after lockEvents, as a statement of its own, which sees what was
// waited for. In old a 1 says that an older event of the key is among the new ones.
const addEvents = `INSERT INTO events (id, app, type, key, created, due, tries, epoch, payload)
	SELECT k.id, k.app, k.type, k.key, k.created,
		CASE WHEN k.old = 1 OR EXISTS (SELECT 1 FROM events AS e WHERE e.key = k.key) THEN 0 ELSE k.created END, 0, 0, k.payload
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bytea[])
		WITH ORDINALITY AS k (id, app, type, key, created, old, payload, n) ORDER BY k.n`

// saveEvents adds to a transaction what apps are to be told. It comes last of all
// that is written: only then are the rows locked that keep the events of one key
// in their order.
func saveEvents(to *trip, events []verify.Event) {
	if len(events) == 0 {
		return
	}
	text, number := column{sqlType: "text"}, column{sqlType: "bigint"}
	b := newBlock([]column{text, text, text, text, number, number, {sqlType: "bytea", size: 500}}, len(events))
	var keys []string
	for _, e := range events {
		old := int64(0)
		if slices.Contains(keys, e.Key) {
			old = 1
		} else {
			keys = append(keys, e.Key)
		}
		c := b.columns
		c[0].text(e.ID)
		c[1].text(e.App)
		c[2].text(string(e.Type))
		c[3].text(e.Key)
		c[4].int64(micros(e.CreatedAt))
		c[5].int64(old)
		c[6].bytes(e.Payload)
	}
	slices.Sort(keys)
	locked := newArray(text, len(keys))
	for _, k := range keys {
		locked.text(k)
	}
	to.ask(nil, lockEvents, locked)
	to.say(addEvents, b.args()...)
}

// claimDue and claimAhead take events that nobody else is taking. One look-up for
// each leaves the planner no choice (table.same).
const (
	claimDue   = claimOf + `due <= $3 ORDER BY due, seq` + claimThem
	claimAhead = claimOf + `due > $3 + $5::bigint ORDER BY due DESC` + claimThem // put off by a clock that was wrong
	claimOf    = `WITH d AS MATERIALIZED (SELECT seq FROM events WHERE app = $1 AND due > 0 AND `
	claimThem  = ` LIMIT $2 FOR UPDATE SKIP LOCKED)
		UPDATE events AS t SET due = $3::bigint + $4::bigint, tries = tries + 1, epoch = epoch + 1 FROM d WHERE t.seq = ANY(ARRAY[d.seq])
		RETURNING t.seq, t.id, t.app, t.type, t.key, t.created, t.tries, t.epoch, t.payload`
)

// ClaimEvents implements verify.Outbox. It writes beside the writer: no operation
// reads what it changes. Whose answer is lost leaves a claim that ends.
func (s *Store) ClaimEvents(ctx context.Context, app string, limit int, lease time.Duration) (events []verify.Event, err error) {
	now, err := s.now(ctx)
	for _, ahead := range []bool{false, true} {
		left := limit - len(events)
		if err != nil || left <= 0 {
			break
		}
		query, args := claimDue, []any{app, left, micros(now), lease.Microseconds()}
		if ahead {
			query, args = claimAhead, append(args, verify.EventWait.Microseconds())
		}
		var more []verify.Event
		more, err = s.events(ctx, query, args...)
		events = append(events, more...)
	}
	return events, s.eventError(ctx, "claim events", err)
}

func (s *Store) events(ctx context.Context, query string, args ...any) ([]verify.Event, error) {
	bounded, cancel := context.WithTimeout(ctx, tripWait)
	defer cancel()
	rows, err := s.pool.Query(bounded, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e verify.Event, err error) {
		var created int64
		err = row.Scan(&e.Seq, &e.ID, &e.App, &e.Type, &e.Key, &created, &e.Tries, &e.Epoch, &e.Payload)
		e.CreatedAt = time.UnixMicro(created).UTC()
		return e, err
	})
}

func (s *Store) eventError(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return unavailable(what, err)
	}
}

// SettleEvent implements verify.Outbox. All of it goes to the server in one piece:
// a process that freezes on the way holds no lock that the writer of another waits
// for.
func (s *Store) SettleEvent(ctx context.Context, r verify.EventResult) (done bool, err error) {
	now, err := s.now(ctx)
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, tripWait)
		defer cancel()
		b := &pgx.Batch{}
		// The default of the database may be another isolation, in which the second
		// statement would not see what the first has waited for.
		b.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
		query, args := `UPDATE events SET due = $3, tries = $4 WHERE seq = $1 AND epoch = $2`, []any{r.Seq, r.Epoch, micros(now) + r.After.Microseconds(), r.Tries}
		if r.Done {
			query, args = `DELETE FROM events WHERE seq = $1 AND epoch = $2`, args[:2]
		}
		b.Queue(query, args...).Exec(func(tag pgconn.CommandTag) error {
			done = tag.RowsAffected() > 0
			return nil
		})
		if r.Done {
			// A statement of its own: it sees what was added by whoever the one
			// before has waited for.
			b.Queue(`UPDATE events SET due = $2 WHERE due = 0 AND seq = (SELECT min(seq) FROM events WHERE key = $1)`, r.Key, micros(now))
		}
		b.Queue(`COMMIT`)
		err = s.pool.SendBatch(bounded, b).Close()
	}
	if err != nil {
		return false, s.eventError(ctx, "settle an event", err)
	}
	return done, nil
}

// OldestEvents implements verify.Outbox.
func (s *Store) OldestEvents(ctx context.Context, limit int) (events []verify.Event, err error) {
	err = read(ctx, func(ctx context.Context) (err error) {
		events, err = s.events(ctx, `SELECT seq, id, app, type, key, created, tries, epoch, NULL::bytea FROM events ORDER BY seq LIMIT $1`, max(limit, 0))
		return err
	})
	if err != nil {
		return nil, s.eventError(ctx, "look for old events", err)
	}
	return events, nil
}

// outbox hands over events.
func (h *handover) outbox(ctx context.Context, tx pgx.Tx) error {
	var e transfer.Event
	return h.read(ctx, tx, `SELECT id, app, type, key, created, due, tries, payload FROM events ORDER BY seq`,
		[]any{&e.ID, &e.App, &e.Type, &e.Key, &e.Created, &e.Due, &e.Tries, &e.Payload}, func() { h.rows.Events = append(h.rows.Events, e) })
}

// eventRows are copied events. Those that come later get a higher seq.
func eventRows(events []transfer.Event) copied {
	return copied{"events", []string{"id", "app", "type", "key", "created", "due", "tries", "epoch", "payload"}, len(events), func(i int) []any {
		e := &events[i]
		return []any{e.ID, e.App, e.Type, e.Key, e.Created, e.Due, e.Tries, 0, e.Payload}
	}}
}
