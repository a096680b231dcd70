package postgres

import (
	"context"
	"errors"
	"fmt"
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
// that changes with every charge would cost every charge. over is when a row is.
type sweep struct {
	table, over string
	args        func(bite) []any // from $2 on
}

func sweepTables() [3]sweep {
	now := func(b bite) []any { return []any{b.now} }
	return [...]sweep{
		{"subjects", `quiet <= $2 AND failed < $3`, func(b bite) []any { return []any{b.now, b.before} }},
		{"limits", `expires <= $2`, now},
		{"idems", `expires <= $2`, now},
	}
}

// sweeps remember where in a table the last look ended, so that a purge in many
// bites reads each table once.
type sweeps struct {
	mu    sync.Mutex
	after [3][]byte
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
	if err := s.makePartitions(ctx); err != nil {
		return 0, err
	}
	if removed, err = s.purgeDays(ctx, b, limit); err != nil {
		return removed, err
	}
	for i, table := range sweepTables() {
		n, err := s.sweep(ctx, i, table, b, limit-removed)
		if removed += n; err != nil {
			return removed, err
		}
	}
	// By the database's clock, which wrote them, whatever the store's is.
	_, err = s.exec(ctx, `DELETE FROM writers WHERE used < `+clock+` - $1`, writerLife.Microseconds())
	return removed, err
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

// sweep goes through a table by its key from where the last sweep ended, and
// deletes what is over. Only a sweep from the very start that finds nothing says
// that nothing is left.
func (s *Store) sweep(ctx context.Context, i int, t sweep, b bite, limit int) (removed int, err error) {
	began := s.sweeps.after[i] != nil // in the middle
	for removed < limit {
		over, last, err := s.look(ctx, t, s.sweeps.after[i], b, min(biteRows, limit-removed))
		if err != nil {
			return removed, err
		}
		if last == nil { // the end
			s.sweeps.after[i] = nil
			if !began {
				return removed, nil
			}
			began = false
			continue
		}
		s.sweeps.after[i] = last
		if len(over) == 0 {
			continue
		}
		// A row that somebody has locked is about to become young again.
		n, err := s.exec(ctx, fmt.Sprintf(`DELETE FROM %[1]s WHERE key = ANY(ARRAY(
			SELECT key FROM %[1]s WHERE key = ANY($1::bytea[]) AND %[2]s ORDER BY key FOR UPDATE SKIP LOCKED))`, t.table, t.over),
			append([]any{over}, t.args(b)...)...)
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// look reads on in a table, and returns at most limit keys of rows that are over
// and the last key that it has looked at; nil is the end.
func (s *Store) look(ctx context.Context, t sweep, after []byte, b bite, limit int) (over [][]byte, last []byte, err error) {
	if after == nil {
		after = []byte{} // every key is greater; NULL would be neither
	}
	query := fmt.Sprintf(`WITH look AS (SELECT key, %[2]s AS over FROM %[1]s WHERE key > $1 ORDER BY key LIMIT %[3]d)
		(SELECT key, true FROM look WHERE over ORDER BY key LIMIT %[4]d) UNION ALL (SELECT key, false FROM look ORDER BY key DESC LIMIT 1)`,
		t.table, t.over, lookRows, limit)
	err = read(ctx, func(ctx context.Context) error {
		found, err := s.pool.Query(ctx, query, append([]any{after}, t.args(b)...)...)
		if err != nil {
			return err
		}
		over, last = nil, nil
		var key []byte
		var isOver bool
		_, err = pgx.ForEachRow(found, []any{&key, &isOver}, func() error {
			k := append([]byte(nil), key...)
			if !isOver {
				last = k
			} else {
				over = append(over, k)
			}
			return nil
		})
		return err
	})
	if len(over) == limit {
		last = over[limit-1] // there may be more before the last one
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
