//go:build !linux

package pgtest

import "syscall"

// dieWithParent does nothing: the server of a test that is killed stays.
func dieWithParent(*syscall.SysProcAttr) {}

// removeSharedMemory does nothing: 56 bytes of a server that was killed stay.
func removeSharedMemory(string) {}
