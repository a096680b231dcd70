package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// tx is one transaction of the writer.
type tx struct {
	*writer
	days   daySet
	rows   *rows
	begun  bool
	now    int64 // the database's time, in microseconds
	locked int   // the last table of which it has locked rows, -1 when it has none
}

// errForgotten says that the connection's row in writers is gone: purged, or
// never replicated to the server that is in charge now.
var errForgotten = errors.New("postgres: the connection's row is gone")

// begin queues what every transaction begins with. about is the time that it is
// decided at, zero when the database is to tell it.
func (t *tx) begin(to *trip, query string, about int64) {
	s := t.session
	if s.conn.PgConn().TxStatus() != 'I' {
		to.say(`ROLLBACK`)
	}
	s.batch++
	to.say(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	sent := time.Now()
	to.ask(func(values [][]byte) error {
		now, err := int64Of(values[0])
		if err == nil {
			s.clock.hear(now, sent)
			t.now, s.standbys = now, len(values[2]) == 1 && values[2][0] == 1
		}
		return err
	}, query, s.id, int64Arg(s.batch), int64Arg(about))
}

// start begins the transaction anew and fetches rows.
func (t *tx) start(wanted *keyset) error {
	before := t.rows
	t.rows, t.begun, t.locked = newRows(), true, -1
	t.rows.memory, t.rows.rely, t.rows.now = before.memory, before.rely, before.now
	var to trip
	t.begin(&to, t.session.begin, 0)
	t.lock(&to, wanted)
	err := t.send(to)
	if code(err) == codeMismatch {
		return errForgotten
	}
	return err
}

// fetch locks further rows. They must come after all that are locked already.
func (t *tx) fetch(wanted *keyset) error {
	var to trip
	t.lock(&to, wanted)
	return t.send(to)
}

func (t *tx) send(to trip) error {
	t.trips.Add(1)
	return t.session.send(to)
}

// lock asks for rows and locks them, table by table, each in the order of its
// keys.
func (t *tx) lock(to *trip, k *keyset) {
	if len(k.idems) > 0 {
		absent(&t.rows.idems, k.idems)
		to.ask(t.readIdem, t.use(tableIdems).lock, inOrder(k.idems).args()...)
	}
	if len(k.subjects)+len(k.subjectsOf) > 0 {
		absent(&t.rows.subjects, k.subjects)
		query, args := t.subjectQuery(k)
		to.ask(t.readSubject, query, args...)
	}
	absent(&t.rows.verifications, k.verifications)
	for _, g := range t.days.groups(k.verifications) {
		to.ask(func(values [][]byte) error { return t.readVerification(values, k) }, t.useDay(g.table).lock, g.keys.args()...)
	}
	if len(k.counters) > 0 {
		absent(&t.rows.counters, k.counters)
		to.ask(t.readCounters, t.use(tableCounters).lock, placesInOrder(k.counters).args()...)
	}
}

// absent says of rows that they are not there, until they are read.
func absent[K comparable, T any](in *shelf[K, T], keys set[K]) {
	for k := range keys {
		*in.add(k) = row[T]{}
	}
}

// subjectQuery finds subjects by their keys and by their verifications. These
// are read without a lock: a verification keeps its subject for life.
func (t *tx) subjectQuery(k *keyset) (query string, args [][]byte) {
	args = inOrder(k.subjects).args()
	if len(k.subjectsOf) == 0 {
		return t.use(tableSubjects).lock, args
	}
	keys := `SELECT unnest($1::bytea[]) AS key`
	for _, g := range t.days.groups(k.subjectsOf) {
		n := len(args)
		args = append(args, g.keys.args()...)
		keys += fmt.Sprintf(` UNION SELECT v.subject FROM unnest($%d::integer[], $%d::text[]) AS k (day, id), LATERAL (SELECT subject FROM %s WHERE day = k.day AND id = k.id LIMIT 1) AS v`, n+1, n+2, g.table)
	}
	return `SELECT t.* FROM (` + keys + ` ORDER BY key) AS k, LATERAL (SELECT key, version, data FROM subjects WHERE key = k.key FOR UPDATE) AS t`, args
}

// reached notes that rows of a table are locked.
func (t *tx) reached(table int) { t.locked = max(t.locked, table) }

func (t *tx) readIdem(values [][]byte) error {
	t.reached(tableIdems)
	version, err := int64Of(values[1])
	value, bad := verify.ReadIdem(values[2])
	k := verify.MAC(values[0])
	*t.rows.idems.add(k) = row[*verify.IdemRow]{value: value, err: bad, exists: true, version: version, size: len(values[2])}
	return err
}

func (t *tx) readSubject(values [][]byte) error {
	t.reached(tableSubjects)
	version, err := int64Of(values[1])
	k := verify.SubjectKey(values[0])
	value, bad := verify.ReadSubject(k, values[2])
	*t.rows.subjects.add(k) = row[*verify.Subject]{value: value, err: bad, exists: true, version: version, size: len(values[2])}
	return err
}

// readVerification takes day, id, version, subject, number and data.
func (t *tx) readVerification(values [][]byte, k *keyset) error {
	t.reached(tableVerifications)
	version, err := int64Of(values[2])
	id, subject := string(values[1]), values[3]
	value, bad := verify.ReadVerification(id, string(values[4]), values[5])
	*t.rows.verifications.add(id) = row[*verify.Verification]{value: value, err: bad, exists: true, version: version, size: len(values[5])}
	if _, asked := k.subjectsOf[id]; asked && len(subject) == len(verify.SubjectKey{}) {
		// It was looked for, in the statement before.
		t.rows.subjects.add(verify.SubjectKey(subject))
	}
	return err
}

func (t *tx) readCounters(values [][]byte) error {
	t.reached(tableCounters)
	place, err := int64Of(values[0])
	version, err2 := int64Of(values[1])
	value, bad := verify.ReadCounters(append([]byte(nil), values[2]...))
	*t.rows.counters.add(verify.Place(place)) = row[verify.Counters]{value: value, err: bad, exists: true, version: version, size: len(value)}
	return errors.Join(err, err2)
}

// learn compares what was fetched with what was remembered, and remembers it:
// rows as they were before this transaction, also where that fails.
func (t *tx) learn(fresh *keyset) {
	m, o := t.memory, t.odds
	learn(o, tableIdems, &m.idems, &t.rows.idems, fresh.idems)
	learn(o, tableSubjects, &m.subjects, &t.rows.subjects, fresh.subjects)
	learn(o, tableVerifications, &m.verifications, &t.rows.verifications, fresh.verifications)
	learn(o, tableCounters, &m.counters, &t.rows.counters, fresh.counters)
}
