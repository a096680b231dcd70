package sqlite

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// redo is what the redo log's rows are: the newest version of every row that is
// durable and not in its table yet. The writer changes it once a transaction is
// committed; readers look at it beside the writer.
//
//	save ──> one value in the table redo ──> young ──> old ──> the tables
//	                                                    └──> cut: the values that are done
//
// Rows gather in the young generation. Then they are the old one, and the writer
// brings them into their tables bite by bite, in the order of the tables' pages,
// while the next generation gathers. What changed again meanwhile is passed over.
// When all are there, the values of that generation are deleted, bite by bite too.
type redo struct {
	mu    sync.RWMutex
	young *generation
	old   *generation // nil when nothing is on its way
	cut   []stored    // values that are still in the log, and no longer needed
	spare *generation // one that is in its tables, to be used again
	last  int64       // the last seq of this process or one it has found
	ended int         // how many generations have come to their tables
}

func newRedo() *redo { return &redo{young: newGeneration()} }

// stored is a value in the table redo.
type stored struct {
	seq  int64
	size int
}

// generation are the rows of some transactions.
type generation struct {
	stored []stored
	values [][]byte
	size   int // of all values
	rows   map[rowKey]entry
	order  [tables][]rowKey // by table

	// How far the rows are in their tables, and those that their table refuses.
	table, next int
	refused     []rowKey
}

// entry is where a row's newest version stands in the values.
type entry struct {
	value, from, to uint32
	due             int64 // of a verification
}

func newGeneration() *generation { return &generation{rows: map[rowKey]entry{}} }

// empty makes a generation that is done as good as new. Its map is as large as it
// has to be already. Readers may have slices of its values, which are not touched.
func (g *generation) empty() *generation {
	clear(g.rows)
	clear(g.values)
	fresh := &generation{rows: g.rows, values: g.values[:0]}
	for table := range g.order {
		fresh.order[table] = g.order[table][:0]
	}
	return fresh
}

// first is the seq of the first value, 0 when there is none.
func (g *generation) first() int64 {
	if g == nil || len(g.stored) == 0 {
		return 0
	}
	return g.stored[0].seq
}

// logged is a row of a value that is about to be committed.
type logged struct {
	key rowKey
	entry
}

// add takes the rows of a value in. Their versions name no value yet.
func (g *generation) add(seq int64, value []byte, rows []logged) {
	for _, r := range rows {
		if _, known := g.rows[r.key]; !known {
			g.order[r.key.table] = append(g.order[r.key.table], r.key)
		}
		r.value = uint32(len(g.values)) // #nosec G115 -- far fewer
		g.rows[r.key] = r.entry
	}
	g.values = append(g.values, value)
	g.stored = append(g.stored, stored{seq, len(value)})
	g.size += len(value)
}

// parse reads a value of the log.
func parse(value []byte) (rows []logged, err error) {
	if len(value) == 0 || value[0] != rowFormat {
		return nil, errRedo
	}
	for rest := value[1:]; len(rest) > 0; {
		from := len(value) - len(rest)
		var r row
		if r, rest, err = readRow(rest); err != nil {
			return nil, err
		}
		rows = append(rows, loggedAt(r, from, len(value)-len(rest)))
	}
	return rows, nil
}

// loggedAt is a row that stands in its value from and to there.
func loggedAt(r row, from, to int) logged {
	l := logged{key: keyOf(r.table, r.key), entry: entry{from: uint32(from), to: uint32(to)}} // #nosec G115 -- a value is some KiB
	if r.table == tableVerifications {
		l.due = r.times[timeDue]
	}
	return l
}

func (g *generation) find(k rowKey) (row, bool) {
	if g == nil {
		return row{}, false
	}
	v, ok := g.rows[k]
	if !ok {
		return row{}, false
	}
	r, _, err := readRow(g.values[v.value][v.from:v.to])
	return r, err == nil // we wrote it, or have read it before
}

