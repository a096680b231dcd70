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
// of rows, those of the last seconds under load. It counts records as they are
// written; what they take when they are read is up to 1.6 times that.
const memorySize = 16 << 20

func newMemory(purged *atomic.Pointer[bite]) *memory {
	return &memory{
		idems:         newMemos[verify.MAC](memorySize/2, purged, overIdem),
		subjects:      newMemos[verify.SubjectKey](memorySize, purged, overSubject),
		verifications: newMemos[string](2*memorySize, purged, overVerificationIn),
		counters:      newMemos[verify.Place](memorySize, purged, overCounters),
	}
}

// memos are the remembered rows of a table.
type memos[K comparable, T any] struct {
	recent[K, memo[T]]
	purged *atomic.Pointer[bite] // the purges of this store
	over   func(T, *bite) bool   // what they may have removed
	soon   []keepsake[K, T]      // what is to be remembered once it is committed
}

func newMemos[K comparable, T any](size int, purged *atomic.Pointer[bite], over func(T, *bite) bool) memos[K, T] {
	return memos[K, T]{recent: newRecent[K, memo[T]](size), purged: purged, over: over}
}

// keepsake is a row that a batch writes or, where it is gone, deletes.
type keepsake[K comparable, T any] struct {
	key     K
	value   T
	version int64
	size    int
	gone    bool
}

// get returns a row unless a purge may have removed it since; nil when nothing is
// known. It lasts until the next row is remembered, or the next look at this one: a
// purge may have ended in between.
func (r *memos[K, T]) get(k K) *memo[T] {
	m := r.recent.get(k)
	if m == nil {
		return nil
	}
	if last := r.purged.Load(); last != nil && !m.at.After(last.ended) && r.over(m.value, last) {
		r.drop(k)
		return nil
	}
	return m
}

// expect takes a row as it is about to be written.
func (r *memos[K, T]) expect(k K, written T, version int64, size int) {
	r.soon = append(r.soon, keepsake[K, T]{key: k, value: written, version: version, size: size})
}

// expectGone takes a row for one that is about to be deleted.
func (r *memos[K, T]) expectGone(k K) { r.soon = append(r.soon, keepsake[K, T]{key: k, gone: true}) }

// arrived remembers what was expected.
func (r *memos[K, T]) arrived(now time.Time) {
	for _, s := range r.soon {
		if s.gone {
			r.drop(s.key)
			continue
		}
		m := r.put(s.key, s.size)
		*m = memo[T]{value: s.value, version: s.version, at: now, doubt: m.doubt}
	}
	r.failed()
}

// failed forgets what was expected.
func (r *memos[K, T]) failed() {
	clear(r.soon)
	r.soon = r.soon[:0]
}

// arrived remembers what a batch has written.
func (m *memory) arrived() {
	now := time.Now()
	m.idems.arrived(now)
	m.subjects.arrived(now)
	m.verifications.arrived(now)
	m.counters.arrived(now)
}

// failed forgets what a batch was to write.
func (m *memory) failed() {
	m.idems.failed()
	m.subjects.failed()
	m.verifications.failed()
	m.counters.failed()
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
func learn[K comparable, T any](o *odds, table int, r *memos[K, T], all *shelf[K, T], fresh set[K]) {
	now := time.Now()
	for k, found := range all.rows {
		if found.guessed {
			continue
		}
		next := memo[T]{value: found.value, version: found.version, at: now}
		m := r.get(k)
		known := m != nil
		if known {
			next.doubt = m.doubt
		}
		changed := known && (!found.exists || found.version != m.version)
		switch _, guess := fresh[k]; {
		case known && m.doubt == 0:
			o.saw(m.class(table, now), changed)
		case !known && guess:
			o.saw(classOf(table, guessAbsent), found.exists)
		}
		switch {
		case changed:
			next.doubt = min(next.doubt+doubtMore, doubtMost)
		case next.doubt > 0:
			next.doubt--
		}
		if !found.exists || found.err != nil {
			r.drop(k)
			continue
		}
		*r.put(k, found.size) = next
	}
}

// youth is for how long nobody else is likely to have written a row: a text's
// outcome follows its start within that, on the same replica, while the code may
// be checked anywhere.
const youth = time.Second

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

func (m *memo[T]) class(table int, now time.Time) class {
	if now.Sub(m.at) < youth {
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
