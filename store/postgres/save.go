package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sixdigit/sixdigit/verify"
)

// errNotCommitted is for a COMMIT that came to a ROLLBACK, and errNotReplicated
// for one that a standby may not have seen.
var (
	errNotCommitted  = errors.New("postgres: the transaction was rolled back")
	errNotReplicated = errors.New("postgres: the server stopped waiting for its standby")
)

// saving is a batch's changes as statements: those for new rows, those for known
// ones, and those that make sure of rows that were guessed and only read. New
// rows come first: who inserts one may have to wait for another transaction that
// has it, and holds nothing yet that that one waits for.
type saving struct {
	inserts, updates, drops, checks trip
	unheld                          bool // something is written that is not locked

	version int64
	memos   []func(now time.Time) // what to remember once it is committed
}

// rowsOf gathers rows of one table for one kind of statement.
type rowsOf struct {
	columns []column
	n       int
	block   *block
}

func (r *rowsOf) next() []array {
	if r.block == nil {
		r.block = newBlock(r.columns, r.n)
	}
	r.block.n++
	return r.block.columns
}

// writes gathers what is written of one table.
type writes struct {
	sql                statements
	fresh, known, gone rowsOf
}

func newWrites(sql statements, t table, n int) *writes {
	return &writes{
		sql: sql, fresh: rowsOf{columns: append(t.keys[:len(t.keys):len(t.keys)], t.columns...), n: n},
		known: rowsOf{columns: append(versioned(t.keys), t.changing()...), n: n}, gone: rowsOf{columns: versioned(t.keys), n: n},
	}
}

// queue makes statements of what is written.
func (s *saving) queue(w *writes) {
	if b := w.fresh.block; b != nil {
		s.inserts.say(w.sql.insert, b.args(s.version)...)
	}
	if b := w.known.block; b != nil {
		s.updates.ask(nil, w.sql.update, b.args(s.version, int64(b.n))...)
	}
	if b := w.gone.block; b != nil {
		s.drops.ask(nil, w.sql.drop, b.args(int64(b.n))...)
	}
}

// saves are the statements that save what changed.
func (t *tx) saves(c verify.Changes, version int64) *saving {
	s := &saving{version: version}
	t.saveIdems(s, c.Idems)
	t.saveSubjects(s, c.Subjects)
	t.saveVerifications(s, c.Verifications)
	t.saveCounters(s, c.Counters)
	t.checks(s, t.rows.written)
	return s
}

