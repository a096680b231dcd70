package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sixdigit/sixdigit/verify"
)

// tx is one transaction of the writer. Whatever it says to the server goes
// there in one piece, and is answered in one: a round trip.
type tx struct {
	session *session
	codec   *codec
	today   int32 // about
	now     int64 // the database's time
	rows    *rows
	locked  int // the last table of which it has locked rows
}

// trip sends what is queued and reads the answers.
func (s *session) trip(b *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	return s.conn.SendBatch(ctx, b).Close()
}

// errForgotten says that the connection's row in writers is gone: purged, or
// never replicated to the server that is in charge now.
var errForgotten = errors.New("postgres: the connection's row is gone")

// start begins the transaction anew and fetches rows.
func (t *tx) start(wanted *keyset) error {
	b := &pgx.Batch{}
	if t.session.conn.PgConn().TxStatus() != 'I' {
		b.Queue(`ROLLBACK`)
	}
	t.rows, t.locked = newRows(), tableNone
	t.session.batch++
	b.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	b.Queue(t.session.begin).Query(func(r pgx.Rows) error {
		for r.Next() {
			values := make([]any, len(r.FieldDescriptions())) // of all but the first nobody needs to know
			values[0] = &t.now
			if err := r.Scan(values...); err != nil {
				return err
			}
		}
		return r.Err()
	})
	b.Queue(`UPDATE writers SET batch = $2, used = `+clock+` WHERE key = $1`, t.session.id, t.session.batch).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return errForgotten
		}
		return nil
	})
	t.queue(b, wanted)
	return t.session.trip(b)
}

// fetch locks further rows. They must come after all that are locked already.
func (t *tx) fetch(wanted *keyset) error {
	b := &pgx.Batch{}
	t.queue(b, wanted)
	return t.session.trip(b)
}

// queue asks for rows, table by table, each in the order of its keys. Each key is
// looked up by itself, and locked: LATERAL leaves the planner no choice. Of
// "key = ANY" it would make, while a table is small, a plan that reads all of
// it, and keep that plan when it is large.
func (t *tx) queue(b *pgx.Batch, k *keyset) {
	if len(k.idems) > 0 {
		b.Queue(`SELECT t.* FROM unnest($1::bytea[]) AS k (key), LATERAL (SELECT key, data FROM idems WHERE key = k.key FOR UPDATE) AS t`, sorted(k.idems)).
			Query(func(r pgx.Rows) error { return t.readIdems(r, k) })
	}
	if len(k.subjects)+len(k.subjectsOf) > 0 {
		query, args := t.subjectQuery(k)
		b.Queue(query, args...).Query(func(r pgx.Rows) error { return t.readSubjects(r, k) })
	}
	for _, g := range t.groups(k.verifications) {
		from, args := g.from(0)
		b.Queue(`SELECT t.* FROM `+from+`, LATERAL (SELECT id, subject, number, data FROM verifications WHERE `+g.where+` FOR UPDATE) AS t`, args...).
			Query(func(r pgx.Rows) error { return t.readVerifications(r, g.ids, k) })
	}
	if len(k.limits) > 0 {
		b.Queue(`SELECT t.* FROM unnest($1::bytea[]) AS k (key), LATERAL (SELECT key, value FROM limits WHERE key = k.key FOR UPDATE) AS t`, sorted(k.limits)).
			Query(func(r pgx.Rows) error { return t.readLimits(r, k) })
	}
}

// subjectQuery finds subjects by their keys and by their verifications. These
// are read without a lock: a verification keeps its subject for life.
func (t *tx) subjectQuery(k *keyset) (query string, args []any) {
	args = []any{sorted(k.subjects)}
	keys := `SELECT unnest($1::bytea[]) AS key`
	for _, g := range t.groups(k.subjectsOf) {
		from, more := g.from(len(args))
		args = append(args, more...)
		keys += ` UNION SELECT v.subject FROM ` + from + `, LATERAL (SELECT subject FROM verifications WHERE ` + g.where + ` LIMIT 1) AS v`
	}
	if len(k.subjectsOf) > 0 {
		keys += ` ORDER BY key`
	}
	return `SELECT t.* FROM (` + keys + `) AS k, LATERAL (SELECT key, data FROM subjects WHERE key = k.key FOR UPDATE) AS t`, args
}

