package postgres

import (
	"fmt"
	"strings"
)

// column is one of a table's columns. A fixed one never changes: it is written
// with a new row alone.
type column struct {
	name, sqlType string
	fixed         bool
	size          int // of a value, about; 0 is what the type has, or a key
}

// table says how the rows of a table are found and written, any number of them
// with one statement: their columns come as arrays. Each row has a version, which
// is another one whenever the row is written.
type table struct {
	name          string
	keys, columns []column
}

// using is a table as the writer uses it: its statements, and what their arguments
// are gathered in, again for each batch.
type using struct {
	statements
	fresh, known, gone, seen *block // to insert, to update, to delete, and to be sure of
}

func (t table) using() *using {
	return &using{
		t.statements(), newBlock(t.all(), 0), newBlock(append(versioned(t.keys), t.changing()...), 0),
		newBlock(versioned(t.keys), 0), newBlock(versioned(t.keys), 0),
	}
}

// clear makes room for another batch.
func (u *using) clear() {
	for _, b := range []*block{u.fresh, u.known, u.gone, u.seen} {
		if b.n > 0 {
			b.clear()
		}
	}
}

const (
	tableIdems = iota
	tableSubjects
	tableVerifications
	tableCounters
	tableCount
)

// parentTable is what all partitions of verifications belong to.
const parentTable = "verifications"

// tableOf describes the tables, in the order in which every transaction locks
// their rows, and in each of them by key. So no two batches wait for each other.
func tableOf(n int) table {
	key := []column{{name: "key", sqlType: "bytea"}}
	data := func(size int) column { return column{name: "data", sqlType: "bytea", size: size} }
	bigint := func(name string) column { return column{name: name, sqlType: "bigint"} }
	switch n {
	case tableIdems:
		return table{"idems", key, []column{bigint("expires"), data(200)}}
	case tableSubjects:
		return table{"subjects", key, []column{bigint("quiet"), bigint("failed"), data(300)}}
	case tableVerifications:
		return verificationsIn(parentTable)
	}
	return table{"counters", []column{bigint("place")}, []column{bigint("expires"), data(100)}}
}

// verificationsIn is the table of verifications, or one of its partitions.
func verificationsIn(name string) table {
	return table{name, []column{{name: "day", sqlType: "integer"}, {name: "id", sqlType: "text"}}, []column{
		{name: "subject", sqlType: "bytea", fixed: true}, {name: "number", sqlType: "text", fixed: true},
		{name: "ended", sqlType: "bigint"}, {name: "due", sqlType: "bigint"}, {name: "data", sqlType: "bytea", size: 800},
	}}
}

// given are columns that come as the arrays $1, $2 and so on, as k.
func given(columns []column) string {
	var arrays, names []string
	for i, c := range columns {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, c.sqlType))
		names = append(names, c.name)
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") AS k (" + strings.Join(names, ", ") + ")"
}

func versioned(columns []column) []column {
	return append(columns[:len(columns):len(columns)], column{name: "version", sqlType: "bigint"})
}

// each has f of every column, with commas between.
func each(columns []column, f func(column) string) string {
	var all []string
	for _, c := range columns {
		all = append(all, f(c))
	}
	return strings.Join(all, ", ")
}

// same says that t has the key of k. No plan but to look each key up by itself
// can be made of "= ANY(ARRAY[…])". Of a plain "=" the planner makes, while a
// table is small, a plan that reads all of it, and keeps that plan when it is
// large.
func (t table) same() string {
	var all []string
	for _, c := range t.keys {
		all = append(all, fmt.Sprintf("t.%[1]s = ANY(ARRAY[k.%[1]s])", c.name))
	}
	return strings.Join(all, " AND ")
}

// at says that a row of the table has the key of k, inside of LATERAL: there the
// planner has no choice either.
func (t table) at() string {
	var all []string
	for _, c := range t.keys {
		all = append(all, fmt.Sprintf("%[1]s = k.%[1]s", c.name))
	}
	return strings.Join(all, " AND ")
}

