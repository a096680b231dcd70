package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"modernc.org/sqlite"
)

// How much of the redo log is brought to the tables, and when. Each transaction
// brings twice as many rows as it adds, while there are any: so the old generation
// is there before the young one is full.
const (
	// fullGeneration is how many rows make a generation full: 10 MB, half a second
	// of starts. The more there are, the more of them share a page and the more have
	// changed again before they are written.
	fullGeneration = 16384
	// leastBite and foldBite are how many rows a transaction brings at least, and
	// where it was asked to: some milliseconds.
	leastBite = 64
	foldBite  = 512
	// foldEvery is how often a generation is brought to the tables that is not full.
	foldEvery = time.Second
)

// logged returns the newest version of a row that is not in its table.
func (w *writer) logged(k rowKey) (row, bool) {
	if w.tx.recovered {
		return row{}, false
	}
	return w.redo.find(k)
}

// fold brings rows of the old generation to their tables. Behind the last it
// deletes them from the log.
func (w *writer) fold(rows int) error {
	if w.tx.recovered {
		return nil
	}
	if len(w.redo.young.rows) >= w.full {
		w.redo.turn()
	}
	old := w.redo.old
	if old == nil {
		return nil
	}
	table, next, err := w.foldFrom(old, w.redo.young, w.tx.table, w.tx.next, rows)
	if err != nil {
		return err
	}
	w.tx.table, w.tx.next = table, next
	if table < tables {
		return nil
	}
	w.tx.folded = true
	return w.stmts.trim.exec(old.last)
}

// foldFrom brings so many rows of a generation to their tables, but for those of
// which another one has a newer version, and returns how far it came.
func (w *writer) foldFrom(g, newer *generation, table, next, rows int) (int, int, error) {
	for ; table < tables; table, next = table+1, 0 {
		for ; next < len(g.order[table]); next++ {
			if rows--; rows < 0 {
				return table, next, nil
			}
			k := g.order[table][next]
			if newer != nil {
				if _, ok := newer.rows[k]; ok {
					continue
				}
			}
			r, ok := g.find(k)
			if !ok { // purged
				continue
			}
			if err := w.stmts.save(r); err != nil {
				return table, next, err
			}
		}
	}
	return table, next, nil
}

// recover looks whether the log is what the writer knows of it. Where another
// process has written, or one was killed, it brings all of it to the tables.
func (w *writer) recover() error {
	first, last, err := w.span()
	if err != nil || first == w.redo.begins() && last == w.redo.ends() {
		return err
	}
	g := newGeneration()
	err = w.stmts.logged.each(func(row []driver.Value) error {
		seq, _ := row[0].(int64)
		value, err := blob(row[1])
		if err != nil {
			return err
		}
		value = slices.Clone(value)
		rows, err := parse(value)
		g.add(seq, value, rows)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the redo log: %w", err)
	}
	g.sort()
	if _, _, err := w.foldFrom(g, nil, 0, 0, len(g.rows)); err != nil {
		return err
	}
	w.tx.recovered, w.tx.seen = true, last
	return w.stmts.trim.exec(last)
}

func (w *writer) span() (first, last int64, err error) {
	row, err := w.stmts.span.row()
	if err != nil {
		return 0, 0, err
	}
	if len(row) == 2 {
		first, _ = row[0].(int64)
		last, _ = row[1].(int64)
	}
	return first, last, nil
}

// publish lets readers see what the transaction has done, now that it is durable.
func (w *writer) publish() {
	r, t := w.redo, &w.tx
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.recovered:
		r.young, r.old = newGeneration(), nil
	case t.folded:
		r.spare, r.old = r.old.empty(), nil
	case r.old != nil:
		r.old.table, r.old.next = t.table, t.next
	}
	for _, k := range t.purged {
		delete(r.young.rows, k)
		if r.old != nil {
			delete(r.old.rows, k)
		}
	}
	if len(t.rows) > 0 {
		r.young.add(t.seq, t.value, t.rows)
	}
	r.last = max(r.last, t.seen, t.seq)
}

// settle brings all rows to their tables that were committed before.
func (s *Store) settle(ctx context.Context) error {
	if err := s.current(ctx); err != nil {
		return err
	}
	_, last := s.redo.span()
	for {
		begins, _ := s.redo.span()
		if begins == 0 || begins > last {
			return nil
		}
		if _, err := s.submit(ctx, request{fold: true}); err != nil {
			return err
		}
	}
}

// tidy settles every second, so that little has to be done again after a kill,
// and the tables show whoever looks at them what is.
func (s *Store) tidy(ctx context.Context) {
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// A disk that is full has its own way to be told; the log is as durable.
			_ = s.settle(ctx)
		}
	}
}

// settled brings what is in the log to the tables and closes the connection.
// Nobody else writes.
func (w *writer) settled() error {
	if w.cache != nil {
		w.cache.version = -1
	}
	w.redo = newRedo() // as if another process had left it behind
	return errors.Join(w.run(nil, nil), w.close())
}

// settle is settled for a database that nobody has open.
func settle(path string) error {
	connector, err := sqlite.NewConnector(writeDSN(path))
	if err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return newWriter(connector, time.Now).settled()
}
