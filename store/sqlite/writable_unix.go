//go:build unix

package sqlite

import (
	"io/fs"
	"syscall"
)

// writable asks without opening the file: see prepareFile.
func writable(path string) error {
	const readWrite = 4 | 2 // R_OK | W_OK
	if err := syscall.Access(path, readWrite); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}