// unless fails where a condition does not hold. The statements after it, the
// COMMIT among them, are then not run.
func unless(condition string) string {
	return "1 / (CASE WHEN " + condition + " THEN 1 ELSE 0 END)"
}

// lock finds rows and locks them, in the order of the keys that are given: keys,
// version, the columns that never change, and data.
func (t table) lock() string {
	names := each(versioned(t.keys), func(c column) string { return c.name })
	for _, c := range t.columns {
		if c.fixed || c.name == "data" {
			names += ", " + c.name
		}
	}
	return "SELECT t.* FROM " + given(t.keys) + ", LATERAL (SELECT " + names + " FROM " + t.name + " WHERE " + t.at() + " FOR UPDATE) AS t"
}

// insert writes new rows: keys, columns, and last the version of all of them.
// It fails where one is there already.
func (t table) insert() string {
	columns := t.all()
	name := func(c column) string { return c.name }
	return fmt.Sprintf("INSERT INTO %s (%s, version) SELECT %s, $%d::bigint FROM %s",
		t.name, each(columns, name), each(columns, func(c column) string { return "k." + c.name }), len(columns)+1, given(columns))
}

// all are the keys and the columns.
func (t table) all() []column { return append(t.keys[:len(t.keys):len(t.keys)], t.columns...) }

// changing are the columns that an update writes.
func (t table) changing() (all []column) {
	for _, c := range t.columns {
		if !c.fixed {
			all = append(all, c)
		}
	}
	return all
}

// update writes rows that have the versions that are given: keys, versions, the
// columns that change, the new version of all of them, and how many they are.
// Where they are fewer it fails: somebody else has written one.
func (t table) update() string {
	columns := append(versioned(t.keys), t.changing()...)
	set := each(t.changing(), func(c column) string { return c.name + " = k." + c.name })
	n := len(columns)
	return fmt.Sprintf("WITH w AS (UPDATE %s AS t SET version = $%d::bigint, %s FROM %s WHERE %s AND t.version = k.version RETURNING 1) SELECT %s FROM w",
		t.name, n+1, set, given(columns), t.same(), unless(fmt.Sprintf("count(*) = $%d::bigint", n+2)))
}

// drop deletes rows that have the versions that are given: keys, versions, and
// how many they are. Where they are fewer it fails.
func (t table) drop() string {
	columns := versioned(t.keys)
	return fmt.Sprintf("WITH w AS (DELETE FROM %s AS t USING %s WHERE %s AND t.version = k.version RETURNING 1) SELECT %s FROM w",
		t.name, given(columns), t.same(), unless(fmt.Sprintf("count(*) = $%d::bigint", len(columns)+1)))
}

// check locks rows against changes and fails unless they have the versions that
// are given: keys, versions, and how many they are. It waits for nobody: who has
// one of them locked is about to change it.
func (t table) check() string {
	columns := versioned(t.keys)
	return fmt.Sprintf("SELECT %s FROM %s, LATERAL (SELECT version FROM %s WHERE %s FOR SHARE SKIP LOCKED) AS t WHERE t.version = k.version",
		unless(fmt.Sprintf("count(*) = $%d::bigint", len(columns)+1)), given(columns), t.name, t.at())
}

// absent fails where one of the rows is there that are given by their keys. It
// locks nothing.
func (t table) absent() string {
	return fmt.Sprintf("SELECT %s FROM %s, LATERAL (SELECT 1 FROM %s WHERE %s LIMIT 1) AS t",
		unless("count(*) = 0"), given(t.keys), t.name, t.at())
}

// statements are a table's.
type statements struct{ lock, insert, update, drop, check, absent string }

func (t table) statements() statements {
	return statements{t.lock(), t.insert(), t.update(), t.drop(), t.check(), t.absent()}
}