func (t *tx) saveIdems(s *saving, all []verify.IdemEntry) {
	slices.SortFunc(all, func(a, b verify.IdemEntry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	w := newWrites(t.sql(tableIdems), tableOf(tableIdems), len(all))
	for i := range all {
		key, e := all[i].Key, &all[i].IdemRow
		data, found := e.Record(), t.rows.idems[key]
		var c []array
		if found.exists {
			c = w.known.next()
			c[1].int64(found.version)
			c[2].int64(micros(e.ExpiresAt))
			c[3].bytes(data)
			s.unheld = s.unheld || found.guessed
		} else {
			c = w.fresh.next()
			c[1].int64(micros(e.ExpiresAt))
			c[2].bytes(data)
		}
		c[0].bytes(key[:])
		s.memos = append(s.memos, func(now time.Time) { keep(&t.memory.idems, key, e, s.version, len(data), now) })
	}
	s.queue(w)
}

func (t *tx) saveSubjects(s *saving, all []*verify.Subject) {
	slices.SortFunc(all, func(a, b *verify.Subject) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	w := newWrites(t.sql(tableSubjects), tableOf(tableSubjects), len(all))
	for _, e := range all {
		data, found := e.Record(), t.rows.subjects[e.Key]
		var c []array
		if found.exists {
			c = w.known.next()
			c[0].bytes(e.Key[:])
			c[1].int64(found.version)
			c = c[2:]
			s.unheld = s.unheld || found.guessed
		} else {
			c = w.fresh.next()
			c[0].bytes(e.Key[:])
			c = c[1:]
		}
		c[0].int64(micros(e.Quiet()))
		c[1].int64(micros(e.Failed()))
		c[2].bytes(data)
		s.memos = append(s.memos, func(now time.Time) { keep(&t.memory.subjects, e.Key, e, s.version, len(data), now) })
	}
	s.queue(w)
}

func (t *tx) saveVerifications(s *saving, all []*verify.Verification) {
	slices.SortFunc(all, func(a, b *verify.Verification) int { return t.days.order(a.ID, b.ID) })
	for len(all) > 0 {
		name, n := t.days.table(dayOf(all[0].ID)), 1
		for n < len(all) && t.days.table(dayOf(all[n].ID)) == name {
			n++
		}
		t.saveDay(s, newWrites(t.sqlOf(name), verificationsIn(name), n), all[:n])
		all = all[n:]
	}
}

// saveDay saves verifications of one table.
func (t *tx) saveDay(s *saving, w *writes, all []*verify.Verification) {
	for _, v := range all {
		data, found := v.Record(), t.rows.verifications[v.ID]
		var c []array
		if found.exists {
			c = w.known.next()
			c[2].int64(found.version)
			c[3].int64(micros(v.Ended()))
			c[4].int64(micros(v.DueAt()))
			c[5].bytes(data)
			s.unheld = s.unheld || found.guessed
		} else {
			c = w.fresh.next()
			c[2].bytes(v.Subject[:])
			c[3].text(v.To.E164())
			c[4].int64(micros(v.Ended()))
			c[5].int64(micros(v.DueAt()))
			c[6].bytes(data)
		}
		c[0].int32(dayOf(v.ID))
		c[1].text(v.ID)
		s.memos = append(s.memos, func(now time.Time) { keep(&t.memory.verifications, v.ID, v, s.version, len(data), now) })
	}
	s.queue(w)
}

func (t *tx) saveCounters(s *saving, all []verify.CountersEntry) {
	slices.SortFunc(all, func(a, b verify.CountersEntry) int { return cmp.Compare(a.Place, b.Place) })
	w := newWrites(t.sql(tableCounters), tableOf(tableCounters), len(all))
	for _, e := range all {
		found := t.rows.counters[e.Place]
		switch {
		case len(e.Counters) == 0 && !found.exists:
			continue
		case len(e.Counters) == 0:
			c := w.gone.next()
			c[0].int64(int64(e.Place))
			c[1].int64(found.version)
			s.memos = append(s.memos, func(time.Time) { t.memory.counters.drop(e.Place) })
			continue
		case found.exists:
			c := w.known.next()
			c[0].int64(int64(e.Place))
			c[1].int64(found.version)
			c[2].int64(e.Expires())
			c[3].bytes(e.Counters)
		default:
			c := w.fresh.next()
			c[0].int64(int64(e.Place))
			c[1].int64(e.Expires())
			c[2].bytes(e.Counters)
		}
		s.unheld = s.unheld || found.guessed
		s.memos = append(s.memos, func(now time.Time) {
			keep(&t.memory.counters, e.Place, e.Counters, s.version, len(e.Counters), now)
		})
	}
	s.queue(w)
}

// checks queues the look at rows that were guessed and are not written.
func (t *tx) checks(s *saving, written *keyset) {
	idems := &rowsOf{columns: versioned(tableOf(tableIdems).keys), n: len(t.rows.idems)}
	for k, found := range t.rows.idems {
		if found.guessed && found.exists && !has(written.idems, k) {
			c := idems.next()
			c[0].bytes(k[:])
			c[1].int64(found.version)
		}
	}
	s.check(t.sql(tableIdems), idems)
	subjects := &rowsOf{columns: versioned(tableOf(tableSubjects).keys), n: len(t.rows.subjects)}
	for k, found := range t.rows.subjects {
		if found.guessed && found.exists && !has(written.subjects, k) {
			c := subjects.next()
			c[0].bytes(k[:])
			c[1].int64(found.version)
		}
	}
	s.check(t.sql(tableSubjects), subjects)
	t.checkVerifications(s, written)
	counters := &rowsOf{columns: versioned(tableOf(tableCounters).keys), n: len(t.rows.counters)}
	for p, found := range t.rows.counters {
		if found.guessed && found.exists && !has(written.counters, p) {
			c := counters.next()
			c[0].int64(int64(p))
			c[1].int64(found.version)
		}
	}
	s.check(t.sql(tableCounters), counters)
}

func (t *tx) checkVerifications(s *saving, written *keyset) {
	ids := set[string]{}
	for id, found := range t.rows.verifications {
		if found.guessed && found.exists && !has(written.verifications, id) {
			ids.add(id)
		}
	}
	for _, g := range t.days.groups(ids) {
		versions := newArray(column{sqlType: "bigint"}, len(g.ids))
		for _, id := range g.ids {
			versions.int64(t.rows.verifications[id].version)
		}
		g.keys.columns = append(g.keys.columns, versions)
		s.checks.ask(nil, t.sqlOf(g.table).check, g.keys.args(int64(g.keys.n))...)
	}
}

func (s *saving) check(sql statements, r *rowsOf) {
	if b := r.block; b != nil {
		s.checks.ask(nil, sql.check, b.args(int64(b.n))...)
	}
}

// commit saves and commits, in one round trip: the whole transaction, unless it
// has begun.
func (t *tx) commit(s *saving, about int64) error {
	var to trip
	switch {
	case !t.begun:
		t.begin(&to, t.session.beginQuick, about)
	case s.unheld && t.session.times:
		to.say(`SELECT set_config('lock_timeout', $1::text, true)`, []byte(milliseconds(quickWait)))
	}
	to = append(append(append(append(to, s.inserts...), s.updates...), s.drops...), s.checks...)
	to.say(`COMMIT`)
	to[len(to)-1].done = func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errNotCommitted
		}
		return nil
	}
	t.session.warned = false
	err := t.send(to)
	if err == nil && t.session.warned {
		return errNotReplicated
	}
	return err
}

// confirm makes sure of what was guessed where nothing is written.
func (t *tx) confirm(s *saving, about int64) error {
	var to trip
	if !t.begun {
		t.begin(&to, t.session.beginQuick, about)
	}
	to = append(to, s.checks...)
	to.say(`ROLLBACK`)
	return t.send(to)
}
