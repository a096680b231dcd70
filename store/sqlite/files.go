package sqlite

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// files are the two files of the redo log. A generation of the log is in one of
// them, the next in the other; once its rows are in their tables, its file is
// zeros and free for the generation after the next.
//
//	header, 4096 bytes   magic, database, generation, writer, checksum
//	entry                checksum, size, generation, place, writer, synced; then rows
//	entry …              each begins where the one before ended, rounded up to 8
//	zeros
//
// Whoever holds the lock may write. A file is only ever made longer ahead of its
// entries, with zeros that are synced: so to sync an entry is to write its bytes,
// and nothing about the file.
type files struct {
	id     [16]byte // of the database, which the files must be of
	writer uint64   // this process's, for this time that it has them open

	held  sync.Mutex // beside the lock of the file, which is the process's
	f     [2]*os.File
	size  [2]int64 // so long a file is
	blank []byte   // zeros

	syncing sync.Mutex // a failure is told to one of those who sync at once

	mu       sync.Mutex // guards what follows; a writer also holds the lock
	gen      uint64     // the generation that is written
	tail     int64      // where its next entry comes
	synced   int64      // to where it is known to be durable
	appended uint64     // how many entries were ever appended
	durable  uint64     // as many are durable
	failed   error      // until the log is recovered
	fails    int        // how often it failed
	lost     [2]uint64  // after and up to which nobody knows what was durable, the last time
	owed     error      // to who waits to sync them
	news     chan struct{}
}

const (
	headerSize = 4096 // its bytes are never in a page with an entry's
	entryHead  = 40
	// growth is by how much a file is made longer.
	growth = 1 << 20
	// keptSize is how long a file stays at most.
	keptSize = 16 << 20
)

// errForeign says that the files are not as this process left them.
var errForeign = errors.New("another process has written to the redo log")

