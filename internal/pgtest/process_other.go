//go:build !linux

package pgtest

import "syscall"

// dieWithParent does nothing: the server of a test that is killed stays.
func dieWithParent(*syscall.SysProcAttr) {}
