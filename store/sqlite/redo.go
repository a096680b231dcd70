package sqlite

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// redo is what the redo log's rows are: the newest version of every row that is
// not in its table yet.
//
//	writer ──> an entry in a file ──> young ──> old ──> the tables
//	                                                └─> kept, what they refuse
//
// Rows gather in the young generation. Then they are the old one, and all of them
// come to their tables in one transaction, in the order of the tables' pages, while
// the next generation gathers.
type redo struct {
	mu    sync.RWMutex
	young *generation
	old   *generation // nil when nothing is on its way
	kept  *generation // rows that their tables refuse
	spare *generation // one that is in its tables, to be used again
}

func newRedo() *redo { return &redo{young: newGeneration(0, 1), kept: newGeneration(0, 0)} }

// generation are the rows of some entries.
type generation struct {
	number uint64
	first  uint64 // the seq of the first entry
	values [][]byte
	size   int   // of all values
	used   int64 // so far its file is not zeros
	rows   map[rowKey]rowAt
	order  [tables][]rowKey // by table
}

// rowAt is where a row's newest version stands in the values.
type rowAt struct {
	value, from, to uint32
	due             int64 // of a verification
}

func newGeneration(number, first uint64) *generation {
	return &generation{number: number, first: first, rows: map[rowKey]rowAt{}}
}

// empty makes a generation that is done as good as new. Its map is as large as it
// has to be already. Readers may have slices of its values, which are not touched.
func (g *generation) empty(number, first uint64) *generation {
	clear(g.rows)
	clear(g.values)
	fresh := &generation{number: number, first: first, rows: g.rows, values: g.values[:0]}
	for table := range g.order {
		fresh.order[table] = g.order[table][:0]
	}
	return fresh
}

// logged is a row of an entry that is about to be written.
type logged struct {
	key rowKey
	rowAt
}

// add takes the rows of a value in. Their versions name no value yet.
func (g *generation) add(value []byte, rows []logged) {
	for _, r := range rows {
		if _, known := g.rows[r.key]; !known {
			g.order[r.key.table] = append(g.order[r.key.table], r.key)
		}
		r.value = uint32(len(g.values)) // #nosec G115 -- far fewer
		g.rows[r.key] = r.rowAt
	}
	g.values = append(g.values, value)
	g.size += len(value)
}

// take parses a value and takes its rows in.
func (g *generation) take(value []byte) error {
	rows, err := parse(value)
	if err == nil {
		g.add(value, rows)
	}
	return err
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
	l := logged{key: keyOf(r.table, r.key), rowAt: rowAt{from: uint32(from), to: uint32(to)}} // #nosec G115 -- a value is some KiB
	if r.table == tableVerifications {
		l.due = r.times[timeDue]
	}
	return l
}

func (g *generation) has(k rowKey) bool {
	if g == nil {
		return false
	}
	_, ok := g.rows[k]
	return ok
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
// are about in it: that in which they were made. So are events, which must stay in
// it.
func (g *generation) sort(table int) {
	if table == tableVerifications || table == tableEvents {
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

// generations are those that have rows, the newest first.
func (r *redo) generations() [3]*generation { return [...]*generation{r.young, r.old, r.kept} }

// find returns the newest version of a row that is not in its table, and the seq
// of the entry that must be durable for it to be.
func (r *redo) find(k rowKey) (found row, seq uint64, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, g := range r.generations() {
		if found, ok = g.find(k); ok {
			return found, g.seq(k), true
		}
	}
	return row{}, 0, false
}

// has reports whether a row is not in its table.
func (r *redo) has(k rowKey) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := r.generations()
	return slices.ContainsFunc(all[:], func(g *generation) bool { return g.has(k) })
}

// keys hands the key of every row in the log to take. It goes by the maps: the
// keeper may be sorting an order.
func (r *redo) keys(take func(rowKey)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, g := range r.generations() {
		if g == nil {
			continue
		}
		for k := range g.rows {
			take(k)
		}
	}
}

// seq is that of the entry that a row is in, 0 where none is waited for.
func (g *generation) seq(k rowKey) uint64 {
	if g.first == 0 {
		return 0
	}
	return g.first + uint64(g.rows[k].value)
}

// last is the seq of the last entry. The caller holds mu.
func (r *redo) last() uint64 { return r.young.first + uint64(len(r.young.values)) - 1 }

// due are the verifications in the log that are due by now, and all that are in
// it, up to the seq of its last entry.
func (r *redo) due(now int64) (due []dueID, logged map[rowKey]bool, last uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	logged = make(map[rowKey]bool)
	r.each(func(g *generation, k rowKey, v rowAt) {
		logged[k] = true
		if v.due == 0 || v.due > now {
			return
		}
		if found, ok := g.find(k); ok {
			due = append(due, dueID{string(found.key), v.due})
		}
	})
	return due, logged, r.last()
}

// between are the verifications in the log whose ids are from and below, by id, up
// to the seq of its last entry.
func (r *redo) between(from, below string) (all map[string]row, last uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all = map[string]row{}
	r.each(func(g *generation, k rowKey, _ rowAt) {
		if found, ok := g.find(k); ok && string(found.key) >= from && string(found.key) < below {
			all[string(found.key)] = found
		}
	})
	return all, r.last()
}

// each hands the newest version of every verification in the log to look.
func (r *redo) each(look func(g *generation, k rowKey, v rowAt)) {
	all := r.generations()
	for i, g := range all {
		if g == nil {
			continue
		}
		for _, k := range g.order[tableVerifications] {
			if !slices.ContainsFunc(all[:i], func(g *generation) bool { return g.has(k) }) {
				look(g, k, g.rows[k])
			}
		}
	}
}

// hasEvents reports whether events are on their way to their table.
func (r *redo) hasEvents() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.young.order[tableEvents]) > 0 || r.old != nil && len(r.old.order[tableEvents]) > 0
}

// full reports whether the young generation is.
func (r *redo) full(rows int) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.young.rows) >= rows || r.young.size >= fullSize
}

// size is that of the rows that are in memory.
func (r *redo) size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	size := r.young.size
	if r.old != nil {
		size += r.old.size
	}
	return size
}

// add makes an entry part of the log, which ends somewhere in its file.
func (r *redo) add(value []byte, rows []logged, end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young.add(value, rows)
	r.young.used = end
}

// turns reports whether the young generation can be the old one: it has entries,
// and there is no other.
func (r *redo) turns() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.old == nil && len(r.young.values) > 0
}

// turn makes the young generation the old one.
func (r *redo) turn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	number, first := r.young.number+1, r.young.first+uint64(len(r.young.values))
	r.old, r.young = r.young, nil
	if r.spare != nil {
		r.young, r.spare = r.spare.empty(number, first), nil
	} else {
		r.young = newGeneration(number, first)
	}
}

// oldest is the generation that is on its way to the tables, and the rows that
// these refuse.
func (r *redo) oldest() (old, kept *generation) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.old, r.kept
}

// arrived says that a generation is in its tables, but for what is kept.
func (r *redo) arrived(g, kept *generation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.old == g { // else it was recovered meanwhile
		r.old, r.spare, r.kept = nil, g, kept
	}
}

// begin forgets all that was on its way: it is in its tables, but for what is kept.
func (r *redo) begin(number, first uint64, kept *generation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old, r.kept = newGeneration(number, first), nil, kept
}