// group are verifications that one statement finds. Days of these days are
// named in its text, where the planner sees which partition it is: the others
// are not even locked. What is older is rarely asked for, and an id that somebody
// made up must not cost a statement of its own.
type group struct {
	ids   []string
	days  []int32 // of the ids, when they are of many days
	where string
}

const (
	daysBack  = 3
	daysAhead = 1
)

func (t *tx) near(day int32) bool {
	return day >= t.today-daysBack && day <= t.today+daysAhead
}

// from lists a group's keys as k, its arguments being those after the n-th.
func (g *group) from(n int) (from string, args []any) {
	if g.days == nil {
		return fmt.Sprintf(`unnest($%d::text[]) AS k (id)`, n+1), []any{g.ids}
	}
	return fmt.Sprintf(`unnest($%d::integer[], $%d::text[]) AS k (day, id)`, n+1, n+2), []any{g.days, g.ids}
}

func (t *tx) groups(ids set[string]) []group {
	var all []group
	far := group{where: `day = k.day AND id = k.id`}
	for _, g := range byDay(ids) {
		if t.near(g.day) {
			all = append(all, group{ids: g.ids, where: fmt.Sprintf(`day = %d AND id = k.id`, g.day)})
			continue
		}
		far.ids = append(far.ids, g.ids...)
		for range g.ids {
			far.days = append(far.days, g.day)
		}
	}
	if len(far.ids) > 0 {
		// They go first where they are older, as nearly all are.
		all = append([]group{far}, all...)
	}
	return all
}

func (t *tx) lock(table int) { t.locked = max(t.locked, table) }

func (t *tx) readIdems(r pgx.Rows, k *keyset) error {
	for key := range k.idems {
		t.rows.idems[key] = row[*verify.IdemRow]{}
	}
	var key, data []byte
	_, err := pgx.ForEachRow(r, []any{&key, &data}, func() error {
		t.lock(tableIdems)
		value, err := t.codec.idem(data)
		t.rows.idems[verify.MAC(key)] = row[*verify.IdemRow]{value, err, true}
		return nil
	})
	return err
}

func (t *tx) readSubjects(r pgx.Rows, k *keyset) error {
	for key := range k.subjects {
		t.rows.subjects[key] = row[*verify.Subject]{}
	}
	var key, data []byte
	_, err := pgx.ForEachRow(r, []any{&key, &data}, func() error {
		t.lock(tableSubjects)
		value, err := t.codec.subject(verify.SubjectKey(key), data)
		t.rows.subjects[verify.SubjectKey(key)] = row[*verify.Subject]{value, err, true}
		return nil
	})
	return err
}

func (t *tx) readVerifications(r pgx.Rows, ids []string, k *keyset) error {
	for _, id := range ids {
		t.rows.verifications[id] = row[*verify.Verification]{}
	}
	var id, number string
	var subject, data []byte
	_, err := pgx.ForEachRow(r, []any{&id, &subject, &number, &data}, func() error {
		t.lock(tableVerifications)
		value, err := t.codec.verification(id, number, data)
		t.rows.verifications[id] = row[*verify.Verification]{value, err, true}
		if _, asked := k.subjectsOf[id]; asked && len(subject) == len(verify.SubjectKey{}) {
			// It was looked for, in the statement before.
			if key := verify.SubjectKey(subject); !has(t.rows.subjects, key) {
				t.rows.subjects[key] = row[*verify.Subject]{}
			}
		}
		return nil
	})
	return err
}

func (t *tx) readLimits(r pgx.Rows, k *keyset) error {
	for key := range k.limits {
		t.rows.limits[key] = row[int64]{}
	}
	var key []byte
	var value int64
	_, err := pgx.ForEachRow(r, []any{&key, &value}, func() error {
		t.lock(tableLimits)
		t.rows.limits[verify.LimitKey(key)] = row[int64]{value, nil, true}
		return nil
	})
	return err
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

// time is the transaction's time.
func (t *tx) time() time.Time { return time.UnixMicro(t.now).UTC() }
