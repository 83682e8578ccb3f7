package fn

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/schema"
)

// countdown is a context that is cancelled once it was asked a number of times
// whether it is.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// twoClusters is a specification of the clusters a and b, the latter with Flux,
// and of a tenant for each name, with a namespace of the same name.
func twoClusters(t *testing.T, version string, tenants ...string) *Rendering {
	t.Helper()
	head := "apiVersion: eso-tenant.dev/v1alpha1\n"
	spec := "spec: {externalSecrets: {version: " + version + "}, enforcement: enforce, providers: {}"
	text := head + "kind: Platform\nmetadata: {name: a}\n" + spec + "}\n---\n" +
		head + "kind: Platform\nmetadata: {name: b}\n" + spec + ", flux: {sourceRef: {kind: OCIRepository, name: fence}}}\n"
	for _, name := range tenants {
		text += "---\n" + head + "kind: Tenant\nmetadata: {name: " + name + "}\nspec: {clusters: [a, b], namespaces: {" + name + ": {}}}\n"
	}
	rendering, problems := Build([]schema.Source{{File: "in.yaml", Data: []byte(text)}})
	if rendering == nil {
		t.Fatal(problemText(t, problems))
	}
	return rendering
}

// folderFiles is what lies below a folder: the files' content, and "folder" for
// each folder.
func folderFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil || entry.IsDir() {
			files[inside] = "folder"
			return err
		}
		content, err := os.ReadFile(name)
		files[inside] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// below are the files of one cluster.
func below(files map[string]string, cluster string) map[string]string {
	inside := map[string]string{}
	for name, content := range files {
		if name == cluster || strings.HasPrefix(name, cluster+string(filepath.Separator)) {
			inside[name] = content
		}
	}
	return inside
}

func writeFolder(t *testing.T, r *Rendering, dir string) map[string]string {
	t.Helper()
	if err := r.WriteFolder(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return folderFiles(t, dir)
}

// At whichever step a rendering is interrupted, each cluster is as it was
// before, or all new, and nothing else is left. Until the first is moved, and
// that is after all are written, all are as they were.
func TestWriteFolderInterrupted(t *testing.T) {
	before, after := twoClusters(t, "v2.8.0", "gone", "stays"), twoClusters(t, "v2.9.0", "new", "stays")
	updated := writeFolder(t, after, t.TempDir())
	interrupted, mixed := 0, 0
	for steps := 0; ; steps++ {
		dir := t.TempDir()
		old := writeFolder(t, before, dir)
		err := after.WriteFolder(&countdown{t.Context(), steps}, dir)
		got := folderFiles(t, dir)
		if err == nil {
			if diff := cmp.Diff(updated, got); diff != "" {
				t.Errorf("not interrupted (-want +got):\n%s", diff)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		interrupted++
		moved := 0
		for _, cluster := range []string{"a", "b"} {
			switch {
			case cmp.Equal(below(got, cluster), below(old, cluster)):
			case cmp.Equal(below(got, cluster), below(updated, cluster)):
				moved++
			default:
				t.Errorf("after %d steps, cluster %s is neither old nor new:\n%s", steps, cluster, cmp.Diff(below(old, cluster), below(got, cluster)))
			}
		}
		if moved > 0 {
			mixed++
		}
		if n := 1 + len(below(got, "a")) + len(below(got, "b")); n != len(got) {
			t.Errorf("after %d steps, something else is left: %d of %d", steps, n, len(got))
		}
	}
	// Some 30 files are written, and one step lies between the two moves.
	if interrupted < 20 || mixed != 1 {
		t.Errorf("interrupted %d times, %d of them between clusters", interrupted, mixed)
	}
}

// Interrupted, a folder that was not there is not there.
func TestWriteFolderInterruptedFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := twoClusters(t, "v2.9.0", "t").WriteFolder(&countdown{t.Context(), 5}, dir); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}
