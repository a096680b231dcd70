package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// errNotCommitted is for a COMMIT that came to a ROLLBACK, and errNotReplicated
// for one that a standby may not have seen.
var (
	errNotCommitted  = errors.New("postgres: the transaction was rolled back")
	errNotReplicated = errors.New("postgres: the server stopped waiting for its standby")
)

// saving is a batch's changes as statements: those for new rows, those for known
// ones, and those that make sure of rows that were only read and are not held: they
// were guessed, or are not there. New
// rows come first: who inserts one may have to wait for another transaction that
// has it, and holds nothing yet that that one waits for.
type saving struct {
	inserts, updates, drops, checks, events trip
	unheld                                  bool // something is written that is not locked

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
	t.absences(s, t.rows.written)
	saveEvents(&s.events, c.Events)
	return s
}

func (t *tx) saveIdems(s *saving, all []verify.IdemEntry) {
	slices.SortFunc(all, func(a, b verify.IdemEntry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	w := newWrites(t.sql(tableIdems), tableOf(tableIdems), len(all))
	for i := range all {
		key, e := all[i].Key, new(verify.IdemRow)
		*e = all[i].IdemRow // a pointer to it would keep those of the whole batch
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

// absences queue another look for rows that were looked for, were not there, and
// are not written. Nothing holds them, and each statement sees what is committed
// when it begins: one that waited for another replica's rows has seen what that
// one wrote, and those before it have not. They come last, when all other rows are
// held: what is still not there then was not there with all of these.
func (t *tx) absences(s *saving, written *keyset) {
	if keys := unheld(t.rows.idems, written.idems); len(keys) > 0 {
		s.checks.ask(nil, t.sql(tableIdems).absent, inOrder(keys).args()...)
	}
	if keys := unheld(t.rows.subjects, written.subjects); len(keys) > 0 {
		s.checks.ask(nil, t.sql(tableSubjects).absent, inOrder(keys).args()...)
	}
	for _, g := range t.days.groups(unheld(t.rows.verifications, written.verifications)) {
		s.checks.ask(nil, t.sqlOf(g.table).absent, g.keys.args()...)
	}
	if keys := unheld(t.rows.counters, written.counters); len(keys) > 0 {
		s.checks.ask(nil, t.sql(tableCounters).absent, placesInOrder(keys).args()...)
	}
}

// unheld are the keys of rows that are not there, and are not written.
func unheld[K comparable, T any](all map[K]row[T], written set[K]) set[K] {
	keys := set[K]{}
	for k, found := range all {
		if !found.exists && !has(written, k) {
			keys.add(k)
		}
	}
	return keys
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
	to = append(to, s.events...)
	return t.conclude(to)
}

// confirm makes sure of what was read where nothing is written. A standby may not
// have all of that: after a crash of the server, or when somebody has ended the
// wait of the COMMIT that wrote it. Where commits wait for one, this is one too: it
// writes the connection's row, and its log comes after that of whatever was read.
func (t *tx) confirm(s *saving, about int64) error {
	var to trip
	if !t.begun {
		t.begin(&to, t.session.beginQuick, about)
	}
	to = append(to, s.checks...)
	if t.session.standbys {
		return t.conclude(to)
	}
	to.say(`ROLLBACK`)
	err := t.send(to)
	if err == nil && t.session.standbys { // it is known only now
		to = nil
		t.begin(&to, t.session.beginQuick, 0)
		return t.conclude(to)
	}
	return err
}
