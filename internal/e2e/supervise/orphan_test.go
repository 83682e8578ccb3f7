package supervise

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Whatever ends the runner, its programs end.
func TestNoOrphans(t *testing.T) {
	for name, end := range map[string]func(*exec.Cmd) error{
		"SIGINT":  func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGINT) },
		"SIGTERM": func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGTERM) },
		"SIGKILL": func(c *exec.Cmd) error { return c.Process.Kill() },
		"panic":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), "SUPERVISE_ROLE=runner", "SUPERVISE_FOLDER="+t.TempDir())
			if end == nil {
				command.Env = append(command.Env, "SUPERVISE_PANIC=1")
			}
			programs := start(t, command)
			if end != nil {
				for _, id := range programs {
					if !alive(id) {
						t.Fatalf("program %d does not run", id)
					}
				}
				if err := end(command); err != nil {
					t.Fatal(err)
				}
			}
			_ = command.Wait() // it ends with a signal, or with 2
			for _, id := range programs {
				gone(t, id)
			}
		})
	}
}

// The runner ends when who started it does: it is what `go test` leaves behind when it is killed.
func TestOrphanedRunnerEnds(t *testing.T) {
	shell := exec.Command("sh", "-c", `"$0" & wait`, os.Args[0])
	shell.Env = append(os.Environ(), "SUPERVISE_ROLE=runner", "SUPERVISE_FOLDER="+t.TempDir())
	programs := start(t, shell)
	if err := shell.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, id := range programs {
		gone(t, id)
	}
}

// start returns the process ids of the three programs that a runner has started.
func start(t *testing.T, command *exec.Cmd) []int {
	t.Helper()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var programs []int
	lines := bufio.NewScanner(out)
	for len(programs) < 3 && lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the runner says %q", lines.Text())
		}
		programs = append(programs, id)
	}
	if len(programs) < 3 {
		t.Fatalf("the runner started %d programs, want 3", len(programs))
	}
	return programs
}

// alive says if a process runs. One that has ended and that nobody has asked about, as happens in a container whose first
// process is no init, does not.
func alive(id int) bool {
	if errors.Is(syscall.Kill(id, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return true // not Linux
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

// gone waits until a process has ended.
func gone(t *testing.T, id int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); alive(id); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("program %d is an orphan", id)
			_ = syscall.Kill(id, syscall.SIGKILL)
			return
		}
	}
}
