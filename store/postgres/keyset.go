package postgres

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/sixdigit/sixdigit/verify"
)

type set[K comparable] map[K]struct{}

func (s set[K]) add(k K) { s[k] = struct{}{} }

// keyset are the keys of rows.
type keyset struct {
	idems         set[verify.MAC]
	subjects      set[verify.SubjectKey]
	verifications set[string]
	counters      set[verify.Place]
	// subjectsOf are verifications whose subjects are wanted, whatever these are.
	subjectsOf set[string]
}

func newKeyset() *keyset {
	return &keyset{
		idems: set[verify.MAC]{}, subjects: set[verify.SubjectKey]{}, verifications: set[string]{},
		counters: set[verify.Place]{}, subjectsOf: set[string]{},
	}
}

func (k *keyset) merge(other *keyset) {
	maps.Copy(k.idems, other.idems)
	maps.Copy(k.subjects, other.subjects)
	maps.Copy(k.verifications, other.verifications)
	maps.Copy(k.counters, other.counters)
	maps.Copy(k.subjectsOf, other.subjectsOf)
}

// addChanges adds the keys of all changed rows.
func (k *keyset) addChanges(c verify.Changes) {
	for _, i := range c.Idems {
		k.idems.add(i.Key)
	}
	for _, s := range c.Subjects {
		k.subjects.add(s.Key)
	}
	for _, v := range c.Verifications {
		k.verifications.add(v.ID)
	}
	for _, e := range c.Counters {
		k.counters.add(e.Place)
	}
}

// first is the first table that a key is of, tableCount when there is none.
func (k *keyset) first() int {
	switch {
	case len(k.idems) > 0:
		return tableIdems
	case len(k.subjects) > 0, len(k.subjectsOf) > 0:
		return tableSubjects
	case len(k.verifications) > 0:
		return tableVerifications
	case len(k.counters) > 0:
		return tableCounters
	}
	return tableCount
}

func (k *keyset) empty() bool { return k.first() == tableCount }

// key is a key that is an array of bytes.
type key interface {
	verify.MAC | verify.SubjectKey
	comparable
}

// inOrder returns keys as the columns of a block, in order.
func inOrder[K key](s set[K]) *block {
	all := make([][32]byte, 0, len(s))
	for k := range s {
		all = append(all, [32]byte(k))
	}
	slices.SortFunc(all, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	b := newBlock(tableOf(tableIdems).keys, len(all))
	for i := range all {
		b.columns[0].bytes(all[i][:])
	}
	b.n = len(all)
	return b
}

// placesInOrder returns places as the columns of a block, in order.
func placesInOrder(s set[verify.Place]) *block {
	b := newBlock(tableOf(tableCounters).keys, len(s))
	for _, p := range slices.Sorted(maps.Keys(s)) {
		b.columns[0].int64(int64(p))
	}
	b.n = len(s)
	return b
}

// noDay stands for the day of an id that tells none.
const noDay = int32(-1)

// dayOf is the UTC day that a verification's id begins with, since 1970: of its
// 128 bits, five to a digit, the first 16.
func dayOf(id string) int32 {
	if len(id) != 26 {
		return noDay
	}
	n := int32(0)
	for i := range len(id) {
		digit := int32(id[i]) - '0'
		switch c := id[i]; {
		case c >= 'a' && c <= 'v':
			digit = int32(c) - 'a' + 10
		case c < '0' || c > '9':
			return noDay
		}
		if i < 4 {
			n = n<<5 | digit
		}
	}
	return n >> 4 // 16 bits
}

// daySet are the days that have a partition of their own.
type daySet map[int32]bool

// home is where a verification is.
type home struct {
	own bool // its day has a partition
	day int32
	id  string
}

func (d daySet) home(id string) home {
	day := dayOf(id)
	return home{d[day], day, id}
}

// compare orders homes: those of days that have no partition come first, then it
// goes by day and id.
func (h home) compare(other home) int {
	if h.own != other.own {
		if h.own {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(h.day, other.day), cmp.Compare(h.id, other.id))
}

// table names the table where it is. To name the partition saves the server the
// choice, and it need not even open the others.
func (h home) table() string {
	if h.own {
		return partitionName(h.day)
	}
	return parentTable
}

// together reports whether two are in one table.
func (h home) together(other home) bool { return h.own == other.own && (!h.own || h.day == other.day) }

// group are the keys of verifications in one table, in order.
type group struct {
	table string
	ids   []string
	keys  *block
}

func (d daySet) groups(s set[string]) (all []group) {
	if len(s) == 0 {
		return nil
	}
	homes := make([]home, 0, len(s))
	for id := range s {
		homes = append(homes, d.home(id))
	}
	slices.SortFunc(homes, home.compare)
	for i, h := range homes {
		if i == 0 || !h.together(homes[i-1]) {
			all = append(all, group{table: h.table(), keys: newBlock(verificationsIn(parentTable).keys, len(homes)-i)})
		}
		g := &all[len(all)-1]
		g.ids = append(g.ids, h.id)
		g.keys.columns[0].int32(h.day)
		g.keys.columns[1].text(h.id)
		g.keys.n++
	}
	return all
}
