package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tiny is a component of a few lines.
func tiny(t *testing.T) (b *Builder, c Component, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	b = &Builder{Components: t.TempDir(), Cache: filepath.Join(t.TempDir(), "cache"), Log: log}
	write(t, filepath.Join(b.Components, "tiny", "go.mod"), "module tiny\n\ngo 1.26.0\n")
	write(t, filepath.Join(b.Components, "tiny", "main.go"), "package main\n\nfunc main() {}\n")
	return b, Component{Name: "tiny", Packages: map[string]string{"tiny": "."}}, log
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBuiltOnceUntilSomethingChanges(t *testing.T) {
	b, c, log := tiny(t)
	first, err := b.Build(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(first, "tiny")) {
		t.Error("there is no binary")
	}
	log.Reset()
	again, err := b.Build(t.Context(), c)
	if err != nil || again != first || log.Len() > 0 {
		t.Errorf("the same was built again: %s, then %s, %v; %s", first, again, err, log)
	}

	write(t, filepath.Join(b.Components, "tiny", "main.go"), "package main\n\nfunc main() { println() }\n")
	changed, err := b.Build(t.Context(), c)
	if err != nil || changed == first {
		t.Errorf("a change of its source was not built: %s, %v", changed, err)
	}
	c.Variables = map[string]string{"main.version": "v1"}
	versioned, err := b.Build(t.Context(), c)
	if err != nil || versioned == changed {
		t.Errorf("a change of how it is built was not: %s, %v", versioned, err)
	}
	left, err := filepath.Glob(filepath.Join(b.Cache, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("the cache holds %q (%v), want what was built last, and the lock", left, err)
	}
}

func TestBrokenComponentIsNamed(t *testing.T) {
	b, c, _ := tiny(t)
	write(t, filepath.Join(b.Components, "tiny", "main.go"), "package main\n\nfunc main() { missing() }\n")
	_, err := b.Build(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "building tiny: running go build") || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(b.Cache, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("the cache holds %q (%v), want the lock alone", left, err)
	}
}

func TestTrimmedFileHasToBeThere(t *testing.T) {
	from := t.TempDir()
	write(t, filepath.Join(from, "pkg", "register", "register.go"), "package register\n\nimport _ \"a\"\n")
	trim := &Trim{Copy: []string{"pkg"}, Imports: map[string][]string{"pkg/register/register.go": {"pkg/two", "pkg/one"}}}
	to := t.TempDir()
	if err := trim.copy(from, to, "module"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(to, "pkg", "register", "register.go"))
	if want := "package register\n\nimport (\n\t_ \"module/pkg/one\"\n\t_ \"module/pkg/two\"\n)\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	trim.Imports = map[string][]string{"pkg/moved.go": {"pkg/one"}}
	if err := trim.copy(from, t.TempDir(), "module"); err == nil || !strings.Contains(err.Error(), "pkg/moved.go is not there any more") {
		t.Errorf("got %v", err)
	}
}

func TestFullDiskIsNamed(t *testing.T) {
	folder := t.TempDir()
	if err := Room(folder, 1); err != nil {
		t.Error(err)
	}
	if err := Room(folder, 1<<62); err == nil || !strings.Contains(err.Error(), folder) || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
}

func TestLockIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := Held(path); err != nil || !held {
		t.Errorf("a lock that is held is not seen: %v", err)
	}
	unlock()
	if held, err := Held(path); err != nil || held {
		t.Errorf("a lock that was given back is seen: %v", err)
	}
}
