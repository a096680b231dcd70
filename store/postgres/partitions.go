package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A day's verifications are in a partition: verifications_d20510 for the day
// 20510 since 1970.
const (
	partitionPrefix = "verifications_d"
	restPartition   = "verifications_rest"
)

// partitionsAhead are made before their day comes, so that a week without a
// purge, or without the right to make tables, does no harm. Then the days land
// in verifications_rest: slower to purge, and no less right.
const partitionsAhead = 7

// What a change of partitions may wait for, and hold up meanwhile: making one
// waits for whoever reads verifications_rest, which no batch does as a rule;
// dropping one waits for every transaction, and every later one for it.
const (
	attachWait = time.Second
	dropWait   = 15 * time.Millisecond
)

func partitionName(day int32) string { return partitionPrefix + strconv.Itoa(int(day)) }

// partitionDays returns the days that have a partition, the oldest first, and
// lets the writer know them.
func (s *Store) partitionDays(ctx context.Context) (days []int32, err error) {
	err = read(ctx, func(ctx context.Context) error {
		found, err := s.pool.Query(ctx, `SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'verifications'::regclass`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(found, pgx.RowTo[string])
		days = days[:0]
		for _, name := range names {
			if digits, ok := strings.CutPrefix(name, partitionPrefix); ok {
				if day, err := strconv.ParseInt(digits, 10, 32); err == nil {
					days = append(days, int32(day))
				}
			}
		}
		return err
	})
	slices.Sort(days)
	if err == nil {
		there := make(daySet, len(days))
		for _, day := range days {
			there[day] = true
		}
		s.days.Store(&there)
	}
	return days, err
}

// makePartitions makes those of today and of the days ahead that are missing.
// Whatever forbids it, the default partition takes the rows.
func (s *Store) makePartitions(ctx context.Context) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	today := int32(now.Unix() / secondsPerDay) // #nosec G115 -- days
	if s.made.through >= today+partitionsAhead || now.Before(s.made.next) {
		return nil
	}
	days, err := s.partitionDays(ctx)
	if err != nil {
		return err
	}
	through := today + partitionsAhead
	for day := today; day <= today+partitionsAhead; day++ {
		if slices.Contains(days, day) {
			continue
		}
		switch err := s.makePartition(ctx, day); {
		case refused(err): // we may not, or somebody else just has
			through, s.made.next = today-1, now.Add(partitionRetry)
		case err != nil:
			return err
		}
	}
	s.made.through = through
	_, err = s.partitionDays(ctx)
	return err
}

// makePartition makes a table and then attaches it, which, unlike making it as a
// partition, lets others read and write meanwhile.
func (s *Store) makePartition(ctx context.Context, day int32) error {
	name := partitionName(day)
	return s.change(ctx, attachWait,
		`CREATE TABLE `+name+` (LIKE verifications INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES) WITH (fillfactor = 80)`,
		fmt.Sprintf(`ALTER TABLE verifications ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, name, day, day+1))
}

// change runs statements in one transaction that waits for locks only so long.
func (s *Store) change(ctx context.Context, wait time.Duration, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, q := range append([]string{fmt.Sprintf(`SET LOCAL lock_timeout = %d`, wait.Milliseconds())}, statements...) {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// errInUse says that a partition cannot be dropped now.
var errInUse = errors.New("postgres: the partition is in use, or not over")

// dropPartition removes a day all of whose rows are over, and returns how many
// they were. To empty a large table takes a moment, in which nobody can look at
// that day; to drop an empty one is short, and holds up everybody. So these are
// two transactions.
func (s *Store) dropPartition(ctx context.Context, day int32, b bite) (removed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	var living bool
	young := `SELECT EXISTS (SELECT FROM ` + partitionName(day) + ` WHERE NOT (` + overVerification + `))`
	if err := s.pool.QueryRow(ctx, young, b.before, b.owed).Scan(&living); err != nil {
		return 0, err
	} else if living {
		return 0, errInUse
	}
	if removed, err = s.shrinkPartition(ctx, day, b); err != nil || removed == 0 {
		return removed, err
	}
	if _, err = s.shrinkPartition(ctx, day, b); errors.Is(err, errInUse) {
		err = nil // it is dropped next time, empty as it is
	}
	return removed, err
}

// shrinkPartition empties a partition, or drops an empty one. While it looks,
// rows can be read and not changed: none becomes young again between the look
// and the end. The lock keeps a second purge out.
func (s *Store) shrinkPartition(ctx context.Context, day int32, b bite) (removed int, err error) {
	name := partitionName(day)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, q := range []string{fmt.Sprintf(`SET LOCAL lock_timeout = %d`, dropWait.Milliseconds()), `LOCK TABLE ` + name + ` IN SHARE ROW EXCLUSIVE MODE`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		var over int
		count := `SELECT count(*), count(*) FILTER (WHERE ` + overVerification + `) FROM ` + name
		if err := tx.QueryRow(ctx, count, b.before, b.owed).Scan(&removed, &over); err != nil {
			return err
		}
		q := `TRUNCATE ` + name
		switch {
		case removed > over:
			return errInUse
		case removed == 0:
			q = `DROP TABLE ` + name
		}
		_, err := tx.Exec(ctx, q)
		return err
	})
	switch {
	case code(err) == codeLockWait, code(err) == codeDeadlock:
		return 0, errInUse
	case err != nil:
		return 0, err
	}
	return removed, nil
}
