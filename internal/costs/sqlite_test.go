//go:build linux && !race

package costs

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteCounter counts the statements that this process has SQLite run, on whichever
// connection, and the pages that they write, which it learns at the connection's next
// statement or its end. SQLite tells of them
// (https://www.sqlite.org/c3ref/trace_v2.html): the stores know nothing of it, and no
// statement escapes it, prepared or not.
type sqliteCounter struct {
	mu     sync.Mutex
	counts counts
	pages  map[uintptr]int64 // that a connection had written, when it was last asked
	told   any               // SQLite's only way to here; no Go value refers to it otherwise
	status [2]int32
}

// newSQLiteCounter counts on all connections that are opened from now on.
func newSQLiteCounter() *sqliteCounter {
	c := &sqliteCounter{counts: newCounts(), pages: map[uintptr]int64{}}
	hook := hookOf(c, sqlite3.Xsqlite3_trace_v2, sqlite3.Xsqlite3_db_status)
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, _ string) error { return hook(conn) })
	return c
}

// hookOf returns what makes a connection tell. T is the library's idea of a thread.
// The driver has no function for it; of what it keeps to itself, this reads the
// handle of the connection, and of its thread.
func hookOf[T any](
	c *sqliteCounter,
	trace func(tls *T, db uintptr, mask uint32, callback, arg uintptr) int32,
	status func(tls *T, db uintptr, op int32, current, high uintptr, reset int32) int32,
) func(conn any) error {
	told := func(tls *T, what uint32, db, _, text uintptr) int32 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if what == sqlite3.SQLITE_TRACE_STMT {
			c.counts.add(stringAt(text))
		}
		current, high := uintptr(unsafe.Pointer(&c.status[0])), uintptr(unsafe.Pointer(&c.status[1]))
		if status(tls, db, sqlite3.SQLITE_DBSTATUS_CACHE_WRITE, current, high, 0) == sqlite3.SQLITE_OK {
			c.counts.pages += int64(c.status[0]) - c.pages[db]
			c.pages[db] = int64(c.status[0])
		}
		if what == sqlite3.SQLITE_TRACE_CLOSE {
			delete(c.pages, db) // another one may get the handle
		}
		return 0
	}
	c.told = told
	callback := *(*uintptr)(unsafe.Pointer(&told)) // as the library has its functions
	return func(conn any) error {
		fields := reflect.Indirect(reflect.ValueOf(conn))
		handle, thread := fields.FieldByName("db"), fields.FieldByName("tls")
		if handle.Kind() != reflect.Uintptr || thread.Kind() != reflect.Pointer || thread.Type() != reflect.TypeFor[*T]() {
			return errors.New("costs: modernc.org/sqlite keeps its handles elsewhere now: see where, and mend hookOf")
		}
		db := uintptr(handle.Uint())
		if rc := trace((*T)(thread.UnsafePointer()), db, sqlite3.SQLITE_TRACE_STMT|sqlite3.SQLITE_TRACE_CLOSE, callback, db); rc != sqlite3.SQLITE_OK {
			return errors.New(sqlite.ErrorCodeString[int(rc)])
		}
		return nil
	}
}

// stringAt reads a C string, without its white space. It is good until the
// statement ends.
func stringAt(address uintptr) string {
	first := *(**byte)(unsafe.Pointer(&address))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(first), n)) != 0 {
		n++
	}
	return strings.TrimSpace(unsafe.String(first, n))
}

func (c *sqliteCounter) read() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts.clone()
}
