package fn

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// namesIn are all that Names finds.
func namesIn(ctx context.Context, paths ...string) map[NameOf][]string {
	found := map[NameOf][]string{}
	for _, of := range []NameOf{ClusterNames, TenantNames, ProviderNames} {
		found[of] = Names(ctx, of, paths)
	}
	return found
}

// namesOf are what Names should find, as Build reads it.
func namesOf(r *Rendering) map[NameOf][]string {
	clusters, tenants, providers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range r.clusters {
		clusters[c.Platform.Name] = true
		for _, t := range c.Tenants {
			tenants[t.Name] = true
		}
		for name := range c.Platform.Providers {
			providers[name] = true
		}
	}
	return map[NameOf][]string{
		ClusterNames:  slices.Sorted(maps.Keys(clusters)),
		TenantNames:   slices.Sorted(maps.Keys(tenants)),
		ProviderNames: slices.Sorted(maps.Keys(providers)),
	}
}

// A glance finds what reading finds.
func TestNamesAreThoseOfBuild(t *testing.T) {
	inputs := map[string][]string{}
	for _, example := range []string{"fleet", "quickstart", "kustomize-generator/config/tenantset.yaml", "kustomize-transformer/specs"} {
		inputs[example] = []string{filepath.Join("..", "examples", example)}
	}
	for _, name := range goldenCases(t) {
		files, err := filepath.Glob(filepath.Join(goldenDir, name, "in*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		inputs["golden/"+name] = files
	}
	compared := 0
	for name, paths := range inputs {
		sources, _ := ReadSources(paths, nil)
		rendering, _ := Build(sources)
		if rendering == nil || len(rendering.clusters) == 0 {
			continue
		}
		compared++
		if diff := cmp.Diff(namesOf(rendering), namesIn(t.Context(), paths...)); diff != "" {
			t.Errorf("%s (-Build +Names):\n%s", name, diff)
		}
	}
	if compared < 25 {
		t.Errorf("only %d inputs were compared", compared)
	}
}

// However a valid specification is written, its names are found.
func TestNamesOfAnySpecification(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawSpec(rt)
		for _, text := range [][]byte{blockText(rt, spec.docs()), shuffledText(rt, spec.docs())} {
			file := writeNames(t, dir, "in.yaml", string(text))
			if diff := cmp.Diff(namesOf(rendered(rt, text)), namesIn(t.Context(), file)); diff != "" {
				rt.Fatalf("(-Build +Names):\n%s\n%s", diff, text)
			}
		}
	})
}

const tenantKind = "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\n"

