package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

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
}

// queue makes statements of what is written.
func (s *saving) queue(u *using) {
	if b := u.fresh; b.n > 0 {
		s.inserts.say(u.insert, b.args(s.version)...)
	}
	if b := u.known; b.n > 0 {
		s.updates.ask(nil, u.update, b.args(s.version, int64(b.n))...)
	}
	if b := u.gone; b.n > 0 {
		s.drops.ask(nil, u.drop, b.args(int64(b.n))...)
	}
}

// saves are the statements that save what changed. The memory is told, and keeps
// it when it is committed.
func (t *tx) saves(c verify.Changes, version int64) *saving {
	s := &saving{version: version}
	t.tidy()
	t.saveIdems(s, c.Idems)
	t.saveSubjects(s, c.Subjects)
	t.saveVerifications(s, c.Verifications)
	t.saveCounters(s, c.Counters)
	t.checks(s)
	t.absences(s)
	saveEvents(&s.events, c.Events)
	return s
}

func (t *tx) saveIdems(s *saving, all []verify.IdemEntry) {
	slices.SortFunc(all, func(a, b verify.IdemEntry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	u := t.use(tableIdems)
	for i := range all {
		key, e := all[i].Key, new(verify.IdemRow)
		*e = all[i].IdemRow // a pointer to it would keep those of the whole batch
		data, found := e.Record(), t.rows.idems.at(key)
		var c []array
		if found.exists {
			c = u.known.next()
			c[1].int64(found.version)
			c[2].int64(micros(e.ExpiresAt))
			c[3].bytes(data)
			s.unheld = s.unheld || found.guessed
		} else {
			c = u.fresh.next()
			c[1].int64(micros(e.ExpiresAt))
			c[2].bytes(data)
		}
		c[0].bytes(key[:])
		t.memory.idems.expect(key, e, s.version, len(data))
	}
	s.queue(u)
}

func (t *tx) saveSubjects(s *saving, all []*verify.Subject) {
	slices.SortFunc(all, func(a, b *verify.Subject) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	u := t.use(tableSubjects)
	for _, e := range all {
		data, found := e.Record(), t.rows.subjects.at(e.Key)
		var c []array
		if found.exists {
			c = u.known.next()
			c[0].bytes(e.Key[:])
			c[1].int64(found.version)
			c = c[2:]
			s.unheld = s.unheld || found.guessed
		} else {
			c = u.fresh.next()
			c[0].bytes(e.Key[:])
			c = c[1:]
		}
		c[0].int64(micros(e.Quiet()))
		c[1].int64(micros(e.Failed()))
		c[2].bytes(data)
		t.memory.subjects.expect(e.Key, e, s.version, len(data))
	}
	s.queue(u)
}

// placed is a verification, and where it is.
type placed struct {
	home
	*verify.Verification
}

func (t *tx) saveVerifications(s *saving, all []*verify.Verification) {
	if len(all) == 0 {
		return
	}
	sorted := make([]placed, 0, len(all))
	for _, v := range all {
		sorted = append(sorted, placed{t.days.home(v.ID), v})
	}
	slices.SortFunc(sorted, func(a, b placed) int { return a.compare(b.home) })
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].together(sorted[0].home) {
			n++
		}
		u := t.useDay(sorted[0].table())
		for _, p := range sorted[:n] {
			t.saveVerification(s, u, p)
		}
		s.queue(u)
		sorted = sorted[n:]
	}
}

func (t *tx) saveVerification(s *saving, u *using, p placed) {
	v := p.Verification
	data, found := v.Record(), t.rows.verifications.at(v.ID)
	var c []array
	if found.exists {
		c = u.known.next()
		c[2].int64(found.version)
		c[3].int64(micros(v.Ended()))
		c[4].int64(micros(v.DueAt()))
		c[5].bytes(data)
		s.unheld = s.unheld || found.guessed
	} else {
		c = u.fresh.next()
		c[2].bytes(v.Subject[:])
		c[3].text(v.To.E164())
		c[4].int64(micros(v.Ended()))
		c[5].int64(micros(v.DueAt()))
		c[6].bytes(data)
	}
	c[0].int32(p.day)
	c[1].text(v.ID)
	t.memory.verifications.expect(v.ID, v, s.version, len(data))
}

func (t *tx) saveCounters(s *saving, all []verify.CountersEntry) {
	slices.SortFunc(all, func(a, b verify.CountersEntry) int { return cmp.Compare(a.Place, b.Place) })
	u := t.use(tableCounters)
	for _, e := range all {
		found := t.rows.counters.at(e.Place)
		switch {
		case len(e.Counters) == 0 && !found.exists:
			continue
		case len(e.Counters) == 0:
			c := u.gone.next()
			c[0].int64(int64(e.Place))
			c[1].int64(found.version)
			t.memory.counters.expectGone(e.Place)
			s.unheld = s.unheld || found.guessed
			continue
		case found.exists:
			c := u.known.next()
			c[0].int64(int64(e.Place))
			c[1].int64(found.version)
			c[2].int64(e.Expires())
			c[3].bytes(e.Counters)
		default:
			c := u.fresh.next()
			c[0].int64(int64(e.Place))
			c[1].int64(e.Expires())
			c[2].bytes(e.Counters)
		}
		s.unheld = s.unheld || found.guessed
		t.memory.counters.expect(e.Place, e.Counters, s.version, len(e.Counters))
	}
	s.queue(u)
}

// checks queues the look at rows that were guessed and are not written.
func (t *tx) checks(s *saving) {
	u := t.use(tableIdems)
	for k, found := range t.rows.idems.rows {
		if found.guessed && found.exists && !t.rows.writes(found.written) {
			c := u.seen.next()
			c[0].bytes(k[:])
			c[1].int64(found.version)
		}
	}
	s.check(u)
	u = t.use(tableSubjects)
	for k, found := range t.rows.subjects.rows {
		if found.guessed && found.exists && !t.rows.writes(found.written) {
			c := u.seen.next()
			c[0].bytes(k[:])
			c[1].int64(found.version)
		}
	}
	s.check(u)
	t.checkVerifications(s)
	u = t.use(tableCounters)
	for p, found := range t.rows.counters.rows {
		if found.guessed && found.exists && !t.rows.writes(found.written) {
			c := u.seen.next()
			c[0].int64(int64(p))
			c[1].int64(found.version)
		}
	}
	s.check(u)
}

func (t *tx) checkVerifications(s *saving) {
	var ids set[string]
	for id, found := range t.rows.verifications.rows {
		if found.guessed && found.exists && !t.rows.writes(found.written) {
			if ids == nil {
				ids = set[string]{}
			}
			ids.add(id)
		}
	}
	for _, g := range t.days.groups(ids) {
		u := t.useDay(g.table)
		for _, id := range g.ids {
			c := u.seen.next()
			c[0].int32(dayOf(id))
			c[1].text(id)
			c[2].int64(t.rows.verifications.at(id).version)
		}
		s.check(u)
	}
}

func (s *saving) check(u *using) {
	if b := u.seen; b.n > 0 {
		s.checks.ask(nil, u.check, b.args(int64(b.n))...)
	}
}

// absences queue another look for rows that were looked for, were not there, and
// are not written. Nothing holds them, and each statement sees what is committed
// when it begins: one that waited for another replica's rows has seen what that
// one wrote, and those before it have not. They come last, when all other rows are
// held: what is still not there then was not there with all of these. Two replicas that
// each insert what the other misses do not see each other, so an operation may rely on
// an absence only beside a row that it writes and the other reads as it is.
func (t *tx) absences(s *saving) {
	r := t.rows
	if keys := unheld(r, &r.idems); len(keys) > 0 {
		s.checks.ask(nil, t.use(tableIdems).absent, inOrder(keys).args()...)
	}
	if keys := unheld(r, &r.subjects); len(keys) > 0 {
		s.checks.ask(nil, t.use(tableSubjects).absent, inOrder(keys).args()...)
	}
	for _, g := range t.days.groups(unheld(r, &r.verifications)) {
		s.checks.ask(nil, t.useDay(g.table).absent, g.keys.args()...)
	}
	if keys := unheld(r, &r.counters); len(keys) > 0 {
		s.checks.ask(nil, t.use(tableCounters).absent, placesInOrder(keys).args()...)
	}
}

// unheld are the keys of rows that are not there, and are not written.
func unheld[K comparable, T any](r *rows, in *shelf[K, T]) (keys set[K]) {
	for k, found := range in.rows {
		if !found.exists && !r.writes(found.written) {
			if keys == nil {
				keys = set[K]{}
			}
			keys.add(k)
		}
	}
	return keys
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
