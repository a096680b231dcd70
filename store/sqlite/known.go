package sqlite

import (
	"context"
	"encoding/binary"
	"sync"
	"time"
)

// known are the subjects and counters that the tables may have: a Bloom filter.
// Most starts are of numbers that have no rows, and to learn that from SQLite costs
// more than to decide.
//
// It is of use once learn has gone through the tables. What comes there later has
// been in the redo log before, and was added with it; another process's rows come
// there only where the log is recovered, after which it is learned anew.
type known struct {
	mu    sync.Mutex
	bits  []uint64
	ready bool
	added int // since it was learned; often the same
}

const (
	// knownBits are 2 MiB. With a million keys one look in fifty asks SQLite for
	// nothing, with four million one in six.
	knownBits = 1 << 24
	bitsOfKey = 4
	// mostKnown is how many keys are added before it is learned anew: rows come and
	// are purged.
	mostKnown = 8 << 20
	// learnBite is how many keys are read at once.
	learnBite = 2048
)

func newKnown() *known { return &known{bits: make([]uint64, knownBits/64)} }

// hash of a row's key, which is a hash or a MAC itself: the finalizer of SplitMix64
// spreads it.
func (k rowKey) hash() uint64 {
	x := binary.BigEndian.Uint64(k.key[:8]) + uint64(k.table)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// bit is one of those that stand for a key.
func bit(hash uint64, i int) uint64 { return (hash + uint64(i)*(hash>>32|1)) % knownBits } // #nosec G115 -- a few

// add takes the key of a row in. The caller holds mu.
func (n *known) add(k rowKey) {
	if k.table != tableSubjects && k.table != tableCounters {
		return
	}
	h := k.hash()
	for i := range bitsOfKey {
		b := bit(h, i)
		n.bits[b/64] |= 1 << (b % 64)
	}
	n.added++
}

func (n *known) addLogged(rows []logged) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range rows {
		n.add(r.key)
	}
}

// absent reports whether the tables have no such row for sure.
func (n *known) absent(k rowKey) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready {
		return false
	}
	h := k.hash()
	for i := range bitsOfKey {
		if b := bit(h, i); n.bits[b/64]&(1<<(b%64)) == 0 {
			return true
		}
	}
	return false
}

func (n *known) worn() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.added > mostKnown
}

// anew begins a filter, with the rows that are on their way to the tables: learn
// may have passed their place when they arrive.
func (w *writer) anew() {
	w.known = newKnown()
	w.known.mu.Lock()
	w.redo.keys(w.known.add)
	w.known.mu.Unlock()
	select { // learn needs only the last
	case <-w.learn:
	default:
	}
	w.learn <- w.known
}

// learn goes through the tables for one filter after the other. Where they cannot
// be read, operations do without.
func (s *Store) learn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-s.writer.learn:
			if s.learnTable(ctx, n, tableSubjects, `SELECT key FROM subjects WHERE key > ?1 ORDER BY key LIMIT ?2`) &&
				s.learnTable(ctx, n, tableCounters, `SELECT place FROM counters WHERE place > ?1 ORDER BY place LIMIT ?2`) {
				n.mu.Lock()
				n.ready, n.added = true, 0
				n.mu.Unlock()
			}
		}
		// Two processes that take turns begin one filter after the other.
		select {
		case <-ctx.Done():
			return
		case <-time.After(foldEvery):
		}
	}
}

// learnTable reports whether it has gone through all of a table.
func (s *Store) learnTable(ctx context.Context, n *known, table int, query string) bool {
	for after := start(table); len(s.writer.learn) == 0; { // else there is a newer filter
		keys, err := s.keys(ctx, query, after, learnBite)
		if err != nil {
			return false
		}
		n.mu.Lock()
		for _, k := range keys {
			n.add(keyOfAny(table, k))
		}
		n.mu.Unlock()
		if len(keys) < learnBite {
			return true
		}
		after = keys[len(keys)-1]
	}
	return false
}
