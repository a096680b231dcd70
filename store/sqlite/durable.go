package sqlite

import (
	"context"
	"errors"
	"os"
)

// Which entries of the redo log are durable, and who is told.

// sync is push for those who wait to be answered. Where what they wait for may not
// be durable, because a push has failed since it was appended, it says so, once.
func (l *files) sync() error {
	l.mu.Lock()
	owed := l.owed
	l.owed = nil
	l.mu.Unlock()
	if owed != nil {
		return owed
	}
	return l.push()
}

// push makes durable what was appended before.
func (l *files) push() error {
	l.mu.Lock()
	f, gen, tail, seq, fails, failed := l.f[l.gen%2], l.gen, l.tail, l.appended, l.fails, l.failed
	done := seq == l.durable
	l.mu.Unlock()
	if failed != nil || done {
		return failed
	}
	// Between two generations turn pushes the one before.
	if err := l.flush(f); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != fails {
		return errFailed
	}
	if gen == l.gen {
		l.synced = max(l.synced, tail)
	}
	l.tell(max(l.durable, seq))
	return nil
}

var errFailed = errors.New("the redo log could not be synced")

// flush waits until the disk has what was written to a file.
func (l *files) flush(f *os.File) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	err := fdatasync(f)
	if err != nil {
		l.fail(err)
	}
	return err
}

// fail makes everything fail until the log was recovered: once a sync has failed,
// nobody knows what is on the disk.
func (l *files) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails++
	if l.failed == nil {
		l.failed = err
	}
	l.tell(l.durable)
}

// tell wakes whoever waits for durable entries. The caller holds mu.
func (l *files) tell(durable uint64) {
	l.durable = durable
	close(l.news)
	l.news = make(chan struct{})
}

// wait waits until so many entries are durable.
func (l *files) wait(ctx context.Context, seq uint64) error {
	for {
		l.mu.Lock()
		durable, failed, lost, news := l.durable, l.failed, l.lost, l.news
		l.mu.Unlock()
		switch {
		case seq > lost[0] && seq <= lost[1]:
			return errFailed
		case durable >= seq:
			return nil
		case failed != nil:
			return failed
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// recovered says that all that was ever appended is in the tables, and how much
// that is; but for what was not durable when a sync failed, of which nobody knows.
func (l *files) recovered() (seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil && l.appended > l.durable {
		l.lost, l.owed = [2]uint64{l.durable, l.appended}, errFailed
	}
	l.failed = nil
	l.tell(l.appended)
	return l.appended
}
