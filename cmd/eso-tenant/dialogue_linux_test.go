package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a terminal with a program on it.
type terminal struct {
	t     *testing.T
	outer *os.File // the user's side
	run   *child
	seen  string
}

// onTerminal starts a command whose standard input and error are a terminal,
// as its standard output is not.
func onTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	if testing.Short() { // as the race detector's run is
		t.Skip("bubbletea v2.0.2 closes its input while its own reader may still wait on it (cancelreader v0.2.2): a race of the library's, as the process ends")
	}
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	t.Cleanup(func() { outer.Close() })
	number, err := unix.IoctlGetInt(int(outer.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(outer.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(outer.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	inner, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	cmd := command(t, dir, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "GIT_CEILING_DIRECTORIES="+dir)
	run := &child{cmd: cmd}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inner, &run.stdout, inner
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, outer: outer, run: run}
}

// escapes are what a program tells its terminal besides text.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?<>=]*[$]?[A-Za-z]|[=>78]|\][^\x07]*\x07)`)

// sees reads until the screen was told a text, and forgets all up to it.
func (terminal *terminal) sees(text string) *terminal {
	terminal.t.Helper()
	buffer := make([]byte, 4096)
	for !strings.Contains(terminal.seen, text) {
		n, err := terminal.outer.Read(buffer)
		if err != nil {
			terminal.t.Fatalf("%q never came; instead:\n%s", text, terminal.seen)
		}
		terminal.seen = escapes.ReplaceAllString(terminal.seen+string(buffer[:n]), "")
	}
	_, terminal.seen, _ = strings.Cut(terminal.seen, text)
	return terminal
}

// types presses keys.
func (terminal *terminal) types(keys string) *terminal {
	terminal.t.Helper()
	if _, err := terminal.outer.WriteString(keys); err != nil {
		terminal.t.Fatal(err)
	}
	return terminal
}

const (
	enter  = "\r"
	up     = "\x1b[A"
	cancel = "\x03"

	// focus stands before the question that keys go to. Where a page shows a
	// question before its turn, a key that comes too early is another one's.
	focus = "┃ "
)

// The dialogue asks for what no flag says, offers what init would have taken,
// and says at once what is no answer.
func TestInitAsks(t *testing.T) {
	dir := t.TempDir()
	terminal := onTerminal(t, dir, "init", "fences", "--eso-version", "v2.7.0", "--url", "https://git.acme.dev/fences")
	terminal.sees("Cluster").sees("main").types("X" + enter).sees(`"mainX" is no name`)
	terminal.types("\x7f-1" + enter).sees(focus + "Provider").types(up).sees("> kubernetes").types(enter)
	terminal.sees("URL of kubernetes").sees("https://hub.example.com:6443").types("/x" + enter)
	terminal.sees("Tenant").sees("team-a").types(enter)
	terminal.sees(focus + "Owner").types(enter)
	got := terminal.run.wait(t)
	if got.code != exitFine || !strings.HasPrefix(got.stdout, "fences\n├── platform.yaml") {
		t.Fatalf("exit code %d, standard output:\n%s", got.code, got.stdout)
	}
	platform, err := os.ReadFile(filepath.Join(dir, "fences", "platform.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: main-1 ", "version: v2.7.0 ", "url: https://hub.example.com:6443/x\n"} {
		if !strings.Contains(string(platform), want) {
			t.Errorf("there is no %q:\n%s", want, platform)
		}
	}
}

// Whoever leaves the dialogue leaves nothing behind.
func TestInitAskInterrupted(t *testing.T) {
	dir := t.TempDir()
	terminal := onTerminal(t, dir, "init", "fences")
	terminal.sees("Cluster").types(cancel).sees("eso-tenant: interrupted; nothing was written")
	if got := terminal.run.wait(t); got.code != exitFailed || got.stdout != "" {
		t.Errorf("exit code %d, standard output %q", got.code, got.stdout)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Nobody is asked who has said that, or all that there is to ask.
func TestInitAsksNothing(t *testing.T) {
	for _, flags := range []string{"--yes", "--cluster a --eso-version v2.9.0 --provider vault --tenant b --owner @c --url https://d/e"} {
		terminal := onTerminal(t, t.TempDir(), append([]string{"init", "fences"}, strings.Fields(flags)...)...)
		if got := terminal.run.wait(t); got.code != exitFine {
			t.Errorf("%s: exit code %d", flags, got.code)
		}
	}
}
