package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"
)

// When the redo log's rows come to their tables.
const (
	// A generation is full with so many rows, or so many bytes, a second of some
	// thousand starts. The more there are, the more of them share a page, and the
	// more have changed again before they are written. Two generations are well below
	// mostLogged, and a file need not be made shorter and longer for each.
	fullRows = 65536
	fullSize = keptSize
	// foldEvery is how often a generation is brought to the tables that is not full.
	foldEvery = time.Second
	// mostLogged bounds the rows for which the tables are too slow, or the disk too
	// full.
	mostLogged = 64 << 20
)

// fold brings the old generation to its tables, when there is one, and erases it
// from its file.
func (k *keeper) fold() error {
	k.folding.Lock()
	defer k.folding.Unlock()
	old, kept, err := k.foldOld()
	if old == nil || err != nil {
		return err
	}
	if err := k.files.forget(old.number, old.used); err != nil {
		return unavailable("erase the redo log", err)
	}
	k.redo.arrived(old, kept)
	return nil
}

func (k *keeper) foldOld() (old, kept *generation, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, kept = k.redo.oldest(); old == nil {
		return nil, nil, nil
	}
	for table := range old.order {
		old.sort(table)
	}
	err = k.transaction(func() (err error) {
		kept, err = k.bring(old, kept)
		return err
	})
	return old, kept, err
}

// bring saves the rows of a generation, and those that their tables refused before,
// and says so, all in the transaction that is open. So the tables are always what
// they were at some moment: a copy of the database needs nothing beside it. A row
// that its table refuses, as one does that is damaged, is kept aside: what was
// promised for others goes on.
func (k *keeper) bring(g, kept *generation) (still *generation, err error) {
	done, err := k.stmts.redone.int()
	if err != nil {
		return nil, err
	}
	if uint64(done) >= g.number { // #nosec G115 -- it counts from 0
		return k.refused() // another process has done it
	}
	var value []byte
	for _, from := range []*generation{kept, g} {
		for table := range from.order {
			for _, key := range from.order[table] {
				if from == kept && g.has(key) {
					continue // there is a newer version
				}
				r, _ := from.find(key)
				switch err := k.stmts.save(r); {
				case err == nil:
				case isRefused(err):
					if value == nil {
						k.log.Error("a table refuses a row, which is kept aside; the database may be damaged", "table", table, "error", err.Error())
						value = []byte{rowFormat}
					}
					value = r.append(value)
				default:
					return nil, err
				}
			}
		}
	}
	still = newGeneration(0, 0)
	if len(kept.values) > 0 || value != nil {
		if err := k.stmts.forget.exec(); err != nil {
			return nil, err
		}
	}
	if value != nil {
		if err := errors.Join(k.stmts.refuse.exec(value), still.take(value)); err != nil {
			return nil, err
		}
	}
	return still, k.stmts.setRedone.exec(int64(g.number)) // #nosec G115 -- it counts from 0
}

// refused are the rows that their tables refuse, as they are kept. It also has what
// was on its way when the log was a table.
func (k *keeper) refused() (*generation, error) {
	g := newGeneration(0, 0)
	err := k.stmts.refused.each(func(row []driver.Value) error {
		seq, _ := row[0].(int64)
		value, err := blob(row[1])
		if err == nil {
			err = g.take(slices.Clone(value))
		}
		if err != nil {
			return fmt.Errorf("seq %d: %w", seq, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the table refused: %w", err)
	}
	return g, nil
}

// open takes over a redo log as it was left.
func (k *keeper) open() error {
	if err := k.files.lock(); err != nil {
		return err
	}
	defer k.files.unlock()
	k.mu.Lock()
	err := k.connect()
	if err == nil {
		err = k.name()
	}
	k.mu.Unlock()
	if err != nil {
		return err
	}
	return k.recover()
}

// name learns which database this is.
func (k *keeper) name() error {
	row, err := k.stmts.database.row()
	if err != nil {
		return err
	}
	if len(row) == 1 {
		if id, ok := row[0].([]byte); ok && copy(k.files.id[:], id) == len(k.files.id) {
			return nil
		}
	}
	return errors.New("the table redone names no database")
}

// recover brings everything to the tables that the files have: what a process left
// that was killed, what another process has written, what is there after a disk
// has failed. Then a new generation begins, of this process. The caller holds the
// lock of the files.
func (k *keeper) recover() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, err := k.files.read()
	if err != nil {
		return err
	}
	var kept *generation
	g := newGeneration(0, 0)
	err = k.transaction(func() error {
		done, err := k.stmts.redone.int()
		if err != nil {
			return err
		}
		if g.number, err = live(g, all, uint64(done)); err != nil { // #nosec G115 -- it counts from 0
			return err
		}
		if kept, err = k.refused(); err != nil || g.number == uint64(done) && len(kept.values) == 0 { // #nosec G115
			return err
		}
		if len(g.values) == 0 { // only what is kept
			g.number++
		}
		for table := range g.order {
			g.sort(table)
		}
		kept, err = k.bring(g, kept)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := k.files.clear(f.which, f.used); err != nil {
			return err
		}
	}
	if err := k.files.begin(g.number + 1); err != nil {
		return err
	}
	k.redo.begin(g.number+1, k.files.recovered()+1, kept)
	return nil
}

// live takes the rows of the generations that are not in the tables yet and returns
// the last one's number, or that of what is there.
func live(g *generation, all [2]found, done uint64) (last uint64, err error) {
	last = done
	for _, f := range all {
		if f.gen <= done || len(f.values) == 0 && !f.damaged {
			continue
		}
		if last++; f.gen != last {
			return last, errOther
		}
		if f.damaged {
			return last, fmt.Errorf("generation %d: %w", f.gen, errRedo)
		}
		for i, value := range f.values {
			if err := g.take(value); err != nil {
				return last, fmt.Errorf("generation %d, entry %d: %w", f.gen, i, err)
			}
		}
	}
	return last, nil
}

// settle brings all rows to their tables that were written before.
func (s *Store) settle(ctx context.Context) error {
	if err := s.fresh(ctx); err != nil {
		return err
	}
	if err := s.keeper.fold(); err != nil { //nolint:contextcheck // A transaction that has begun is not broken off.
		return err
	}
	if s.redo.turns() {
		if _, err := s.submit(ctx, request{turn: true}); err != nil {
			return err
		}
	}
	return s.keeper.fold() //nolint:contextcheck // as above
}

// tidy settles every second, so that little has to be done again after a kill,
// and the tables show whoever looks at them what is; and folds a generation that is
// full.
func (s *Store) tidy(ctx context.Context) {
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for {
		// A disk that is full has its own way to be told; the log is as durable.
		select {
		case <-ctx.Done():
			return
		case <-s.writer.full:
			_ = s.keeper.fold() //nolint:contextcheck // as above
		case <-tick.C:
			_ = s.settle(ctx)
		}
	}
}
