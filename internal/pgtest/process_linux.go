package pgtest

import (
	"strconv"
	"syscall"
)

// dieWithParent lets the server end at once when the test's process does.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// removeSharedMemory removes a System V segment by its number. One that is gone
// already is no loss.
func removeSharedMemory(number string) {
	const remove = 0 // IPC_RMID
	if id, err := strconv.Atoi(number); err == nil {
		_, _, _ = syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), remove, 0)
	}
}
