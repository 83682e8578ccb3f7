//go:build unix && !linux

package supervise

import "syscall"

// attributes give a child a process group of its own, so that a terminal's interrupt is for us alone. Only Linux kills
// children with their parent.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
