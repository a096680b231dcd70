package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sixdigit/sixdigit/verify"
)

// The tables whose rows go through the redo log. The numbers stand in the log. The
// first four are purged, in this order.
const (
	tableVerifications = iota
	tableSubjects
	tableCounters
	tableIdems
	tableEvents
	tables

	purged = tableEvents
)

// row is a row of one of the tables as it is to be written.
type row struct {
	table  byte
	key    []byte
	number []byte   // of a verification; of an event, its id, app, type and key
	times  [3]int64 // the columns between key and data, in their order
	data   []byte   // counters without any are deleted
}

// The columns that times are.
const (
	timeOfCounters = 0 // expires
	timeDue        = 2 // of verifications: created, ended, due
)

// rowFormat begins a value of the redo log.
const rowFormat = 1

func (r row) append(b []byte) []byte {
	b = append(b, r.table)
	b = appendBytes(b, r.key)
	b = appendBytes(b, r.number)
	for _, t := range r.times {
		b = binary.AppendVarint(b, t)
	}
	return appendBytes(b, r.data)
}

func appendBytes(b, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// readRow reads what append wrote and returns what is behind it. The row's slices
// are b's.
func readRow(b []byte) (r row, rest []byte, err error) {
	if len(b) == 0 || b[0] >= tables {
		return r, nil, errRedo
	}
	r.table, b = b[0], b[1:]
	if r.key, b, err = readBytes(b); err != nil {
		return r, nil, err
	}
	if r.number, b, err = readBytes(b); err != nil {
		return r, nil, err
	}
	for i := range r.times {
		var n int
		if r.times[i], n = binary.Varint(b); n <= 0 {
			return r, nil, errRedo
		}
		b = b[n:]
	}
	r.data, b, err = readBytes(b)
	return r, b, err
}

func readBytes(b []byte) (value, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) { // #nosec G115 -- n is at most the length
		return nil, nil, errRedo
	}
	b = b[n:]
	return b[:size:size], b[size:], nil
}

// save writes a row into its table.
func (s *stmts) save(r row) (err error) {
	switch r.table {
	case tableVerifications:
		err = s.saveVerification.exec(string(r.key), string(r.number), r.times[0], r.times[1], r.times[timeDue], r.data)
	case tableSubjects:
		err = s.saveSubject.exec(r.key, r.times[0], r.times[1], r.data)
	case tableCounters:
		place, known := placeOf(r.key)
		switch {
		case !known:
			return errRedo
		case len(r.data) == 0:
			err = s.clearCounters.exec(place)
		default:
			err = s.saveCounters.exec(place, r.times[timeOfCounters], r.data)
		}
	case tableIdems:
		err = s.saveIdem.exec(r.key, r.times[0], r.data)
	default:
		err = s.saveEvent(r)
	}
	if err != nil {
		return fmt.Errorf("save into table %d: %w", r.table, err)
	}
	return nil
}

func appendPlace(b []byte, p verify.Place) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(p)) // #nosec G115 -- all bits of it
}

func placeOf(key []byte) (int64, bool) {
	if len(key) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(key)), true // #nosec G115 -- all bits of it
}

// rowKey names a row. It holds no pointers: tens of thousands of them are nothing
// to the garbage collector.
type rowKey struct {
	table, size byte
	key         [32]byte
}

func keyOf[K string | []byte](table byte, key K) rowKey {
	k := rowKey{table: table, size: byte(min(len(key), hashed))} // #nosec G115 -- it is 255 at most
	if copy(k.key[:], key) < len(key) {
		// Ids are shorter; this is for whoever makes their own.
		k.size, k.key = hashed, sha256.Sum256([]byte(key))
	}
	return k
}

// hashed is the size of a key that is too long to stand as it is.
const hashed = 255