func TestNamesInText(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"block":              {tenantKind + "metadata:\n  name: web\n", []string{"web"}},
		"flow":               {tenantKind + "metadata: {name: web}\n", []string{"web"}},
		"flow, name second":  {tenantKind + "metadata: {labels: {name: no}, name: web}\n", []string{"web"}},
		"flow, two lines":    {tenantKind + "metadata: {\n  name: web }\n", []string{"web"}},
		"quoted":             {"\"apiVersion\": 'eso-tenant.dev/v1alpha1'\nkind: \"Tenant\"\nmetadata:\n  'name': \"web\"\n", []string{"web"}},
		"comments":           {"# A comment.\n" + tenantKind + "metadata: # who\n  # name: no\n  name: web # us\n", []string{"web"}},
		"comment on a kind":  {"apiVersion: eso-tenant.dev/v1alpha1 # v1\nkind: Tenant # one\nmetadata: {name: web}\n", []string{"web"}},
		"another name":       {tenantKind + "metadata:\n  labels:\n    name: no\n  name: web\n", []string{"web"}},
		"a name elsewhere":   {tenantKind + "metadata:\nspec:\n  name: no\n", nil},
		"an alias":           {"metadata: &m {labels: {}, name: web}\nspec: {}\n" + tenantKind, []string{"web"}},
		"an alias of all":    {"x: &m {name: web}\nmetadata: *m\n" + tenantKind, []string{"web"}},
		"too much to parse":  {tenantKind + "metadata: {labels: {x: " + strings.Repeat("x", maxParsed) + "}, name: web}\n", nil},
		"name last":          {"metadata:\n    annotations:\n        name: no\n    name: web\nspec: {name: no}\n" + tenantKind, []string{"web"}},
		"an anchor":          {tenantKind + "metadata:\n  name: &name web\n", []string{"web"}},
		"lines of Windows":   {strings.ReplaceAll("\ufeff"+tenantKind+"metadata:\n  name: web\n---\n"+tenantKind+"metadata: {name: api}\n", "\n", "\r\n"), []string{"api", "web"}},
		"JSON":               {`{"kind": "Tenant", "apiVersion": "eso-tenant.dev/v1alpha1", "metadata": {"name": "web"}}`, []string{"web"}},
		"CUE":                {"package fences\n\napiVersion: \"eso-tenant.dev/v1alpha1\"\nkind:       \"Tenant\"\nmetadata: name: \"web\"\n", []string{"web"}},
		"CUE in blocks":      {"apiVersion: \"eso-tenant.dev/v1alpha1\"\nkind: \"Tenant\"\nmetadata: {\n\tlabels: name: \"no\"\n\tname: \"web\"\n}\n", []string{"web"}},
		"a stream":           {"%YAML 1.2\n---\n" + tenantKind + "metadata: {name: b}\n--- # next\n" + tenantKind + "metadata: {name: a}\n---\n---\n" + tenantKind + "metadata: {name: b}\n...\n", []string{"a", "b"}},
		"being written":      {tenantKind + "metadata:\n  name: web\nspec:\n  namespaces: {web: {stores: [\n", []string{"web"}},
		"another API":        {"apiVersion: v1\nkind: Tenant\nmetadata: {name: no}\n", nil},
		"named in a text":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no}\ndata:\n  x: |\n    apiVersion: eso-tenant.dev/v1alpha1\n    kind: Tenant\n", nil},
		"another kind":       {"apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantTransformer\nmetadata: {name: no}\n", nil},
		"no name":            {tenantKind + "metadata: {}\n", nil},
		"a name for a shell": {tenantKind + "metadata:\n  name: $(touch x)\n", nil},
		"for a terminal":     {tenantKind + "metadata:\n  name: \"\\e[31mweb\"\n", nil},
		"a raw one":          {tenantKind + "metadata:\n  name: \x1b[31mweb\n", nil},
		"a flag":             {tenantKind + "metadata:\n  name: --output=x\n", nil},
		"no YAML":            {tenantKind + "metadata: [\n", nil},
		"deep":               {tenantKind + "metadata: " + strings.Repeat("[", 100_000), nil},
		"many aliases":       {tenantKind + "metadata: &a [*a, *a]\n", nil},
		"empty":              {"", nil},
		"no text":            {"\x00\xff\n---\n\x00", nil},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeNames(t, t.TempDir(), "in.yaml", tt.text)
			if diff := cmp.Diff(tt.want, Names(t.Context(), TenantNames, []string{file})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The files of a folder are those that a run would read.
func TestNamesInFolder(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return tenantKind + "metadata: {name: " + name + "}\n" }
	for name, content := range map[string]string{
		"in/a.yaml":             in("a"),
		"in/b.yml":              in("b"),
		"in/deep/er/c.json":     `{"apiVersion": "eso-tenant.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "c"}}`,
		"in/d.txt":              in("no-text"),
		"in/.e.yaml":            in("no-hidden"),
		"in/.git/f.yaml":        in("no-git"),
		"in/kustomization.yaml": in("no-kustomization"),
		"in/rendered.yaml":      header + in("no-rendered"),
		"elsewhere.yaml":        in("no-elsewhere"),
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeNames(t, dir, name, content)
	}
	for link, to := range map[string]string{"inside.yaml": "d.txt", "outside.yaml": "../elsewhere.yaml", "nowhere.yaml": "x", "folder.yaml": "deep"} {
		if err := os.Symlink(to, filepath.Join(dir, "in", link)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"a", "b", "c", "no-text"} // the last by a link with another name
	if diff := cmp.Diff(want, Names(t.Context(), TenantNames, []string{filepath.Join(dir, "in")})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sources, _ := ReadSources([]string{filepath.Join(dir, "in")}, nil)
	for _, source := range sources {
		if read := Names(t.Context(), TenantNames, []string{source.File}); len(read) != 1 || !slices.Contains(want, read[0]) {
			t.Errorf("a run reads %s, with %q", source.File, read)
		}
	}
	if len(sources) != len(want) {
		t.Errorf("a run reads %d files, not %d", len(sources), len(want))
	}
}

// What cannot be read has no names, and standard input is for the command itself.
func TestNamesOfNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	writeNames(t, dir, "-", tenantKind+"metadata: {name: dash}\n")
	if got := Names(t.Context(), TenantNames, []string{"-", "", "missing", os.DevNull}); got != nil {
		t.Errorf("got %q", got)
	}
	writeNames(t, dir, "web.yaml", tenantKind+"metadata: {name: web}\n")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{".", "web.yaml"} {
		if got := Names(ended, TenantNames, []string{path}); got != nil {
			t.Errorf("%s: got %q after the time was up", path, got)
		}
	}
}

// FuzzNames: whatever a file holds, what is offered is safe to type.
func FuzzNames(f *testing.F) {
	for _, name := range goldenCases(f) {
		for _, source := range goldenInputs(f, filepath.Join(goldenDir, name)) {
			f.Add(source.Data)
		}
	}
	f.Add([]byte(tenantKind + "metadata: {name: 'web'}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, of := range []NameOf{ClusterNames, TenantNames, ProviderNames} {
			scan := &nameScan{ctx: t.Context(), of: of, found: map[string]bool{}}
			scan.stream(data)
			for name := range scan.found {
				if !label.MatchString(name) || !bytes.Contains(data, []byte(name)) && !bytes.ContainsAny(data, "\\") {
					t.Errorf("%s: %q", of, name)
				}
			}
		}
	})
}

func writeNames(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
