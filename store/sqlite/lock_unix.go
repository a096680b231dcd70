//go:build unix && !aix && !solaris

package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockFile takes the lock of a file, which goes with the process. taken is false
// where another process has it.
func lockFile(f *os.File) (taken bool, err error) {
	for {
		err = control(f, func(fd int) error { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) })
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}

func unlockFile(f *os.File) error {
	return control(f, func(fd int) error { return syscall.Flock(fd, syscall.LOCK_UN) })
}

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	outside := raw.Control(func(fd uintptr) { err = do(int(fd)) }) // #nosec G115 -- a descriptor
	return errors.Join(outside, err)
}

// syncFolder makes durable that a file is there.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives a file the owner of the database, whom a command that root runs
// must not keep out, and keeps all others out.
func keepOwner(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	database, err := os.Stat(path)
	if err != nil {
		return err
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	want, known := database.Sys().(*syscall.Stat_t)
	if ok && known && (is.Uid != want.Uid || is.Gid != want.Gid) {
		_ = f.Chown(int(want.Uid), int(want.Gid)) // who may not leaves it as it is
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}
