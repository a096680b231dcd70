package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"modernc.org/sqlite"

	"github.com/sixdigit/sixdigit/store/commit"
)

// How much of the redo log is brought to the tables, and when. Each transaction
// brings twice as many rows as it adds, while there are any: so the old generation
// is there before the young one is full.
const (
	// A generation is full with so many rows, half a second of starts, or so many
	// bytes. The more there are, the more of them share a page, and the more have
	// changed again before they are written.
	fullRows = 16384
	fullSize = 8 << 20
	// leastBite and foldBite are how many rows a transaction brings at least, and
	// where it was asked to; cutBite is how many bytes of the log it deletes: some
	// milliseconds of each.
	leastBite = 64
	foldBite  = 512
	cutBite   = 512 << 10
	// foldEvery is how often a generation is brought to the tables that is not full.
	foldEvery = time.Second
	// mostLogged bounds the rows that their tables refuse, or are too slow for.
	mostLogged = 64 << 20
)

// fold brings rows of the old generation to their tables, and deletes what is done
// from the log.
func (w *writer) fold(rows int) error {
	r := w.redo
	if len(r.young.rows) >= w.full || r.young.size >= fullSize {
		r.turn()
	}
	if old := r.old; old != nil {
		if err := w.foldFrom(old, rows); err != nil {
			return err
		}
		w.tx.folded = w.tx.table == tables && len(w.tx.refused) == 0
	}
	return w.cut(cutBite)
}

// cut deletes values from the log that are no longer needed, of about so many
// bytes.
func (w *writer) cut(size int) error {
	done, t := w.redo.cut, &w.tx
	if t.cut == len(done) {
		return nil
	}
	for ; t.cut < len(done) && size > 0; t.cut++ {
		size -= done[t.cut].size
	}
	return w.stmts.cut.exec(done[t.cut-1].seq)
}

// foldFrom brings so many rows to their tables, but for those of which there is a
// newer version. A row that its table refuses, as one does that is damaged, stays
// in the log: what was promised for others goes on.
func (w *writer) foldFrom(g *generation, rows int) error {
	t := &w.tx
	for ; t.table < tables; t.table, t.next = t.table+1, 0 {
		if t.next == 0 {
			g.sort(t.table)
		}
		for ; t.next < len(g.order[t.table]); t.next++ {
			if rows--; rows < 0 {
				return nil
			}
			k := g.order[t.table][t.next]
			if _, newer := w.redo.young.rows[k]; newer {
				continue
			}
			r, _ := g.find(k)
			switch err := w.stmts.save(r); {
			case err == nil:
			case isRefused(err):
				if len(t.refused) == 0 {
					w.log.Error("a table refuses a row, which stays in the redo log; the database may be damaged", "table", t.table, "error", err.Error())
				}
				t.refused = append(t.refused, k)
			default:
				return err
			}
		}
	}
	return nil
}

// logAgain makes the rows that were refused part of the transaction's value, so
// that the values in which they were can be deleted. It is tried with them again.
func (w *writer) logAgain(add func(row)) {
	old := w.redo.old
	if old == nil || old.table < tables {
		return
	}
	for _, k := range old.refused {
		if _, newer := w.redo.young.rows[k]; newer || w.tx.has(k) {
			continue
		}
		if r, ok := old.find(k); ok {
			add(r)
		}
	}
	w.tx.refused = nil
}

// compare looks whether the log is what the writer knows of it. Where another
// process has written, or one was killed, it is taken as it is.
func (w *writer) compare() error {
	row, err := w.stmts.span.row()
	if err != nil {
		return err
	}
	if len(row) == 2 && row[0] == any(w.redo.begins()) && row[1] == any(w.redo.ends()) {
		return nil
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
		if err != nil {
			return fmt.Errorf("seq %d: %w", seq, err)
		}
		g.add(seq, value, rows)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the table redo: %w", err)
	}
	w.redo.adopt(g)
	return nil
}

// publish lets readers see what the transaction has done, now that it is durable.
func (w *writer) publish() {
	r, t := w.redo, &w.tx
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(t.rows) > 0 {
		r.young.add(t.seq, t.value, t.rows)
		r.last = t.seq
	}
	r.cut = r.cut[t.cut:]
	switch old := r.old; {
	case old == nil:
	case t.folded:
		r.cut = append(r.cut, old.stored...)
		r.spare, r.old, r.ended = old.empty(), nil, r.ended+1
	default:
		old.table, old.next, old.refused = t.table, t.next, t.refused
	}
}

// settle brings all rows to their tables that were committed before, but for those
// that their table refuses.
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

// settle brings the log of a database to its tables that nobody has open.
func settle(path string) (err error) {
	connector, err := sqlite.NewConnector(writeDSN(path))
	if err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	w := newWriter(connector, time.Now, slog.New(slog.DiscardHandler))
	defer func() { err = errors.Join(err, w.close()) }()
	for again := true; again; again = w.redo.begins() != 0 {
		if err := w.run([]request{{fold: true}}, make([]commit.Result[any], 1)); err != nil {
			return err
		}
		if old := w.redo.old; old != nil && len(old.refused) > 0 {
			return unavailable("bring the redo log to the tables", errRefused)
		}
	}
	return nil
}

var errRefused = errors.New("a table refuses a row of the redo log; the database may be damaged")
