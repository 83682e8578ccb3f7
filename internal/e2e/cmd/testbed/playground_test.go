package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes this binary the command, where a test calls it as such.
func TestMain(m *testing.M) {
	if os.Getenv(playgroundFolder) != "" {
		main()
		return
	}
	m.Run()
}

// A playground is left running, is used as it says, is there once, and ends with all of its programs: when it is killed, and
// when it is asked to. The second is up after a first that was killed.
func TestPlayground(t *testing.T) {
	folder := t.TempDir()
	p := playground{folder}
	if said := testbed(t, folder, "down"); said != "No playground is up.\n" {
		t.Errorf("down, where nothing is up, says %q", said)
	}
	t.Cleanup(func() { testbed(t, folder, "down") })

	said := testbed(t, folder, "up")
	first := running(t, p)
	if got := typed(t, said, "get secret db"); got != "from-vault" {
		t.Errorf("with the lines that up prints, the Secret has %q", got)
	}
	for _, refused := range []string{"outside.yaml", "create token"} {
		if got := typed(t, said, refused); !strings.Contains(got, "denied request: ") {
			t.Errorf("of what is refused, as up says, kubectl says %q", got)
		}
	}
	again := testbed(t, folder, "up")
	if second := running(t, p); second != first || again != "The playground is up already.\n"+said {
		t.Errorf("up, where one is up, says %q; process %d was %d", again, second.PID, first.PID)
	}
	programs := children(t, first.PID)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, append(programs, first.PID))
	if said := testbed(t, folder, "down"); said != "The playground had been killed; what it left behind is removed.\n" {
		t.Errorf("down, after it was killed, says %q", said)
	}
	missing(t, first.Folder)

	testbed(t, folder, "up")
	second := running(t, p)
	programs = children(t, second.PID)
	if said := testbed(t, folder, "down"); said != "The playground has ended.\n" {
		t.Errorf("down says %q", said)
	}
	gone(t, append(programs, second.PID))
	missing(t, second.Folder)
}

// testbed runs the command, and returns what it says.
func testbed(t *testing.T, folder string, arguments ...string) string {
	t.Helper()
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), playgroundFolder+"="+folder)
	var failure strings.Builder
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("testbed %s: %v\n%s", strings.Join(arguments, " "), err, failure.String())
	}
	return string(out)
}

// running is the playground's state.
func running(t *testing.T, p playground) state {
	t.Helper()
	s, err := p.state()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// typed runs a line that up prints, after that which sets the environment, as somebody who types them.
func typed(t *testing.T, said, which string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "  export ") || strings.Contains(line, which) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 2 {
		t.Fatalf("up says:\n%s", said)
	}
	for begin := time.Now(); ; time.Sleep(500 * time.Millisecond) { // ESO needs a moment
		out, _ := exec.Command("sh", "-c", strings.Join(lines, "")).CombinedOutput()
		if !strings.Contains(string(out), "NotFound") || time.Since(begin) > time.Minute {
			return string(out)
		}
	}
}

// children are the programs that a process has started.
func children(t *testing.T, parent int) []int {
	t.Helper()
	out, err := exec.Command("ps", "-axo", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[1] == strconv.Itoa(parent) {
			id, err := strconv.Atoi(fields[0])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, id)
		}
	}
	if len(all) < 5 { // etcd, kube-apiserver, kube-controller-manager, Vault, ESO
		t.Fatalf("the playground runs %d programs", len(all))
	}
	return all
}

// gone waits until processes have ended. One that nobody has asked about has, as well.
func gone(t *testing.T, processes []int) {
	t.Helper()
	for _, id := range processes {
		for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(id)).Output()
			if err != nil || strings.HasPrefix(string(state), "Z") {
				break
			}
			if time.Since(begin) > 20*time.Second {
				t.Errorf("process %d is an orphan", id)
				_ = syscall.Kill(id, syscall.SIGKILL)
				break
			}
		}
	}
}

func missing(t *testing.T, folder string) {
	t.Helper()
	if _, err := os.Stat(folder); !os.IsNotExist(err) || filepath.Dir(folder) != filepath.Clean(os.TempDir()) {
		t.Errorf("the bed's folder %s is still there: %v", folder, err)
	}
}
