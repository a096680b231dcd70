package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sixdigit/sixdigit/verify"
)

// The statements that save rows, each any number of them. A row that was not
// found is new, and where another replica was faster the server refuses it. One
// that was found is locked; ON CONFLICT finds it by its key again, whatever the
// planner thinks of the size of the table.
const (
	insertIdems = `INSERT INTO idems (key, expires, data) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[])`
	updateIdems = insertIdems + ` ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, data = excluded.data`

	insertSubjects = `INSERT INTO subjects (key, quiet, failed, data) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[])`
	updateSubjects = insertSubjects + ` ON CONFLICT (key) DO UPDATE SET quiet = excluded.quiet, failed = excluded.failed, data = excluded.data`

	// The id of a new verification is drawn, and nobody else's. Whoever writes one
	// that exists, without having read it, means it.
	saveVerifications = `INSERT INTO verifications (day, id, subject, number, ended, due, data)
		SELECT * FROM unnest($1::integer[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::bytea[])
		ON CONFLICT (day, id) DO UPDATE SET subject = excluded.subject, number = excluded.number, ended = excluded.ended, due = excluded.due, data = excluded.data`

	insertLimits = `INSERT INTO limits (key, value, expires) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])`
	updateLimits = insertLimits + ` ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`
	dropLimits   = `DELETE FROM limits WHERE key = ANY($1::bytea[])`
)

// errNotCommitted is for a COMMIT that came to a ROLLBACK, and errNotReplicated
// for one that a standby may not have seen.
var (
	errNotCommitted  = errors.New("postgres: the transaction was rolled back")
	errNotReplicated = errors.New("postgres: the server stopped waiting for its standby")
)

// saves are the statements that save what changed.
func (t *tx) saves(c verify.Changes) (*pgx.Batch, error) {
	b := &pgx.Batch{}
	for _, save := range []func(*pgx.Batch, verify.Changes) error{t.saveIdems, t.saveSubjects, t.saveVerifications} {
		if err := save(b, c); err != nil {
			return nil, err
		}
	}
	t.saveLimits(b, c.Limits)
	return b, nil
}

// commit saves and commits, in one round trip.
func (t *tx) commit(b *pgx.Batch) error {
	t.session.warned = false
	b.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errNotCommitted
		}
		return nil
	})
	err := t.session.trip(b)
	if err == nil && t.session.warned {
		return errNotReplicated
	}
	return err
}

func (t *tx) saveIdems(b *pgx.Batch, c verify.Changes) error {
	slices.SortFunc(c.Idems, func(a, b verify.IdemEntry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	type columns struct {
		keys    [][]byte
		expires []int64
		data    [][]byte
	}
	known, fresh := columns{}, columns{}
	for i := range c.Idems {
		entry, to := &c.Idems[i], &fresh
		if t.rows.idems[entry.Key].exists {
			to = &known
		}
		data, err := encode(entry.IdemRow)
		if err != nil {
			return err
		}
		to.keys, to.expires, to.data = append(to.keys, entry.Key[:]), append(to.expires, micros(entry.ExpiresAt)), append(to.data, data)
	}
	if len(known.keys) > 0 {
		b.Queue(updateIdems, known.keys, known.expires, known.data)
	}
	if len(fresh.keys) > 0 {
		b.Queue(insertIdems, fresh.keys, fresh.expires, fresh.data)
	}
	return nil
}

func (t *tx) saveSubjects(b *pgx.Batch, c verify.Changes) error {
	slices.SortFunc(c.Subjects, func(a, b *verify.Subject) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	type columns struct {
		keys          [][]byte
		quiet, failed []int64
		data          [][]byte
	}
	known, fresh := columns{}, columns{}
	for _, s := range c.Subjects {
		to := &fresh
		if t.rows.subjects[s.Key].exists {
			to = &known
		}
		data, err := encode(s)
		if err != nil {
			return err
		}
		to.keys, to.data = append(to.keys, s.Key[:]), append(to.data, data)
		to.quiet, to.failed = append(to.quiet, micros(s.Quiet())), append(to.failed, micros(s.Failed()))
	}
	if len(known.keys) > 0 {
		b.Queue(updateSubjects, known.keys, known.quiet, known.failed, known.data)
	}
	if len(fresh.keys) > 0 {
		b.Queue(insertSubjects, fresh.keys, fresh.quiet, fresh.failed, fresh.data)
	}
	return nil
}

func (t *tx) saveVerifications(b *pgx.Batch, c verify.Changes) error {
	slices.SortFunc(c.Verifications, func(a, b *verify.Verification) int {
		return cmp.Or(cmp.Compare(dayOf(a.ID), dayOf(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	var (
		days           []int32
		ids, numbers   []string
		subjects, data [][]byte
		ended, due     []int64
	)
	for _, v := range c.Verifications {
		record, err := encode(v)
		if err != nil {
			return err
		}
		days, ids, numbers = append(days, dayOf(v.ID)), append(ids, v.ID), append(numbers, v.To.E164())
		subjects, data = append(subjects, v.Subject[:]), append(data, record)
		ended, due = append(ended, micros(v.Ended())), append(due, micros(v.DueAt()))
	}
	if len(ids) > 0 {
		b.Queue(saveVerifications, days, ids, subjects, numbers, ended, due, data)
	}
	return nil
}

func (t *tx) saveLimits(b *pgx.Batch, limits []verify.LimitRow) {
	slices.SortFunc(limits, func(a, b verify.LimitRow) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	type columns struct {
		keys           [][]byte
		value, expires []int64
	}
	known, fresh, cleared := columns{}, columns{}, columns{}
	for i := range limits {
		l, to := &limits[i], &fresh
		exists := t.rows.limits[l.Key].exists
		switch {
		case l.Value == 0 && !exists:
			continue
		case l.Value == 0:
			to = &cleared
		case exists:
			to = &known
		}
		to.keys, to.value, to.expires = append(to.keys, l.Key[:]), append(to.value, l.Value), append(to.expires, micros(l.ExpiresAt))
	}
	if len(cleared.keys) > 0 {
		b.Queue(dropLimits, cleared.keys)
	}
	if len(known.keys) > 0 {
		b.Queue(updateLimits, known.keys, known.value, known.expires)
	}
	if len(fresh.keys) > 0 {
		b.Queue(insertLimits, fresh.keys, fresh.value, fresh.expires)
	}
}
