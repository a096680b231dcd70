//go:build !unix

package sqlite

import "os"

// writable opens the file, where that touches nobody's locks.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // The operator says where.
	if err != nil {
		return err
	}
	return f.Close()
}
