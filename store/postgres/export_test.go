package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sixdigit/sixdigit/store/commit"
	"github.com/sixdigit/sixdigit/verify"
)

// ShrinkPartition is a purge that has looked at a day and found all of it over.
func (s *Store) ShrinkPartition(ctx context.Context, day, now time.Time) error {
	at := micros(now)
	_, err := s.shrinkPartition(ctx, int32(day.Unix()/secondsPerDay), bite{before: at, owed: at, now: at})
	return err
}

// ErrPartitionInUse says that a partition stays.
var ErrPartitionInUse = errInUse

// Trips is how often the writer has been to the server, and Reruns how often it
// has run a batch again.
func (s *Store) Trips() int64 { return s.writer.trips.Load() }

// Reruns is how often the writer has run a batch again.
func (s *Store) Reruns() int64 { return s.writer.reruns.Load() }

// Dare makes the writer rely on whatever it remembers, and take what it does not
// for absent. Nothing may be under way.
func (s *Store) Dare() {
	w := s.writer
	*w.odds = odds{}
	if w.memory != nil {
		trust(&w.memory.idems)
		trust(&w.memory.subjects)
		trust(&w.memory.verifications)
		trust(&w.memory.counters)
	}
}

func trust[K comparable, T any](r *memos[K, T]) {
	for _, e := range r.all {
		e.value.doubt = 0
	}
}

// Askew puts the writer's idea of the time off. Nothing may be under way.
func (s *Store) Askew(by time.Duration) { s.writer.session.clock.ahead += by }

// Idle makes the writer believe that nothing was said for long. Nothing may be
// under way.
func (s *Store) Idle() { s.writer.session.clock.heard -= 2 * clockTrust }

// AskTooSoon asks after the writer's next batch. It reports whether that one was
// committed, as far as the answer goes.
func (s *Store) AskTooSoon(ctx context.Context) (bool, error) {
	session := s.writer.session
	fate, err := s.ask(ctx, &lostBatch{writer: session.id, batch: session.batch + 1})
	return fate == committed, err
}

// Statements are all that find rows by keys, on the tables and on a partition.
func Statements(day time.Time) (all []string) {
	for _, t := range []table{tableOf(tableIdems), tableOf(tableSubjects), tableOf(tableVerifications), tableOf(tableCounters), verificationsIn(partitionName(int32(day.Unix() / secondsPerDay)))} {
		s := t.statements()
		all = append(all, s.lock, s.update, s.drop, s.check, s.absent)
	}
	return all
}

// Together does operations as one batch. Nothing may be under way.
func (s *Store) Together(ops ...verify.Op) (results []any, errs []error) {
	batch, out := make([]request, len(ops)), make([]commit.Result[any], len(ops))
	for i := range ops {
		batch[i].op = &ops[i]
	}
	err := s.writer.run(batch, out)
	for i := range out {
		results, errs = append(results, out[i].Value), append(errs, errors.Join(err, out[i].Err))
	}
	return results, errs
}

// PreparedKept bounds a connection's prepared statements.
const PreparedKept = preparedKept

// Prepared is how many statements the writer's connection has prepared. Nothing may
// be under way.
func (s *Store) Prepared() int { return len(s.writer.session.prepared) }

// Prepare prepares statements on the writer's connection until there are n. Nothing
// may be under way.
func (s *Store) Prepare(ctx context.Context, n int) error {
	for i := 0; s.Prepared() < n; i++ {
		if _, err := s.writer.session.prepare(ctx, "SELECT "+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// Unknown makes the writer believe that its connection has prepared nothing.
// Nothing may be under way.
func (s *Store) Unknown() { clear(s.writer.session.prepared) }

// Days is of how many tables of verifications the writer knows the statements.
// Nothing may be under way.
func (s *Store) Days() int { return len(s.writer.tables) }
