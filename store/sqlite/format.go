package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// What stands in the files of the redo log: see files.

const magic = "sixdred\x01"

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

var (
	errRedo  = errors.New("the redo log is damaged")
	errOther = errors.New("the redo log is not this database's, or of another time of it; keep a database and the two files beside it that end with -redo0 and -redo1 together, or, to go back to a copy of the database, delete them")
)

// header is the start of a file. Its zero value is that of a file that is free.
type header struct {
	id     [16]byte
	gen    uint64
	writer uint64
}

func (h header) append(b []byte) []byte {
	from := len(b)
	b = append(append(b, magic...), h.id[:]...)
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, h.gen), h.writer)
	return binary.LittleEndian.AppendUint32(b, checksum(b[from:]))
}

const headerUsed = 8 + 16 + 8 + 8 + 4

func readHeader(b []byte) (h header, err error) {
	if len(b) < headerUsed || zeros(b[:headerUsed]) {
		return h, nil
	}
	b = b[:headerUsed]
	if string(b[:8]) != magic || binary.LittleEndian.Uint32(b[40:]) != checksum(b[:40]) {
		return h, errRedo
	}
	copy(h.id[:], b[8:])
	h.gen, h.writer = binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint64(b[32:])
	return h, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// entryHeader is the head of an entry.
type entryHeader struct {
	sum    uint32
	size   uint32 // of the rows
	gen    uint64
	at     uint64
	writer uint64
	synced uint64 // to here the file was durable when this was written
}

func (e entryHeader) put(b []byte) {
	binary.LittleEndian.PutUint32(b[4:], e.size)
	for i, n := range [...]uint64{e.gen, e.at, e.writer, e.synced} {
		binary.LittleEndian.PutUint64(b[8+8*i:], n)
	}
	binary.LittleEndian.PutUint32(b, checksum(b[4:entryHead+e.size]))
}

// readEntry reads the entry that begins at a place, ok false where there is none of
// the generation that the header names, by the writer that it names.
func readEntry(file []byte, at int64, h header) (e entryHeader, rows []byte, ok bool) {
	if at+entryHead > int64(len(file)) {
		return e, nil, false
	}
	b := file[at:]
	e.sum, e.size = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	for i, to := range [...]*uint64{&e.gen, &e.at, &e.writer, &e.synced} {
		*to = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	if e.size == 0 || e.gen != h.gen || e.writer != h.writer || e.at != uint64(at) || int64(e.size) > int64(len(b)-entryHead) { // #nosec G115 -- a place is never negative
		return e, nil, false
	}
	rows = b[entryHead : entryHead+int(e.size)]
	return e, rows, checksum(b[4:entryHead+int(e.size)]) == e.sum
}

// next is where the entry after one comes.
func (e entryHeader) next(at int64) int64 { return (at + entryHead + int64(e.size) + 7) &^ 7 }

// found is a generation as its file has it.
type found struct {
	which  int // file it is
	gen    uint64
	values [][]byte
	used   int64 // so far the file is not zeros
	// damaged says that what was durable once is not there.
	damaged bool
}

// read reads both files, the older generation first. What was being written when
// a process was killed or the power failed is passed over; what was durable once
// and is damaged now makes it fail.
func (l *files) read() (all [2]found, err error) {
	for i, f := range l.f {
		file, err := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
		if err != nil {
			return all, err
		}
		l.size[i] = max(int64(len(file)), headerSize)
		if all[i], err = readFile(file, l.id); err != nil {
			return all, fmt.Errorf("%s: %w", f.Name(), err)
		}
		all[i].which = i
	}
	if all[0].gen > all[1].gen {
		all[0], all[1] = all[1], all[0]
	}
	return all, nil
}

// withoutZeros is a file up to where only zeros come, of whole pages.
func withoutZeros(file []byte) []byte {
	var blank [headerSize]byte
	for {
		from := (len(file) - 1) / headerSize * headerSize
		if len(file) == 0 || !bytes.Equal(file[from:], blank[:len(file)-from]) {
			return file
		}
		file = file[:from]
	}
}

func readFile(file []byte, id [16]byte) (g found, err error) {
	g.used = int64(len(withoutZeros(file)))
	h, err := readHeader(file)
	switch {
	case err != nil:
		return g, err
	case h.gen == 0:
		return g, nil
	}
	g.gen = h.gen
	at, synced := int64(headerSize), uint64(0)
	for {
		e, rows, ok := readEntry(file, at, h)
		if !ok {
			break
		}
		g.values, synced, at = append(g.values, rows), max(synced, e.synced), e.next(at)
	}
	for rest := at; rest < g.used; rest += 8 { // behind what is no entry any more
		if e, _, ok := readEntry(file, rest, h); ok {
			synced = max(synced, e.synced)
		}
	}
	g.damaged = uint64(at) < synced // #nosec G115 -- a place is never negative
	if h.id != id {
		if len(g.values) > 0 || g.damaged {
			return g, errOther
		}
		g.gen = 0 // it is done with: another database can use it
	}
	return g, nil
}
