package verify

import "time"

// Limit bounds how often something happens: Burst times at once, then once
// every Every (GCRA, ITU-T I.371); or, where Every is zero, Burst times within
// a UTC day. The zero Limit bounds nothing.
type Limit struct {
	Name  string
	Burst int
	Every time.Duration
}

// LimitKey names a limit's counter: its Place, and an HMAC of the limit's name and
// its app, 8 bytes each. Keys of several limits never meet.
type LimitKey [16]byte

// guardLife is the longest time that a guard stands.
const guardLife = optOutLife

// Charge takes one from a limit.
type Charge struct {
	Limit Limit
	Key   LimitKey
	// Personal is set for a limit of the number alone. Only such a charge is
	// given back when a text comes to nothing.
	Personal bool
	// Guard is set where nothing is taken: the operation is refused until the
	// time that the key's row holds, in microseconds.
	Guard bool
	// At is, of a refund, when the charge was made; zero is now.
	At time.Time
}

// LimitRow is a counter. Value is microseconds since 1970 for a limit
// with a period and for a guard, day<<32|count for one that counts by days. It is
// worthless from ExpiresAt on; a Value of zero is none.
type LimitRow struct {
	Key       LimitKey
	Value     int64
	ExpiresAt time.Time
}

// take charges once, or looks whether a guard stands open.
func (c Charge) take(value int64, now time.Time) (next int64, retry time.Duration, ok bool) {
	if !c.Guard {
		return c.Limit.take(value, now)
	}
	wait := time.UnixMicro(value).Sub(now)
	// One from a clock that was far ahead is void.
	return value, wait, wait <= 0 || wait > guardLife+ClockSlack
}

// take charges once. ok is false when nothing is left until retry has passed.
func (l Limit) take(value int64, now time.Time) (next int64, retry time.Duration, ok bool) {
	if l.Every == 0 {
		return l.takeDaily(value, now)
	}
	every, at := l.Every.Microseconds(), now.UnixMicro()
	full := at + every*int64(l.Burst) // no charge leads beyond it
	tat := max(value, at)
	if tat > full+every {
		// The clock jumped back. A refusal is not written down, so waiting
		// would last for the jump's length; one passes and sets the value right.
		tat = full - every
	}
	if wait := tat + every - full; wait > 0 {
		return value, time.Duration(wait) * time.Microsecond, false
	}
	return tat + every, 0, true
}

func (l Limit) takeDaily(value int64, now time.Time) (next int64, retry time.Duration, ok bool) {
	day, count := now.Unix()/secondsPerDay, int64(0)
	if kept := value >> 32; kept == day || kept == day+1 {
		// A clock that steps back over midnight goes on counting in the day it
		// had reached: the step is worth no second allowance.
		day, count = kept, value&0xffffffff
	}
	if count >= int64(l.Burst) {
		midnight := time.Unix((day+1)*secondsPerDay, 0)
		return value, midnight.Sub(now), false
	}
	return day<<32 | (count + 1), 0, true
}

const secondsPerDay = 24 * 60 * 60

// giveBack undoes one take that was made at a time.
func (l Limit) giveBack(value int64, at, now time.Time) int64 {
	if at.IsZero() {
		at = now
	}
	if l.Every == 0 {
		if value>>32 == at.Unix()/secondsPerDay && value&0xffffffff > 0 {
			return value - 1
		}
		return value // it was another day's
	}
	if now.Sub(at) >= l.Every*time.Duration(l.Burst) {
		return value // time has given it back
	}
	return max(0, value-l.Every.Microseconds())
}

// expires is when a counter's value no longer matters, also to an operation that
// was given its time a little earlier: one from before midnight must find the
// day's count.
func (l Limit) expires(value int64) time.Time {
	if l.Every == 0 {
		return time.Unix((value>>32+1)*secondsPerDay, 0).UTC().Add(ClockSlack)
	}
	return time.UnixMicro(value).UTC().Add(ClockSlack)
}
