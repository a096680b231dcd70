package sqlite

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// purgeBite is for how long one bite of a purge deletes rows. With the commit
// after it, it stays within the 20 ms that Store promises.
const purgeBite = 8 * time.Millisecond

// bite asks the writer to delete rows of one table that were over when they
// were looked at.
type bite struct {
	table  int
	keys   []any
	before int64 // verifications and failures older than this are over
	owed   int64 // and so are, with something owed, those older than this
	now    int64
}

// sweeps remember where in a table the last look ended, so that a purge in many
// bites reads each table once. Verifications need none: the oldest come first.
type sweeps struct {
	mu    sync.Mutex
	after [purged]any // nil at the start
}

// Purge implements verify.Store. Rows are looked for by a reader and deleted by
// the writer, between other operations.
func (s *Store) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	s.sweeps.mu.Lock() // one at a time: two would look at the same rows
	defer s.sweeps.mu.Unlock()
	if err := s.settle(ctx); err != nil { // rows are looked for in the tables
		return 0, err
	}
	now := s.now()
	if before.After(now) {
		before = now // what has not ended has not ended
	}
	removed, again := 0, false
	for table := 0; table < purged && removed < limit; {
		b := bite{table: table, before: micros(before), owed: micros(now.Add(-verify.OwedLife)), now: micros(now)}
		var err error
		if b.keys, err = s.over(ctx, b, limit-removed); err != nil {
			if ctx.Err() != nil {
				return removed, ctx.Err()
			}
			return removed, unavailable("look for old rows", err)
		}
		if len(b.keys) == 0 {
			table++
			continue
		}
		result, err := s.keep(ctx, task{purge: &b})
		if err != nil {
			return removed, err
		}
		done, _ := result.(bitten)
		removed += done.removed
		if done.skipped > 0 {
			if err := s.settle(ctx); err != nil {
				return removed, err
			}
			if again = done.removed == 0 && !again; done.removed == 0 && !again {
				table++ // what its table refuses stays in the log
				continue
			}
		}
		if done.looked < len(b.keys) {
			// The time was over first. The next call begins where this one ended.
			s.sweeps.rewind(table, b.keys, done.looked)
			break
		}
	}
	return removed, nil
}

func (s *sweeps) rewind(table int, keys []any, looked int) {
	if table == tableVerifications || looked == 0 {
		return
	}
	s.after[table] = keys[looked-1]
}

// over returns the keys of rows that are over, at most limit.
func (s *Store) over(ctx context.Context, b bite, limit int) ([]any, error) {
	switch b.table {
	case tableVerifications:
		return s.overVerifications(ctx, b, limit)
	case tableSubjects:
		return s.sweep(ctx, b, `SELECT key FROM subjects WHERE key > ?1 AND quiet_from <= ?2 AND failed < ?3 ORDER BY key LIMIT ?4`, limit)
	case tableCounters:
		return s.sweep(ctx, b, `SELECT place FROM counters WHERE place > ?1 AND expires_at <= ?2 ORDER BY place LIMIT ?4`, limit)
	default:
		return s.sweep(ctx, b, `SELECT key FROM idems WHERE key > ?1 AND expires_at <= ?2 ORDER BY key LIMIT ?4`, limit)
	}
}

// disorder is by how much a younger row may stand before an older one, in
// microseconds: the redo log brings a row to the table when it changes no more.
const disorder = 60_000_000

// overVerifications reads from the oldest on and stops at the first that is too
// young to have ended in time: behind it all are younger. So it reads little
// more than it returns. A row from the future says nothing about those behind
// it: a clock was ahead when it was made.
func (s *Store) overVerifications(ctx context.Context, b bite, limit int) (ids []any, err error) {
	rows, err := s.pool.QueryContext(ctx, `SELECT id, created, ended_at, due FROM verifications ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for len(ids) < limit && rows.Next() {
		var id string
		var created, ended, due int64
		if err := rows.Scan(&id, &created, &ended, &due); err != nil {
			return nil, err
		}
		if created >= b.before+disorder && created <= b.now {
			break
		}
		if ended < b.before && (due == 0 || ended < b.owed) {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
}

// sweep goes through a table by its key from where the last sweep ended. Only a
// sweep from the very start that finds nothing says that nothing is left.
func (s *Store) sweep(ctx context.Context, b bite, query string, limit int) ([]any, error) {
	for {
		after := s.sweeps.after[b.table]
		from := after
		if from == nil {
			from = start(b.table)
		}
		keys, err := s.keys(ctx, query, from, b.now, b.before, limit)
		if err != nil {
			return nil, err
		}
		if len(keys) > 0 {
			s.sweeps.after[b.table] = keys[len(keys)-1]
			return keys, nil
		}
		s.sweeps.after[b.table] = nil
		if after == nil {
			return nil, nil
		}
	}
}

// start is a key that every key of a table is greater than; NULL would be less
// and greater than nothing.
func start(table int) any {
	if table == tableCounters {
		return int64(math.MinInt64)
	}
	return []byte{}
}

// notNil is an empty key for none.
func notNil(key []byte) []byte {
	if key == nil {
		return []byte{}
	}
	return key
}

func (s *Store) keys(ctx context.Context, query string, args ...any) (keys []any, err error) {
	rows, err := s.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key any
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

// bitten is what a bite came to.
type bitten struct {
	looked  int // at so many of its keys
	removed int
	skipped int // because their rows are on their way to the table
}

// purge deletes the rows of a bite until its time is over; at least a few.
func (k *keeper) purge(b bite) (done bitten, err error) {
	const atATime = 16 // rows between two looks at the clock
	st := [purged]*stmt{k.stmts.dropVerification, k.stmts.dropSubject, k.stmts.dropCounters, k.stmts.dropIdem}[b.table]
	for start := k.tick(); done.looked < len(b.keys); {
		key := b.keys[done.looked]
		done.looked++
		if k.redo.has(keyOfAny(b.table, key)) { // it has changed, or would be brought back
			done.skipped++
			continue
		}
		n, err := st.changed(key, b.before, b.now, b.owed)
		if err != nil {
			return done, err
		}
		done.removed += int(n)
		if done.looked%atATime == 0 && k.tick().Sub(start) >= k.bite {
			break
		}
	}
	return done, nil
}

// keyOfAny is the key of a row as its table has it.
func keyOfAny(table int, key any) rowKey {
	switch k := key.(type) {
	case string:
		return keyOf(byte(table), k) // #nosec G115 -- one of four
	case int64:
		var b [8]byte
		return keyOf(byte(table), appendPlace(b[:0], verify.Place(k))) // #nosec G115 -- one of four
	case []byte:
		return keyOf(byte(table), k) // #nosec G115 -- one of four
	default:
		return rowKey{}
	}
}
