package supervise

import (
	"os/exec"
	"runtime"
	"sync"
)

// spawner is a thread of the operating system that never ends. The kernel's signal on a parent's death is sent when the
// thread ends that started the child, and Go ends threads as it likes (golang/go issue 27505).
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})

// startLocked starts a command from the thread that never ends.
func startLocked(command *exec.Cmd) error {
	result := make(chan error)
	spawner() <- func() { result <- command.Start() }
	return <-result
}

// StartChild starts a command that ends with us, in a process group of its own.
func StartChild(command *exec.Cmd) error {
	command.SysProcAttr = attributes()
	return startLocked(command)
}
