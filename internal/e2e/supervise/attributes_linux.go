package supervise

import "syscall"

// attributes give a child a process group of its own, so that a terminal's interrupt is for us alone, and let the kernel
// kill it when we are gone.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
