package fn

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// partsOf are a rendering's parts by name, and their files with the parts'
// names in front.
func partsOf(t fataler, r *Rendering) (names []string, files map[string]string) {
	t.Helper()
	files = map[string]string{}
	for part, err := range r.Parts(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, part.Name)
		for _, f := range part.Files {
			files[part.Name+"/"+f.Inside] = string(f.Data)
		}
	}
	return names, files
}

// What is pushed has the very bytes of what is written to a folder.
func TestPartsAreTheFolder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rendered(rt, blockText(rt, drawSpec(rt).docs()))
		dir := t.TempDir()
		if err := r.WriteFolder(rt.Context(), dir); err != nil {
			rt.Fatal(err)
		}
		want := map[string]string{}
		for name, content := range folderFiles(t, dir) {
			if content != "folder" {
				want[filepath.ToSlash(name)] = content
			}
		}
		names, got := partsOf(rt, r)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-folder +parts):\n%s", diff)
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) {
			rt.Fatalf("two parts of one name: %q", names)
		}
	})
}

// Flux's part of a cluster comes after those that it names.
func TestPartsInOrder(t *testing.T) {
	r := twoClusters(t, "v2.9.0", "payments", "web")
	names, _ := partsOf(t, r)
	want := []string{"a/tenants/payments", "a/tenants/web", "a/platform", "b/tenants/payments", "b/tenants/web", "b/platform", "b/flux"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	selected, err := r.Select(Selection{Clusters: []string{"b"}, Tenants: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	names, files := partsOf(t, selected)
	if diff := cmp.Diff([]string{"b/tenants/web"}, names); diff != "" {
		t.Errorf("one tenant (-want +got):\n%s", diff)
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.ContainsFunc(got, func(name string) bool { return strings.HasSuffix(name, "/kustomization.yaml") }) {
		t.Errorf("no kustomization among %q", got)
	}
}

// It stops with its context, and where nobody wants more.
func TestPartsStop(t *testing.T) {
	r := twoClusters(t, "v2.9.0", "payments", "web")
	for n := range 5 {
		var last error
		parts := 0
		for _, err := range r.Parts(&countdown{Context: t.Context(), left: n}) {
			if last != nil {
				t.Fatal("it went on after an error")
			}
			if last = err; err == nil {
				parts++
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("after %d questions: %d parts, %v", n, parts, last)
		}
	}
	for part, err := range r.Parts(t.Context()) {
		if err != nil || part.Name != "a/tenants/payments" {
			t.Fatalf("it went on to %s", part.Name)
		}
		break
	}
}
