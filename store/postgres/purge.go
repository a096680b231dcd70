package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// owedLife is for how long after its end a verification is kept to which
	// something is owed: a text on its way must find its record. By then nothing
	// is done about a text any more, and a row that nobody can read must not stay.
	owedLife = 24 * time.Hour
	// writerLife is for how long a connection's row is kept after its last batch.
	// A batch that is lost is asked after within seconds.
	writerLife = 24 * time.Hour
	// biteRows is how many rows one statement deletes: a few milliseconds.
	biteRows = 250
	// lookRows is how many rows one statement of a sweep looks at.
	lookRows = 4096
	// sweepWait bounds one statement of a purge.
	sweepWait = time.Minute
)

// overVerification says of a verification that it is over.
const overVerification = `ended < $1 AND (due = 0 OR ended < $2)`

// bite are the times by which a row is over, in microseconds.
type bite struct {
	before int64 // verifications and failures older than this
	owed   int64 // and, with something owed, verifications older than this
	now    int64
	ended  time.Time // when the purge ended
}

// partitions remembers through which day there are some, or when to look again
// where some could not be made. It belongs to who holds the sweeps.
type partitions struct {
	through int32
	next    time.Time
}

// partitionRetry is for how long nobody tries again to make a partition.
const partitionRetry = time.Hour

// sweep is a table that is purged by going through its keys: an index on a time
// that changes with every charge would cost every charge.
type sweep[K any] struct {
	table, key, keyType string
	over                string           // when a row is
	args                func(bite) []any // what over needs, from $2 on
	least               K                // no key is smaller
	after               *K               // where the last look ended; nil is the start
}

// sweeps remember where in a table the last look ended, so that a purge in many
// bites reads each table once.
type sweeps struct {
	mu              sync.Mutex
	subjects, idems sweep[[]byte]
	counters        sweep[int64]
}

func newSweeps() *sweeps {
	now := func(b bite) []any { return []any{b.now} }
	return &sweeps{
		subjects: sweep[[]byte]{table: "subjects", key: "key", keyType: "bytea", least: []byte{}, over: `quiet <= $2 AND failed < $3`,
			args: func(b bite) []any { return []any{b.now, b.before} }},
		idems:    sweep[[]byte]{table: "idems", key: "key", keyType: "bytea", least: []byte{}, over: `expires <= $2`, args: now},
		counters: sweep[int64]{table: "counters", key: "place", keyType: "bigint", least: math.MinInt64, over: `expires <= $2`, args: now},
	}
}

// Purge implements verify.Store. Verifications go by the day: once all of a day
// are over, their partition is dropped, which may keep one for up to a day longer
// than asked; a day counts as limit rows at most. Of the other tables, rows
// are deleted that nobody has locked, a few hundred with each statement.
func (s *Store) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	s.sweeps.mu.Lock() // one at a time: two would look at the same rows
	defer s.sweeps.mu.Unlock()
	removed, err := s.purge(ctx, before, limit)
	switch {
	case err == nil:
		return removed, nil
	case ctx.Err() != nil:
		return removed, ctx.Err()
	}
	return removed, unavailable("purge", err)
}

func (s *Store) purge(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return 0, err
	}
	if before.After(now) {
		before = now // what has not ended has not ended
	}
	b := bite{before: micros(before), owed: micros(now.Add(-owedLife)), now: micros(now)}
	defer s.forget(b)
	if err := s.makePartitions(ctx); err != nil {
		return 0, err
	}
	if removed, err = s.purgeDays(ctx, b, limit); err != nil {
		return removed, err
	}
	for _, table := range []interface {
		bites(context.Context, *Store, bite, int) (int, error)
	}{&s.sweeps.subjects, &s.sweeps.counters, &s.sweeps.idems} {
		n, err := table.bites(ctx, s, b, limit-removed)
		if removed += n; err != nil {
			return removed, err
		}
	}
	// By the database's clock, which wrote them, whatever the store's is.
	_, err = s.exec(ctx, `DELETE FROM writers WHERE used < `+clock+` - $1`, writerLife.Microseconds())
	return removed, err
}

