package fn

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// goldenDir has one folder for each case: in*.yaml, and what each phase makes of it.
const goldenDir = "../golden"

// TestGolden runs the whole pipeline and pins its bytes:
//
//	problems.txt           what is wrong, as the command line says it; empty if nothing is
//	stream-<cluster>.yaml  what the command line prints for the cluster
//	folder/                what it writes, if a Platform has flux
//	resourcelist.yaml      what the KRM function answers, if in.yaml is a ResourceList
//
// A file that no phase makes fails. UPDATE_GOLDEN=1 rewrites, and removes, files.
func TestGolden(t *testing.T) {
	for _, name := range goldenCases(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(goldenDir, name)
			got := goldenOutput(t, goldenInputs(t, dir))
			if os.Getenv("UPDATE_GOLDEN") != "" {
				updateGolden(t, dir, got)
			}
			if diff := cmp.Diff(goldenFiles(t, dir), got); diff != "" {
				t.Errorf("UPDATE_GOLDEN=1 rewrites (-golden +got):\n%s", diff)
			}
		})
	}
}

func goldenCases(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(goldenDir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			t.Errorf("%s is no case", e.Name())
			continue
		}
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		t.Fatal("there are no cases")
	}
	return names
}

func isGoldenInput(name string) bool {
	return strings.HasPrefix(name, "in") && strings.HasSuffix(name, ".yaml")
}

// goldenInputs reads in*.yaml. Problems name the files as if the user stood beside them.
func goldenInputs(t testing.TB, dir string) []schema.Source {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "in*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no in*.yaml in %s: %v", dir, err)
	}
	var sources []schema.Source
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, schema.Source{File: filepath.Base(file), Data: data})
	}
	return sources
}

// isResourceList tells whether the input is one for the KRM function.
func isResourceList(in []schema.Source) bool {
	return len(in) == 1 && bytes.Contains(in[0].Data, []byte("\nkind: ResourceList\n"))
}

// goldenOutput returns what the phases make, by file name.
func goldenOutput(t *testing.T, in []schema.Source) map[string]string {
	t.Helper()
	out := map[string]string{}
	if isResourceList(in) {
		var answer bytes.Buffer
		problems, err := Run(bytes.NewReader(in[0].Data), &answer)
		if err != nil {
			t.Fatal(err)
		}
		out["problems.txt"], out["resourcelist.yaml"] = problemText(t, problems), answer.String()
		return out
	}
	rendering, problems := Build(in)
	out["problems.txt"] = problemText(t, problems)
	if rendering == nil {
		return out
	}
	for _, cluster := range rendering.Clusters() {
		out["stream-"+cluster+".yaml"] = streamOf(t, rendering, Selection{Clusters: []string{cluster}})
	}
	if slices.ContainsFunc(rendering.clusters, func(c *schema.Cluster) bool { return c.Platform.Flux != nil }) {
		dir := t.TempDir()
		if err := rendering.WriteFolder(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		for name, content := range filesBelow(t, dir) {
			out["folder/"+name] = content
		}
	}
	return out
}

func problemText(t *testing.T, problems problem.List) string {
	t.Helper()
	var b bytes.Buffer
	if err := problems.WriteText(&b, problem.Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// goldenFiles reads a case's files, all but the input.
func goldenFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := filesBelow(t, dir)
	maps.DeleteFunc(files, func(name, _ string) bool { return isGoldenInput(name) })
	return files
}

func filesBelow(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		files[filepath.ToSlash(inside)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func updateGolden(t *testing.T, dir string, got map[string]string) {
	t.Helper()
	for name := range goldenFiles(t, dir) {
		if _, made := got[name]; !made {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range got {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
