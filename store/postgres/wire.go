package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What the writer says to the server, and hears from it, is in PostgreSQL's
// binary form, without the detours by which any Go value could be an argument.

// array is a one-dimensional array in binary form, which begins with: one
// dimension, no NULL among the elements, their type, how many, counted from 1.
type array []byte

const arrayHead = 20

// The types' numbers, from PostgreSQL's catalog.
const (
	oidBytea, oidText, oidInt8, oidInt4 = 17, 25, 20, 23
)

func newArray(c column, n int) array {
	oid, size := uint32(oidBytea), max(c.size, 32)
	switch c.sqlType {
	case "text":
		oid = oidText
	case "bigint":
		oid, size = oidInt8, 8
	case "integer":
		oid, size = oidInt4, 4
	}
	a := make(array, arrayHead, arrayHead+n*(4+size))
	binary.BigEndian.PutUint32(a, 1)
	binary.BigEndian.PutUint32(a[8:], oid)
	binary.BigEndian.PutUint32(a[16:], 1)
	return a
}

func (a *array) grow(size int) {
	binary.BigEndian.PutUint32((*a)[12:], binary.BigEndian.Uint32((*a)[12:])+1)
	*a = binary.BigEndian.AppendUint32(*a, uint32(size)) // #nosec G115 -- records are bounded
}

func (a *array) bytes(b []byte) { a.grow(len(b)); *a = append(*a, b...) }

func (a *array) text(s string) { a.grow(len(s)); *a = append(*a, s...) }

func (a *array) int64(n int64) { a.grow(8); *a = binary.BigEndian.AppendUint64(*a, uint64(n)) } // #nosec G115 -- as bits

func (a *array) int32(n int32) { a.grow(4); *a = binary.BigEndian.AppendUint32(*a, uint32(n)) } // #nosec G115 -- as bits

func int64Arg(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) } // #nosec G115 -- as bits

func int64Of(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("postgres: a number of %d bytes", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil // #nosec G115 -- as bits
}

// block are rows of a table as arrays, column by column.
type block struct {
	columns []array
	n       int
	filled  [][]byte // what args has returned last
}

func newBlock(columns []column, n int) *block {
	b := &block{columns: make([]array, len(columns))}
	for i, c := range columns {
		b.columns[i] = newArray(c, n)
	}
	return b
}

// next begins a row: each of its columns is to be added to.
func (b *block) next() []array {
	b.n++
	return b.columns
}

// clear makes the block empty, to be filled again.
func (b *block) clear() {
	b.n = 0
	for i, c := range b.columns {
		b.columns[i] = c[:arrayHead]
		clear(c[12:16])
	}
}

// args are the block as a statement's arguments, and further ones. They last
// until the block is cleared.
func (b *block) args(further ...int64) [][]byte {
	args := b.filled[:0]
	for _, c := range b.columns {
		args = append(args, c)
	}
	for _, n := range further {
		args = append(args, int64Arg(n))
	}
	b.filled = args
	return args
}

// trip is what goes to the server in one piece, and is answered in one: a round
// trip.
type trip []step

type step struct {
	query string
	args  [][]byte
	row   func(values [][]byte) error // nil when rows tell nothing; values do not last
	done  func(tag pgconn.CommandTag) error
}

func (t *trip) say(query string, args ...[]byte) {
	*t = append(*t, step{query: query, args: args})
}

func (t *trip) ask(row func([][]byte) error, query string, args ...[]byte) {
	*t = append(*t, step{query: query, args: args, row: row})
}

// preparedKept bounds a connection's prepared statements, unless one trip has more.
// A day's partition has some of its own.
const preparedKept = 256

// prepare returns a statement's description, nil when none shall be prepared:
// some poolers keep none.
func (s *session) prepare(ctx context.Context, query string) (*pgconn.StatementDescription, error) {
	if d, ok := s.prepared[query]; ok || !s.prepares {
		return d, nil
	}
	d, err := s.conn.PgConn().Prepare(ctx, nameOf(query), query, nil)
	if err == nil {
		s.prepared[query] = d
	}
	return d, err
}

// nameOf names a statement by its text. Behind a pooler that hands the statements
// of many out under the names that they gave them, one name is then one statement:
// it may be missing, or be there already, and is never another.
func nameOf(query string) string {
	sum := sha256.Sum256([]byte(query))
	return "sixdigit_" + hex.EncodeToString(sum[:16])
}

// makeRoom forgets all prepared statements when those of a trip would be too many.
// That must not happen in the middle: the trip's first ones would be gone.
func (s *session) makeRoom(ctx context.Context, t trip) error {
	fresh := set[string]{}
	for _, st := range t {
		if s.prepared[st.query] == nil {
			fresh.add(st.query)
		}
	}
	if len(s.prepared) == 0 || len(s.prepared)+len(fresh) <= preparedKept {
		return nil
	}
	return s.forget(ctx)
}

// forgetAll is forget, beside a trip.
func (s *session) forgetAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	return s.forget(ctx)
}

// forget forgets all prepared statements.
func (s *session) forget(ctx context.Context) error {
	clear(s.prepared)
	return s.conn.PgConn().Exec(ctx, `DEALLOCATE ALL`).Close()
}

// send goes to the server and back. A statement that fails keeps those after it
// from being run.
func (s *session) send(t trip) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	s.sent = false
	binary := []int16{pgx.BinaryFormatCode}
	if err := s.makeRoom(ctx, t); err != nil {
		return err
	}
	b := &pgconn.Batch{}
	for _, st := range t {
		d, err := s.prepare(ctx, st.query)
		switch {
		case err != nil:
			return err
		case d != nil:
			b.ExecStatement(d, st.args, binary, binary)
		default:
			b.ExecParams(st.query, st.args, nil, binary, binary)
		}
	}
	s.sent = true
	results := s.conn.PgConn().ExecBatch(ctx, b)
	for i := 0; results.NextResult(); i++ {
		if e := t[i].read(results.ResultReader()); err == nil {
			err = e
		}
	}
	if e := results.Close(); e != nil {
		return e // what the server says comes first
	}
	return err
}

// rollback ends a transaction that has failed. In one nothing can be prepared.
func (s *session) rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), tripWait)
	defer cancel()
	if s.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	return s.conn.PgConn().Exec(ctx, `ROLLBACK`).Close()
}

func (st step) read(r *pgconn.ResultReader) (err error) {
	for r.NextRow() {
		if st.row != nil && err == nil {
			err = st.row(r.Values())
		}
	}
	tag, e := r.Close()
	if e != nil {
		return e
	}
	if err == nil && st.done != nil {
		err = st.done(tag)
	}
	return err
}