// forget lets the writer know which of the rows that it remembers may be gone: by
// this purge, or by one before that went further.
func (s *Store) forget(b bite) {
	if last := s.purged.Load(); last != nil {
		b.before, b.owed, b.now = max(b.before, last.before), max(b.owed, last.owed), max(b.now, last.now)
	}
	b.ended = time.Now()
	s.purged.Store(&b)
}

// purgeDays removes verifications: whole days, and single ones of the default
// partition and of days that should be gone by now and cannot be dropped.
func (s *Store) purgeDays(ctx context.Context, b bite, limit int) (removed int, err error) {
	days, err := s.partitionDays(ctx)
	if err != nil {
		return 0, err
	}
	last := int32(b.before / microsPerDay) // #nosec G115 -- days
	tables := []string{restPartition}
	for _, day := range days {
		if day >= last || removed >= limit {
			break
		}
		switch n, err := s.dropPartition(ctx, day, b); {
		case err == nil:
			removed = min(limit, removed+n)
		case dropped(err):
		case !errors.Is(err, errInUse) && code(err) != codePrivilege:
			return removed, err
		case day < last-1:
			tables = append(tables, partitionName(day))
		}
	}
	for _, table := range tables {
		for removed < limit {
			// As a WITH the rows are chosen once. A subquery might run again for
			// each row, and choose others.
			n, err := s.exec(ctx, fmt.Sprintf(`WITH over AS (SELECT day, id FROM %[1]s WHERE %[2]s ORDER BY ended LIMIT $3 FOR UPDATE SKIP LOCKED)
				DELETE FROM %[1]s AS t USING over WHERE t.day = over.day AND t.id = over.id`, table, overVerification),
				b.before, b.owed, min(biteRows, limit-removed))
			if dropped(err) {
				break
			}
			if err != nil {
				return removed, err
			}
			if n == 0 {
				break
			}
			removed += n
		}
	}
	return removed, nil
}

// dropped reports whether another replica was faster to drop a partition.
func dropped(err error) bool { return code(err) == codeNoTable || code(err) == codeInternal }

// bites goes through the table by its key from where the last sweep ended, and
// deletes what is over. Only a sweep from the very start that finds nothing says
// that nothing is left.
func (t *sweep[K]) bites(ctx context.Context, s *Store, b bite, limit int) (removed int, err error) {
	began := t.after != nil // in the middle
	for removed < limit {
		over, last, err := t.look(ctx, s, b, min(biteRows, limit-removed))
		if err != nil {
			return removed, err
		}
		t.after = last
		if last == nil { // the end
			if !began {
				return removed, nil
			}
			began = false
			continue
		}
		if len(over) == 0 {
			continue
		}
		// A row that somebody has locked is about to become young again.
		n, err := s.exec(ctx, fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s = ANY(ARRAY(
			SELECT %[2]s FROM %[1]s WHERE %[2]s = ANY($1::%[3]s[]) AND %[4]s ORDER BY %[2]s FOR UPDATE SKIP LOCKED))`, t.table, t.key, t.keyType, t.over),
			append([]any{over}, t.args(b)...)...)
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// look reads on in the table, and returns at most limit keys of rows that are
// over and the last key that it has looked at; nil is the end.
func (t *sweep[K]) look(ctx context.Context, s *Store, b bite, limit int) (over []K, last *K, err error) {
	after := t.least
	if t.after != nil {
		after = *t.after
	}
	query := fmt.Sprintf(`WITH look AS (SELECT %[2]s AS key, %[3]s AS over FROM %[1]s WHERE %[2]s > $1 ORDER BY %[2]s LIMIT %[4]d)
		(SELECT key, true FROM look WHERE over ORDER BY key LIMIT %[5]d) UNION ALL (SELECT key, false FROM look ORDER BY key DESC LIMIT 1)`,
		t.table, t.key, t.over, lookRows, limit)
	type found struct {
		Key  K
		Over bool
	}
	err = read(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, append([]any{after}, t.args(b)...)...)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
		over, last = nil, nil
		for i := range all {
			if all[i].Over {
				over = append(over, all[i].Key)
			} else {
				last = &all[i].Key
			}
		}
		return err
	})
	if len(over) == limit {
		last = &over[limit-1] // there may be more before the last one
	}
	return over, last, err
}

// exec deletes rows and returns how many.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	tag, err := s.pool.Exec(ctx, query, args...)
	return int(tag.RowsAffected()), err
}
