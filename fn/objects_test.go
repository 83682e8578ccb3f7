package fn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func everyKind(string, string) bool { return true }

// readIn is the objects and problems in lines, each with its place.
func readIn(set *inventory.Set, problems problem.List, dir string) string {
	var b strings.Builder
	for _, o := range set.Objects {
		fmt.Fprintf(&b, "%s %s/%s\n", o.At, o.Kind, o.Name)
	}
	for _, p := range problems.Sorted() {
		b.WriteString(p.Line() + "\n")
	}
	fmt.Fprintf(&b, "%d files", set.Files)
	return strings.ReplaceAll(b.String(), dir+string(filepath.Separator), "")
}

func TestReadObjects(t *testing.T) {
	object := func(name string) string {
		return "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: " + name + "\n"
	}
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	write(t, filepath.Dir(outside), map[string]string{"secret.yaml": object("outside")})
	write(t, dir, map[string]string{
		"all/a.yaml":             header + object("ours"),
		"all/b/c.yml":            object("c1") + "---\n" + object("c2"),
		"all/b/d.json":           `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"d"}}`,
		"all/b/e.txt":            object("e"),
		"all/.git/f.yaml":        object("f"),
		"all/.g.yaml":            object("g"),
		"all/kustomization.yaml": "resources:\n- a.yaml\n",
		"all/h/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n---\n" +
			object("hidden"),
		"all/values.yaml": "a: b\n",
		"none/README":     "nothing",
	})
	if err := os.Symlink(outside, filepath.Join(dir, "all", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	notKustomize := func(group, _ string) bool { return group != "kustomize.config.k8s.io" }
	for name, test := range map[string]struct {
		paths []string
		want  string
	}{
		"a folder": {[]string{"all"}, `all/a.yaml:2:1 ServiceAccount/ours
all/b/c.yml:1:1 ServiceAccount/c1
all/b/c.yml:6:1 ServiceAccount/c2
all/b/d.json:1:1 ServiceAccount/d
all/h/kustomization.yaml:4:1 ServiceAccount/hidden
all/link.yaml: this symbolic link does not end at a file inside the folder [source-escapes]
all/values.yaml:1:1: this has neither apiVersion nor kind, so nobody can tell what it is [object-unreadable]
6 files`},
		"files, one twice":   {[]string{"all/a.yaml", "all/b", "all/b/c.yml"}, "all/a.yaml:2:1 ServiceAccount/ours\nall/b/c.yml:1:1 ServiceAccount/c1\nall/b/c.yml:6:1 ServiceAccount/c2\nall/b/d.json:1:1 ServiceAccount/d\n3 files"},
		"standard input":     {[]string{"-"}, "-:1:1 ServiceAccount/in\n1 files"},
		"nothing":            {[]string{"none"}, "none: there is no *.yaml, *.yml or *.json file in this folder [source-empty]\n0 files"},
		"what is not there":  {[]string{"gone"}, "gone: this cannot be read: no such file or directory [source-unreadable]\n0 files"},
		"a kustomization":    {[]string{"all/kustomization.yaml"}, "1 files"},
		"what is not for us": {[]string{"all/values.yaml"}, "all/values.yaml:1:1: this has neither apiVersion nor kind, so nobody can tell what it is [object-unreadable]\n1 files"},
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			for _, p := range test.paths {
				if p != "-" {
					p = filepath.Join(dir, p)
				}
				paths = append(paths, p)
			}
			set, problems := ReadObjects(paths, strings.NewReader(object("in")), notKustomize)
			if diff := cmp.Diff(test.want, readIn(set, problems, dir)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestReadObjectsReadsBack: whatever we write is read as what it was, and the next document as well.
func TestReadObjectsReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"}, "x": tree(4).Draw(t, "tree")}
		out, err := appendYAML(nil, v)
		if err != nil {
			return
		}
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(asJSON, &want); err != nil {
			t.Fatal(err)
		}
		for form, in := range map[string][]byte{
			"YAML": append(append(bytes.Clone(out), separator...), out...),
			"JSON": append(bytes.Clone(asJSON), asJSON...),
			"List": append(append([]byte("apiVersion: v1\nitems:\n"), bytes.Repeat(listItem(out), 2)...), "kind: List\n"...),
		} {
			set, problems := ReadObjects([]string{"-"}, bytes.NewReader(in), everyKind)
			if problems != nil || len(set.Objects) != 2 {
				t.Fatalf("%s: %d objects, %v\n%s", form, len(set.Objects), problems, in)
			}
			for _, o := range set.Objects {
				if diff := cmp.Diff(want, any(o.Fields)); diff != "" {
					t.Fatalf("%s (-want +got)\n%s\n%s", form, diff, in)
				}
			}
		}
	})
}

// listItem is a document as an item of a list.
func listItem(document []byte) []byte {
	var item []byte
	for line := range bytes.Lines(document) {
		if len(line) > 1 {
			item = append(item, "  "...)
		}
		item = append(item, line...)
	}
	item[0] = '-'
	return item
}

func BenchmarkReadObjects1000(b *testing.B) {
	rendering, problems := Build(manyTenants(1000))
	if rendering == nil {
		b.Fatal(problems)
	}
	var stream bytes.Buffer
	if err := rendering.WriteStream(b.Context(), &stream); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(stream.Len()))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		set, problems := ReadObjects([]string{"-"}, bytes.NewReader(stream.Bytes()), everyKind)
		if problems != nil {
			b.Fatal(problems)
		}
		n = len(set.Objects)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/object")
}

// BenchmarkFromTyped100 makes objects of those that were rendered without writing them.
func BenchmarkFromTyped100(b *testing.B) {
	rendering, problems := Build(manyTenants(100))
	if rendering == nil {
		b.Fatal(problems)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for objects := range rendering.objects(rendering.clusters[0]) {
			for _, o := range objects {
				if _, err := inventory.FromTyped(o.APIVersion, o.Kind.Kind, o.Namespace, o.Name, o.Body, problem.Position{}); err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/object")
}