// openFiles opens the files beside a database, and makes them where they are
// missing, for their owner alone.
func openFiles(path string) (*files, error) {
	l := &files{blank: make([]byte, 256<<10), news: make(chan struct{})}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	l.writer = binary.LittleEndian.Uint64(id[:]) | 1
	for i := range l.f {
		f, err := os.OpenFile(fmt.Sprintf("%s-redo%d", path, i), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.f[i] = f
		if err := keepOwner(f, path); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	if err := syncFolder(path); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *files) close() error {
	var errs []error
	for _, f := range l.f {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// lock takes the files for this process and goroutine. Another process holds them
// for a batch, mostly: so it is asked for often.
func (l *files) lock() error {
	const pause = 300 * time.Microsecond
	l.held.Lock()
	for start := time.Now(); ; <-time.After(pause) {
		taken, err := lockFile(l.f[0])
		switch {
		case err == nil && taken:
			return nil
		case err == nil && time.Since(start) > busyWait:
			err = errors.New("another process holds the redo log")
		case err == nil:
			continue
		}
		l.held.Unlock()
		return err
	}
}

func (l *files) unlock() {
	_ = unlockFile(l.f[0]) // it fails only where the file is closed, and the lock gone
	l.held.Unlock()
}

// begin makes the file of a generation, which must be zeros, the one that is
// written. The caller holds the lock.
func (l *files) begin(gen uint64) error {
	if err := l.shorten(gen % 2); err != nil {
		return err
	}
	if _, err := l.f[gen%2].WriteAt(header{l.id, gen, l.writer}.append(nil), 0); err != nil {
		return err
	}
	if err := l.grow(gen%2, headerSize+1); err != nil {
		return err
	}
	if err := l.flush(l.f[gen%2]); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gen, l.tail, l.synced = gen, headerSize, headerSize
	return nil
}

// erase makes a file's entries zeros. The caller holds the lock.
func (l *files) erase(which int, used int64) error {
	for at := int64(headerSize); at < used; at += int64(len(l.blank)) {
		if _, err := l.f[which].WriteAt(l.blank[:min(int64(len(l.blank)), used-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// shorten gives back what a file needed once. The caller holds the lock, and knows
// that nothing is there.
func (l *files) shorten(which uint64) error {
	if l.size[which] <= keptSize {
		return nil
	}
	if err := l.f[which].Truncate(keptSize); err != nil {
		return err
	}
	l.size[which] = keptSize
	return nil
}

// grow makes a file long enough for what ends before a place. A disk that is full
// says so here, before anything is written that matters.
func (l *files) grow(which uint64, end int64) error {
	if end <= l.size[which] && l.size[which] > headerSize {
		return nil
	}
	from := l.size[which]
	to := (max(end, from+growth) + headerSize - 1) &^ (headerSize - 1)
	for at := from; at < to; at += int64(len(l.blank)) {
		if _, err := l.f[which].WriteAt(l.blank[:min(int64(len(l.blank)), to-at)], at); err != nil {
			return err
		}
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if err := l.f[which].Sync(); err != nil {
		l.fail(err) // it may be about entries
		return err
	}
	l.size[which] = to
	return nil
}

// check reports errForeign when another process has written, or what made the log
// fail. Who writes has begun a generation before, so the headers tell.
func (l *files) check() error {
	l.mu.Lock()
	gen, failed := l.gen, l.failed
	l.mu.Unlock()
	if failed != nil {
		return failed
	}
	here, err := l.header(gen)
	if err != nil {
		return err
	}
	next, err := l.header(gen + 1)
	switch {
	case err != nil:
		return err
	case here.gen != gen || here.writer != l.writer || here.id != l.id || next.gen > gen:
		return errForeign
	}
	return nil
}

// foreign is check for a reader, which does not hold the lock: it may come in the
// middle of what this process writes. What has failed is nothing to a reader of
// what is durable.
func (l *files) foreign() bool {
	l.mu.Lock()
	gen := l.gen
	l.mu.Unlock()
	here, err := l.header(gen)
	if err != nil || here.writer != l.writer {
		return true
	}
	next, err := l.header(gen + 1)
	return err != nil || next.gen > gen && next.writer != l.writer
}

// header reads that of the file which a generation is in, or would be.
func (l *files) header(gen uint64) (header, error) {
	var b [headerUsed]byte
	n, err := l.f[gen%2].ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return header{}, err
	}
	return readHeader(b[:n])
}

// append writes an entry: buf, whose first bytes are free for its head. It is
// durable with the next sync. It returns where the entry ends. The caller holds the
// lock.
func (l *files) append(buf []byte) (end int64, err error) {
	l.mu.Lock()
	gen, tail, synced := l.gen, l.tail, l.synced
	l.mu.Unlock()
	e := entryHeader{size: uint32(len(buf) - entryHead), gen: gen, at: uint64(tail), writer: l.writer, synced: uint64(synced)} // #nosec G115 -- batches are some MB
	if err := l.grow(gen%2, e.next(tail)); err != nil {
		return 0, err
	}
	e.put(buf)
	if n, err := l.f[gen%2].WriteAt(buf, tail); err != nil {
		if _, stays := l.f[gen%2].WriteAt(make([]byte, n), tail); stays != nil {
			l.fail(err)
		}
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = e.next(tail)
	l.appended++
	return l.tail, nil
}

// writes reports whether the generation that is written is one that is not done.
func (l *files) writes(done int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return done >= 0 && uint64(done) < l.gen
}

// clear makes a file free of any generation. The caller holds the lock.
func (l *files) clear(which int, used int64) error {
	if err := l.erase(which, used); err != nil {
		return err
	}
	_, err := l.f[which].WriteAt(l.blank[:headerUsed], 0)
	return err
}

// turn makes the next generation the one that is written. The caller holds the
// lock, and knows that the generation before is in its tables and erased.
func (l *files) turn() error {
	if err := l.push(); err != nil {
		return err
	}
	l.mu.Lock()
	next := l.gen + 1
	l.mu.Unlock()
	return l.begin(next)
}

// forget erases a generation that is in its tables, unless its file has another by
// now.
func (l *files) forget(gen uint64, used int64) error {
	bite := int64(len(l.blank)) // the writer comes in between
	// From behind: so what is left has no gap.
	for to := used; to > headerSize; to -= bite {
		from := max(to-bite, headerSize)
		if gone, err := l.forgetBite(gen, from, to-from); gone || err != nil {
			return err
		}
	}
	return nil
}

func (l *files) forgetBite(gen uint64, from, size int64) (gone bool, err error) {
	if err := l.lock(); err != nil {
		return false, err
	}
	defer l.unlock()
	var b [headerUsed]byte
	if _, err := l.f[gen%2].ReadAt(b[:], 0); err != nil {
		return false, err
	}
	if h, err := readHeader(b[:]); err != nil || h.gen != gen {
		return true, err
	}
	if _, err := l.f[gen%2].WriteAt(l.blank[:size], from); err != nil {
		return false, err
	}
	return false, nil
}
