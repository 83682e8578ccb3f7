package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// A log that is written, rotated and emptied while it is followed is read whole,
// and each finding said once, when it is made.
func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	line := func(user string) string { return text(minted(user, fenced, `["vault"]`)) }
	write := func(name, text string, flags int) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	alice, bob, carol, dave := line("alice"), line("bob"), line("carol"), line("dave")
	write(file, alice+bob[:50], os.O_TRUNC)
	steps := []func(){
		func() { write(file, bob[50:], os.O_APPEND) },
		func() { // rotated, with a last event after the renaming
			if err := os.Rename(file, file+".1"); err != nil {
				t.Fatal(err)
			}
			write(file+".1", carol, os.O_APPEND)
		},
		func() {}, // there is no file for a while
		func() { write(file, dave+alice, os.O_TRUNC) },
		func() { write(file, line("erin"), os.O_TRUNC) }, // emptied, as copytruncate does
		func() { write(file, line("frank")[:40], os.O_APPEND) },
	}
	var said []string
	follower := Follower{File: file, Say: func(l problem.List) error {
		for _, p := range l {
			name, _, _ := strings.Cut(p.Message, " ")
			said = append(said, fmt.Sprint(name, p.Position.Line))
		}
		return nil
	}, Wait: func() bool {
		if len(steps) == 0 {
			return false
		}
		step := steps[0]
		steps = steps[1:]
		step()
		return true
	}}
	report, err := follower.Run(expected())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(said, " "), `"alice"1 "bob"2 "carol"3 "dave"1 "erin"1`; got != want {
		t.Errorf("said %s, want %s", got, want)
	}
	c := report.Coverage
	if c.Rotations != 1 || c.Cuts != 1 || c.Truncated != 1 || c.Duplicates != 1 || len(report.Rows) != 5 {
		t.Errorf("%+v", c)
	}
}

func TestFollowRefuses(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		follower := Follower{File: name, Wait: func() bool { return false }}
		if _, err := follower.Run(&Input{}); err == nil || !strings.HasPrefix(err.Error(), "following ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Names mean files, folders and patterns; each file is read once, in one order.
func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"logs/b.log", "logs/a.log", "logs/old/c.gz", "logs/.hidden", "x-2.log", "x-1.log"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	for names, want := range map[string]string{
		"logs":                           "logs/a.log logs/b.log logs/old/c.gz",
		"- x-*.log ./x-1.log logs/b.log": "logs/b.log x-1.log x-2.log -",
		"y-*":                            "y-*: no file matches this pattern [source-unreadable]",
		"none":                           "none: this cannot be read: no such file or directory [source-unreadable]",
		"empty":                          "empty: there is no file in this folder [source-unreadable]",
	} {
		sources, problems := Find(strings.Fields(names), strings.NewReader(""))
		var got []string
		for _, s := range sources {
			got = append(got, s.Name)
		}
		if text := strings.Join(got, " ") + strings.TrimSpace(lines(problems)); text != want {
			t.Errorf("%s: got %s, want %s", names, text, want)
		}
	}
}
