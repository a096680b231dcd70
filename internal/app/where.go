package app

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// Folder is where the service's data is, as an absolute path or the name of a
// database, and whether neither a service nor a command has made a store there
// yet.
func (c Config) Folder() (path string, fresh bool) {
	if p, err := c.place(); err == nil && p.shared() {
		return p.name, false
	}
	path, err := filepath.Abs(c.Data)
	if err != nil {
		path = c.Data // the working folder is gone: what was written has to do
	}
	_, err = os.Stat(filepath.Join(c.Data, "sixdigit.db"))
	return path, errors.Is(err, fs.ErrNotExist)
}

// loopbackURL reports whether what goes to the URL stays on this machine.
func loopbackURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
