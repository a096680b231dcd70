package pgtest

import "syscall"

// dieWithParent lets the server end at once when the test's process does.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
