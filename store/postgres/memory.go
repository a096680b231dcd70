package postgres

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sixdigit/sixdigit/verify"
)

// memory are rows as the writer has last written or read them. A batch is decided
// on them without asking the server, which then writes nothing unless all of them
// are still so. What is wrong in here therefore costs a second run, and never an
// answer.
type memory struct {
	idems         memos[verify.MAC, *verify.IdemRow]
	subjects      memos[verify.SubjectKey, *verify.Subject]
	verifications memos[string, *verify.Verification]
	counters      memos[verify.Place, verify.Counters]
}

// memorySize is how much of each table is remembered, about: some ten thousands
// of rows, those of the last seconds under load.
const memorySize = 16 << 20

func newMemory(purged *atomic.Pointer[bite]) *memory {
	return &memory{
		idems:         memos[verify.MAC, *verify.IdemRow]{newRecent[verify.MAC, memo[*verify.IdemRow]](memorySize / 2), purged, overIdem},
		subjects:      memos[verify.SubjectKey, *verify.Subject]{newRecent[verify.SubjectKey, memo[*verify.Subject]](memorySize), purged, overSubject},
		verifications: memos[string, *verify.Verification]{newRecent[string, memo[*verify.Verification]](2 * memorySize), purged, overVerificationIn},
		counters:      memos[verify.Place, verify.Counters]{newRecent[verify.Place, memo[verify.Counters]](memorySize), purged, overCounters},
	}
}

// memos are the remembered rows of a table.
type memos[K comparable, T any] struct {
	recent[K, memo[T]]
	purged *atomic.Pointer[bite] // the purges of this store
	over   func(T, *bite) bool   // what they may have removed
}

// get returns a row unless a purge may have removed it since.
func (r *memos[K, T]) get(k K) (memo[T], bool) {
	m, ok := r.recent.get(k)
	if !ok {
		return m, false
	}
	if last := r.purged.Load(); last != nil && !m.at.After(last.ended) && r.over(m.value, last) {
		r.drop(k)
		return memo[T]{}, false
	}
	return m, true
}

func overIdem(i *verify.IdemRow, b *bite) bool { return micros(i.ExpiresAt) <= b.now }

func overSubject(s *verify.Subject, b *bite) bool {
	return micros(s.Quiet()) <= b.now && micros(s.Failed()) < b.before
}

func overVerificationIn(v *verify.Verification, b *bite) bool {
	ended := micros(v.Ended())
	return ended < b.before && (v.DueAt().IsZero() || ended < b.owed)
}

func overCounters(c verify.Counters, b *bite) bool { return c.Expires() <= b.now }

// memo is a remembered row.
type memo[T any] struct {
	value   T
	version int64
	size    int
	at      time.Time // when it was read or written
	// doubt is for how many more times the row is locked before anything is
	// decided: another replica writes it too.
	doubt int
}

const (
	doubtMore = 4
	doubtMost = 16
)

// learn takes rows that were fetched, and notes what would have come of guessing
// them. fresh are those of which the writer would have guessed that they are not
// there.
func learn[K comparable, T any](o *odds, table int, r *memos[K, T], all map[K]row[T], fresh set[K]) {
	now := time.Now()
	for k, found := range all {
		if found.guessed {
			continue
		}
		m, known := r.get(k)
		changed := known && (!found.exists || found.version != m.version)
		switch _, guess := fresh[k]; {
		case known && m.doubt == 0:
			o.saw(m.class(table), changed)
		case !known && guess:
			o.saw(classOf(table, guessAbsent), found.exists)
		}
		switch {
		case changed:
			m.doubt = min(m.doubt+doubtMore, doubtMost)
		case m.doubt > 0:
			m.doubt--
		}
		if !found.exists || found.err != nil {
			r.drop(k)
			continue
		}
		m.value, m.version, m.size, m.at = found.value, found.version, found.size, now
		r.put(k, m, m.size)
	}
}

// keep takes a row that was written.
func keep[K comparable, T any](r *memos[K, T], k K, written T, version int64, size int, now time.Time) {
	m, _ := r.get(k) // for its doubt
	m.value, m.version, m.size, m.at = written, version, size, now
	r.put(k, m, size)
}

// youth is for how long nobody else is likely to have written a row: a text's
// outcome follows its start within that, on the same replica, while the code may
// be checked anywhere.
const youth = time.Second

func (m memo[T]) young() bool { return time.Since(m.at) < youth }

// class is a kind of guess: of rows of a table, that one is what it was a moment
// ago, or a while ago, or that one of which nothing is known is not there.
type class int

const (
	guessYoung class = iota
	guessOld
	guessAbsent
	guesses
)

const classes = class(tableCount) * guesses

func classOf(table int, c class) class { return class(table)*guesses + c }

func (m memo[T]) class(table int) class {
	if m.young() {
		return classOf(table, guessYoung)
	}
	return classOf(table, guessOld)
}

// odds are how often guesses of each class were wrong lately.
type odds [classes]float64

const (
	// oddsWeight is what one more guess counts.
	oddsWeight = 1.0 / 32
	// oddsMost is how many wrong guesses may be expected of a batch. A wrong one
	// costs the batch another run, right ones save a round trip and the locks.
	oddsMost = 0.2
)

// newOdds expect the worst of rows that nobody knows: after a start there are
// many.
func newOdds() *odds {
	o := &odds{}
	for t := range tableCount {
		o[classOf(t, guessAbsent)] = 0.5
	}
	return o
}

func (o *odds) saw(c class, wrong bool) {
	is := 0.0
	if wrong {
		is = 1
	}
	o[c] += (is - o[c]) * oddsWeight
}

// right notes that so many guesses of each class were right.
func (o *odds) right(n [classes]int) {
	for c, n := range n {
		if n > 0 {
			o[c] *= math.Pow(1-oddsWeight, float64(n))
		}
	}
}

// daring chooses the classes on which a batch relies that has so many guesses of
// each: the riskiest are left out until no more than oddsMost are expected to be
// wrong. Of rows that are remembered, one more may always turn out to be needed.
func (o *odds) daring(n [classes]int) (rely [classes]bool) {
	var risk odds
	sum := 0.0
	for c := range risk {
		if class(c)%guesses != guessAbsent {
			n[c] = max(n[c], 1)
		}
		rely[c], risk[c] = true, float64(n[c])*o[c]
		sum += risk[c]
	}
	for sum > oddsMost {
		worst := 0
		for c := range risk {
			if risk[c] > risk[worst] {
				worst = c
			}
		}
		sum -= risk[worst]
		rely[worst], risk[worst] = false, 0
		if risk == (odds{}) {
			break // what is left of the sum is rounding
		}
	}
	return rely
}
