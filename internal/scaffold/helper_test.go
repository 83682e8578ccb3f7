package scaffold

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/fn"
)

// complete answers with what nobody found out.
func complete(a Answers) Answers {
	a.Complete(Repository{}, Live{})
	return a
}

// made makes a repository's files.
func made(t *testing.T, a Answers, r Repository, l Live) []File {
	t.Helper()
	a.Complete(r, l)
	files, warnings, err := New(a, r, l, "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Fatalf("warnings: %v", warnings)
	}
	return files
}

// repository makes a repository in a new folder.
func repository(t *testing.T, a Answers) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fences")
	if err := Write(t.Context(), dir, made(t, a, Repository{}, Live{})); err != nil {
		t.Fatal(err)
	}
	return dir
}

// content is a file of a repository that was not written.
func content(t *testing.T, files []File, name string) string {
	t.Helper()
	for _, file := range files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// vetted reads a repository as `eso-tenant vet` does, and wants no problem.
func vetted(t *testing.T, dir string) *fn.Rendering {
	t.Helper()
	sources, unread := fn.ReadSources([]string{dir}, nil)
	rendering, problems := fn.Build(sources)
	if problems = append(unread, problems...); len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return rendering
}

// tree is what is below a folder: names and contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			fmt.Fprintln(&all, name)
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&all, "%s: %q\n", name, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// program puts a shell script of a name on the PATH, before all others.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// toolbox is a folder with kustomize, and eso-tenant of this tree.
var toolbox string

var tools = sync.OnceValue(func() (err error) {
	kustomize, err := findKustomize()
	if err != nil {
		return err
	}
	if toolbox, err = os.MkdirTemp("", "eso-tenant-test-"); err != nil {
		return err
	}
	if err := os.Symlink(kustomize, filepath.Join(toolbox, "kustomize")); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(toolbox, "eso-tenant"), "../../cmd/eso-tenant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile's, so that nothing is compiled twice
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building eso-tenant: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	m.Run()
	if toolbox != "" {
		os.RemoveAll(toolbox)
	}
}

// findKustomize finds the kustomize that `make tools` builds, or another one.
func findKustomize() (string, error) {
	names := []string{filepath.Join("..", "..", ".cache", "bin", "kustomize"), "kustomize"}
	if named := os.Getenv("KUSTOMIZE"); named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("these tests run the real kustomize, and there is none among %q; run `make tools`, or name one in KUSTOMIZE", names)
}

// documents are the values of a stream's documents.
func documents(t *testing.T, stream string) []any {
	t.Helper()
	var all []any
	for decoder := yaml.NewDecoder(strings.NewReader(stream)); ; {
		var doc any
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, doc)
	}
}

// kustomized is what kustomize makes of a repository.
func kustomized(t *testing.T, dir string) string {
	t.Helper()
	if err := tools(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(toolbox, "kustomize"), "build", "--enable-alpha-plugins", "--enable-exec", dir)
	cmd.Env = append(os.Environ(), "PATH="+toolbox+string(os.PathListSeparator)+os.Getenv("PATH"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize: %v\n%s", err, &stderr)
	}
	return string(out)
}
