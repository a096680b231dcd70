package postgres

import "time"

// serverClock tells the database's time between two answers.
type serverClock struct {
	origin   time.Time     // of the monotonic times here
	ahead    time.Duration // by so much the database's time, since 1970, is ahead of them
	heard    time.Duration // when it was last told; zero is never
	toldLast int64
}

const (
	// clockTrust is for how long the time is reckoned on from an answer: while
	// there is traffic. A connection that was silent for longer may be dead, too,
	// and to find that out with a trip that asks the time loses nothing. With one
	// that commits, nobody would know whether it has.
	clockTrust = time.Second
	// clockSlip is by how much the reckoned time may be wrong. The statement that
	// begins a transaction compares it with the database's, and fails beyond.
	clockSlip = time.Second
)

func newServerClock() serverClock { return serverClock{origin: time.Now()} }

// hear takes the database's time, in microseconds, from an answer to what was
// sent at a time. It was read between sending and now.
func (c *serverClock) hear(micros int64, sent time.Time) {
	now, then := time.Since(c.origin), sent.Sub(c.origin)
	at := time.Duration(micros) * time.Microsecond
	least, most := at-now, at-then
	if c.heard == 0 {
		c.ahead = least
	}
	c.ahead, c.heard = min(max(c.ahead, least), most), now
}

// now is the database's time in microseconds, about; ok is false when that was
// last told too long ago. It does not go backwards, unless the database's does.
func (c *serverClock) now() (micros int64, ok bool) {
	now := time.Since(c.origin)
	if c.heard == 0 || now-c.heard > clockTrust {
		return 0, false
	}
	micros = (now + c.ahead).Microseconds()
	if back := c.toldLast - micros; back > 0 && back < clockSlip.Microseconds() {
		micros = c.toldLast
	}
	c.toldLast = micros
	return micros, true
}
