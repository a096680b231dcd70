//go:build unix

package twilio

import (
	"io"
	"os"
	"syscall"
)

// readNow reads what has arrived. Where nothing has, its error is that of a
// deadline, after which TLS goes on as if nobody had asked.
func (c *wireConn) readNow(p []byte) (n int, err error) {
	failed := c.raw.Read(func(fd uintptr) bool {
		for {
			n, err = syscall.Read(int(fd), p)
			if err != syscall.EINTR {
				return true
			}
		}
	})
	switch {
	case failed != nil:
		return 0, failed
	case err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}
