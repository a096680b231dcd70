package postgres

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sixdigit/sixdigit/verify"
)

// The tables in the order in which every transaction locks their rows, and in
// each of them by key. So no two batches wait for each other.
const (
	tableNone = iota
	tableIdems
	tableSubjects
	tableVerifications
	tableLimits
)

type set[K comparable] map[K]struct{}

func (s set[K]) add(k K) { s[k] = struct{}{} }

// keyset are the keys of rows.
type keyset struct {
	idems         set[verify.MAC]
	subjects      set[verify.SubjectKey]
	verifications set[string]
	limits        set[verify.LimitKey]
	// subjectsOf are verifications whose subjects are wanted, whatever these are.
	subjectsOf set[string]
}

func newKeyset() *keyset {
	return &keyset{
		idems: set[verify.MAC]{}, subjects: set[verify.SubjectKey]{}, verifications: set[string]{},
		limits: set[verify.LimitKey]{}, subjectsOf: set[string]{},
	}
}

func (k *keyset) merge(other *keyset) {
	maps.Copy(k.idems, other.idems)
	maps.Copy(k.subjects, other.subjects)
	maps.Copy(k.verifications, other.verifications)
	maps.Copy(k.limits, other.limits)
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
	for _, l := range c.Limits {
		k.limits.add(l.Key)
	}
}

// first is the first table that a key is of.
func (k *keyset) first() int {
	switch {
	case len(k.idems) > 0:
		return tableIdems
	case len(k.subjects) > 0, len(k.subjectsOf) > 0:
		return tableSubjects
	case len(k.verifications) > 0:
		return tableVerifications
	case len(k.limits) > 0:
		return tableLimits
	}
	return tableNone
}

// key is a key that is an array of bytes.
type key interface {
	verify.MAC | verify.SubjectKey | verify.LimitKey
}

// sorted returns keys as arguments, in order.
func sorted[K interface {
	comparable
	key
}](s set[K]) [][]byte {
	all := make([][]byte, 0, len(s))
	for k := range s {
		all = append(all, keyBytes(k))
	}
	slices.SortFunc(all, bytes.Compare)
	return all
}

func keyBytes[K key](k K) []byte {
	switch k := any(k).(type) {
	case verify.MAC:
		return k[:]
	case verify.SubjectKey:
		return k[:]
	case verify.LimitKey:
		return k[:]
	}
	return nil
}

// noDay stands for the day of an id that tells none.
const noDay = int32(-1)

// dayOf is the UTC day that a verification's id begins with, since 1970: of its
// 128 bits, five to a digit, the first 16.
func dayOf(id string) int32 {
	const digits, length = "0123456789abcdefghijklmnopqrstuv", 26
	if len(id) != length {
		return noDay
	}
	n := 0
	for i := range len(id) {
		digit := strings.IndexByte(digits, id[i])
		if digit < 0 {
			return noDay
		}
		if i < 4 {
			n = n<<5 | digit
		}
	}
	return int32(n >> 4) // #nosec G115 -- 16 bits
}

// dayGroup are ids of one day, in order.
type dayGroup struct {
	day int32
	ids []string
}

// byDay sorts ids by day and id.
func byDay(ids set[string]) []dayGroup {
	groups := map[int32][]string{}
	for id := range ids {
		day := dayOf(id)
		groups[day] = append(groups[day], id)
	}
	all := make([]dayGroup, 0, len(groups))
	for day, ids := range groups {
		slices.Sort(ids)
		all = append(all, dayGroup{day, ids})
	}
	slices.SortFunc(all, func(a, b dayGroup) int { return cmp.Compare(a.day, b.day) })
	return all
}
