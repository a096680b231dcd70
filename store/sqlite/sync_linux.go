package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// fdatasync makes durable what was written to a file, but for what only stat shows.
func fdatasync(f *os.File) error {
	for {
		err := control(f, syscall.Fdatasync)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