// sort puts the rows of a table in the order of the table's pages. Verifications
// are about in it: that in which they were made.
func (g *generation) sort(table int) {
	if table == tableVerifications {
		return
	}
	var sign uint64
	if table == tableCounters { // their keys are numbers with a sign
		sign = 1 << 63
	}
	slices.SortFunc(g.order[table], func(a, b rowKey) int {
		return cmp.Or(
			cmp.Compare(binary.BigEndian.Uint64(a.key[:8])^sign, binary.BigEndian.Uint64(b.key[:8])^sign),
			bytes.Compare(a.key[8:], b.key[8:]),
		)
	})
}

// find returns the newest version of a row that is not in its table yet.
func (r *redo) find(k rowKey) (row, bool) {
	if found, ok := r.young.find(k); ok {
		return found, true
	}
	return r.old.find(k)
}

// looked is what a reader finds.
type looked struct {
	row   row
	first int64 // the first seq of the row's generation, 0 where no version is in the log
	last  int64 // the last seq that is known of
	ended int
}

// look is find for readers.
func (r *redo) look(k rowKey) looked {
	r.mu.RLock()
	defer r.mu.RUnlock()
	l := looked{last: r.last, ended: r.ended}
	for _, g := range []*generation{r.young, r.old} {
		if found, ok := g.find(k); ok {
			l.row, l.first = found, g.first()
			break
		}
	}
	return l
}

// span is the first seq of what the log is known to hold, 0 when that is nothing,
// and the last seq that is known of.
func (r *redo) span() (begins, last int64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.begins(), r.last
}

// due are the verifications in the log that are due by now, and all that are in
// it.
func (r *redo) due(now int64) (due []dueID, logged map[rowKey]bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	logged = make(map[rowKey]bool)
	r.each(func(g *generation, k rowKey, e entry) {
		logged[k] = true
		if e.due == 0 || e.due > now {
			return
		}
		if found, ok := g.find(k); ok {
			due = append(due, dueID{string(found.key), e.due})
		}
	})
	return due, logged
}

// between are the verifications in the log whose ids are from and below, by id.
func (r *redo) between(from, below string) map[string]row {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := map[string]row{}
	r.each(func(g *generation, k rowKey, _ entry) {
		if found, ok := g.find(k); ok && string(found.key) >= from && string(found.key) < below {
			all[string(found.key)] = found
		}
	})
	return all
}

// each hands the newest version of every verification in the log to look.
func (r *redo) each(look func(g *generation, k rowKey, e entry)) {
	for _, g := range []*generation{r.young, r.old} {
		if g == nil {
			continue
		}
		for k, e := range g.rows {
			if k.table != tableVerifications {
				continue
			}
			if _, newer := r.young.rows[k]; g == r.young || !newer {
				look(g, k, e)
			}
		}
	}
}

// begins is the first seq of the log, 0 when it is empty.
func (r *redo) begins() int64 {
	if len(r.cut) > 0 {
		return r.cut[0].seq
	}
	return cmp.Or(r.old.first(), r.young.first())
}

// ends is the last seq of the log, 0 when it is empty.
func (r *redo) ends() int64 {
	for _, all := range [][]stored{r.young.stored, r.old.all(), r.cut} {
		if len(all) > 0 {
			return all[len(all)-1].seq
		}
	}
	return 0
}

func (g *generation) all() []stored {
	if g == nil {
		return nil
	}
	return g.stored
}

// size is that of the rows that are in memory.
func (r *redo) size() int {
	size := r.young.size
	if r.old != nil {
		size += r.old.size
	}
	return size
}

// turn makes the young generation the old one, when there is none. The writer
// calls it.
func (r *redo) turn() {
	if r.old != nil || r.young.first() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old, r.young, r.spare = r.young, r.spare, nil
	if r.young == nil {
		r.young = newGeneration()
	}
}

// adopt takes the log as it was found.
func (r *redo) adopt(found *generation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old, r.cut = newGeneration(), nil, nil
	r.ended++
	if found.first() != 0 {
		r.old, r.last = found, max(r.last, found.stored[len(found.stored)-1].seq)
	}
}
