//go:build !unix || aix || solaris

package sqlite

import "os"

// lockFile has no lock to take here: one process alone may have a database open.
func lockFile(*os.File) (taken bool, err error) { return true, nil }

func unlockFile(*os.File) error { return nil }

func syncFolder(string) error { return nil }

func keepOwner(*os.File, string) error { return nil }
