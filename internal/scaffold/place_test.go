package scaffold

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteWhere(t *testing.T) {
	files := []File{{Name: "a/b.yaml", Data: []byte("b\n")}, {Name: ".c", Data: []byte("c\n")}}
	tests := map[string]func(t *testing.T, dir string) string{
		"a folder that is missing": func(_ *testing.T, dir string) string { return filepath.Join(dir, "x") },
		"folders that are missing": func(_ *testing.T, dir string) string { return filepath.Join(dir, "x", "y", "z") },
		"an empty folder":          func(_ *testing.T, dir string) string { return dir },
		"a clone": func(t *testing.T, dir string) string {
			t.Helper()
			write(t, dir, map[string]string{".git/config": "x"})
			return dir
		},
		"a worktree": func(t *testing.T, dir string) string {
			t.Helper()
			write(t, dir, map[string]string{".git": "gitdir: x"})
			return dir
		},
		"a link to a folder": func(t *testing.T, dir string) string {
			t.Helper()
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			return link
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := prepare(t, base)
			before, _ := os.Stat(dir)
			if err := Write(t.Context(), dir, files); err != nil {
				t.Fatal(err)
			}
			if got := read(t, dir, "a/b.yaml") + read(t, dir, ".c"); got != "b\nc\n" {
				t.Errorf("got %q", got)
			}
			if left := temporaries(t, base); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			// A shell that stands in the folder goes on standing in it.
			if after, err := os.Stat(dir); err != nil || before != nil && !os.SameFile(before, after) {
				t.Errorf("the folder is another one: %v", err)
			}
			info, err := os.Stat(filepath.Join(dir, "a"))
			if err != nil || info.Mode().Perm()&0o055 == 0 {
				t.Errorf("others cannot read it: %v, %v", info.Mode(), err)
			}
		})
	}
}

// temporaries are the names of what is not whole.
func temporaries(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(name), temporary) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Whatever is there stays, and nothing comes to it.
func TestWriteRefuses(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		link  bool // a link called link that leads nowhere
		dir   string
		want  string
	}{
		"a file in it":      {files: map[string]string{"d/README.md": "mine"}, dir: "d", want: `it has "README.md", and init overwrites nothing; name a new folder`},
		"many":              {files: map[string]string{"d/.git/x": "", "d/a": "", "d/b": "", "d/c": "", "d/d": ""}, dir: "d", want: `it has "a", "b", "c" and 1 more`},
		"a repository":      {files: map[string]string{"d/platform.yaml": ""}, dir: "d", want: "eso-tenant init tenant NAME adds a tenant to it"},
		"a hidden file":     {files: map[string]string{"d/.gitignore": ""}, dir: "d", want: `it has ".gitignore"`},
		"a file":            {files: map[string]string{"d": "mine"}, dir: "d", want: `is a file, and a repository is a folder`},
		"below a file":      {files: map[string]string{"d": "mine"}, dir: "d/e/f", want: `is a file, and no folder can be made in it`},
		"a dead link":       {link: true, dir: "link", want: "is a symbolic link that leads nowhere"},
		"below a dead link": {link: true, dir: "link/d", want: "is a symbolic link that leads nowhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			write(t, base, test.files)
			if test.link {
				if err := os.Symlink("nowhere", filepath.Join(base, "link")); err != nil {
					t.Fatal(err)
				}
			}
			before := mustTree(t, base)
			err := Write(t.Context(), filepath.Join(base, test.dir), []File{{Name: "platform.yaml", Data: []byte("x")}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if diff := cmp.Diff(before, mustTree(t, base)); diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
		})
	}
}

// mustTree is a tree in which a link may lead nowhere.
func mustTree(t *testing.T, dir string) string {
	t.Helper()
	if entries, err := os.ReadDir(dir); err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Type()&fs.ModeSymlink != 0 }) {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	return tree(t, dir)
}

// cancelled is a context that ends when it was asked for the n-th time.
type cancelled struct {
	context.Context
	n *int
}

func (c cancelled) Err() error {
	if *c.n--; *c.n < 0 {
		return context.Canceled
	}
	return nil
}

// Wherever it stops, and whether it was interrupted or has no room left,
// nothing is left behind.
func TestWriteStops(t *testing.T) {
	files := made(t, Answers{}, Repository{}, Live{})
	for _, sub := range []string{"", "x", "x/y"} {
		for n := range files {
			base := t.TempDir()
			before := tree(t, base)
			if err := Write(cancelled{t.Context(), &n}, filepath.Join(base, sub), files); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(before, tree(t, base)); diff != "" {
				t.Fatalf("left behind:\n%s", diff)
			}
		}
		base := t.TempDir()
		before := tree(t, base)
		if err := Write(t.Context(), filepath.Join(base, sub), append(slices.Clone(files), File{Name: "no\x00name"})); err == nil {
			t.Fatal("a file without a place was written")
		}
		if diff := cmp.Diff(before, tree(t, base)); diff != "" {
			t.Fatalf("left behind:\n%s", diff)
		}
	}
}

// What comes into being while files are moved stays, and what was moved goes.
func TestMoveAllConflict(t *testing.T) {
	for _, conflict := range []string{"c", "c/file"} {
		base := t.TempDir()
		from, to := filepath.Join(base, "from"), filepath.Join(base, "to")
		write(t, from, map[string]string{"a": "new", "b/file": "new", conflict: "new"})
		write(t, to, map[string]string{conflict: "theirs"})
		before := tree(t, to)
		if err := moveAll(from, to); err == nil || !strings.Contains(err.Error(), "came into being meanwhile") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, tree(t, to)); diff != "" {
			t.Errorf("it changed:\n%s", diff)
		}
	}
}
