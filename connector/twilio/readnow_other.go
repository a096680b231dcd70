//go:build !unix

package twilio

import "time"

// readNow reads what has arrived, and waits a millisecond for it: these systems
// have no read that does not wait. Where nothing comes, its error is that of a
// deadline, after which TLS goes on as if nobody had asked.
func (c *wireConn) readNow(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if e := c.SetReadDeadline(time.Time{}); err == nil {
		err = e
	}
	return n, err
}
