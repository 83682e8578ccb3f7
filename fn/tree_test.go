package fn

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/schema"
)

// treeOf holds a folder in memory, called as if it were in git.
func treeOf(t *testing.T, folder string) Tree {
	t.Helper()
	tree := Tree{Name: "main:" + folder}
	err := fs.WalkDir(os.DirFS(folder), ".", func(inside string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !IsTreeFile(inside) {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, inside))
		tree.Files = append(tree.Files, TreeFile{Inside: inside, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// A tree is read as the same folder on disk is, whatever is in it.
func TestTreeReadsAsFolder(t *testing.T) {
	all := func(string, string) bool { return true }
	for _, folder := range []string{"../examples/fleet", "../examples/cue-policy", "../examples/kustomize-transformer", t.TempDir()} {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			if !strings.HasPrefix(folder, "..") {
				rendering, _ := Build(mustSources(t, "../examples/quickstart"))
				if err := rendering.WriteFolder(t.Context(), filepath.Join(folder, "rendered")); err != nil {
					t.Fatal(err)
				}
			}
			tree := treeOf(t, folder)
			want, wantProblems := ReadSources([]string{folder}, nil)
			got, gotProblems := tree.Sources()
			for i := range got {
				got[i].File = strings.TrimPrefix(got[i].File, "main:")
			}
			for i := range want {
				want[i].File = filepath.ToSlash(want[i].File)
			}
			if len(wantProblems) == 0 || len(want) > 0 { // an empty folder is a problem on disk
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(wantProblems, gotProblems); d != "" {
					t.Error(d)
				}
			}
			objects, unread := ReadObjects([]string{folder}, nil, all)
			inMemory, unreadInMemory := tree.Objects(all)
			if len(objects.Objects) != len(inMemory.Objects) || len(unread) != len(unreadInMemory) {
				t.Errorf("%d objects and %d problems; on disk %d and %d", len(inMemory.Objects), len(unreadInMemory), len(objects.Objects), len(unread))
			}
		})
	}
}

func mustSources(t *testing.T, folder string) []schema.Source {
	t.Helper()
	sources, problems := ReadSources([]string{folder}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return sources
}

func TestTreeNames(t *testing.T) {
	tests := []struct{ name, inside, file, tree string }{
		{"-", "", "-", ""},
		{"main:platform.yaml", "", "main:platform.yaml", ""},
		{"main:fleet", "tenants/web.yaml", "main:fleet/tenants/web.yaml", "fleet/tenants/web.yaml"},
		{"main:fleet/", "a.yaml", "main:fleet/a.yaml", "fleet/a.yaml"},
		{"main:x/tenants", "web.yaml", "main:x/tenants/web.yaml", "tenants/web.yaml"},
		{"main:", "tenants/web.yaml", "main:tenants/web.yaml", "tenants/web.yaml"},
		{"main:./", "tenants/web.yaml", "main:./tenants/web.yaml", "tenants/web.yaml"},
	}
	for _, test := range tests {
		tree, file := Tree{Name: test.name}, TreeFile{Inside: test.inside}
		if got := tree.file(file); got != test.file {
			t.Errorf("%s of %s is called %s, want %s", test.inside, test.name, got, test.file)
		}
		if got := strings.TrimPrefix(tree.tree(file), "/"); got != test.tree {
			t.Errorf("%s of %s stands at %s, want %s", test.inside, test.name, got, test.tree)
		}
	}
	for inside, want := range map[string]bool{
		"a.yaml": true, "x/a.json": true, "x/a.cue": true, "kustomization.yaml": true, "cue.mod/module.cue": true,
		".a.yaml": false, ".git/a.yaml": false, "a.txt": false, "README.md": false,
	} {
		if IsTreeFile(inside) != want {
			t.Errorf("%s is read: %t", inside, !want)
		}
	}
}
