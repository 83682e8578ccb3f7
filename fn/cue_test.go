package fn

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// inCUE is the same documents as one package of CUE, which takes JSON as it is.
func inCUE(t testing.TB, sources []schema.Source) schema.Source {
	t.Helper()
	text := "package same\n\ndocuments: [\n"
	for _, src := range sources {
		for decoder := yaml.NewDecoder(strings.NewReader(string(src.Data))); ; {
			var doc any
			err := decoder.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if doc == nil {
				continue
			}
			written, err := json.MarshalIndent(doc, "\t", "\t")
			if err != nil {
				t.Fatal(err)
			}
			text += "\t" + string(written) + ",\n"
		}
	}
	return schema.Source{File: "same.cue", Data: []byte(text + "]\n")}
}

// TestCUEIsTheSame: what the golden cases say in YAML, said in CUE, becomes the same bytes.
func TestCUEIsTheSame(t *testing.T) {
	compared := 0
	for _, name := range goldenCases(t) {
		in := goldenInputs(t, filepath.Join(goldenDir, name))
		want, problems := Build(in)
		if isResourceList(in) || problems.Errors() > 0 {
			continue
		}
		compared++
		t.Run(name, func(t *testing.T) {
			got, problems := Build([]schema.Source{inCUE(t, in)})
			if problems.Errors() > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(streams(t, want), streams(t, got)); diff != "" {
				t.Errorf("(-YAML +CUE):\n%s", diff)
			}
		})
	}
	if compared < 10 {
		t.Errorf("only %d cases were compared", compared)
	}
}

// TestRulesComeWithThePlatform: however a Platform is named, the rules beside it hold.
func TestRulesComeWithThePlatform(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"infra/platform.yaml":   "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec: {externalSecrets: {version: 2.9.0}, enforcement: enforce, providers: {}}\n",
		"infra/rules.cue":       "package infra\n\nimport \"acme.example/fleet/infra/lib\"\n\nrules: \"none\": tenant: lib.None\n",
		"infra/lib/lib.cue":     "package lib\n\nNone: spec: namespaces: web?: _|_\n",
		"cue.mod/module.cue":    "module: \"acme.example/fleet@v0\"\n",
		"cue.mod/pkg/x.y/x.cue": "broken {",
		"tenants/web.yaml":      "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: web}\nspec: {namespaces: {web: {}}}\n",
	})
	for name, paths := range map[string][]string{
		"the whole":         {"."},
		"folders":           {"infra", "tenants"},
		"files":             {"infra/platform.yaml", "tenants/web.yaml"},
		"one of each":       {"infra/platform.yaml", "tenants"},
		"the rules by name": {"infra/rules.cue", "infra/platform.yaml", "tenants"},
		"twice":             {"infra/platform.yaml", "infra", "."},
		"from inside":       {"infra/../infra/platform.yaml", "tenants/web.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			sources, unread := ReadSources(paths, nil)
			_, problems := Build(sources)
			if len(unread) > 0 || len(problems) != 1 || problems[0].Rule != problem.PlatformRule {
				t.Errorf("unread %v, problems %v", unread, problems)
			}
		})
	}
	t.Run("from below", func(t *testing.T) {
		t.Chdir(filepath.Join(dir, "infra"))
		sources, unread := ReadSources([]string{"../tenants", "."}, nil)
		_, problems := Build(sources)
		if len(unread) > 0 || len(problems) != 1 || problems[0].Rule != problem.PlatformRule {
			t.Errorf("unread %v, problems %v", unread, problems)
		}
	})
	t.Run("a tenant's own folder", func(t *testing.T) {
		write(t, dir, map[string]string{"tenants/evil.cue": "package infra\n\nrules: \"none\": {}\n"})
		t.Chdir(dir)
		sources, _ := ReadSources([]string{"infra/platform.yaml", "tenants/web.yaml"}, nil)
		_, problems := Build(sources)
		if len(problems) != 1 || problems[0].Rule != problem.PlatformRule { // nobody named it
			t.Errorf("problems %v", problems)
		}
		sources, _ = ReadSources([]string{"."}, nil)
		_, problems = Build(sources)
		if len(problems) != 2 || problems[0].Rule != problem.CUEOutside {
			t.Errorf("problems %v", problems)
		}
	})
}

// TestFolderCalledTenants: above the folder that was named, a folder called tenants says nothing.
func TestFolderCalledTenants(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"tenants/repo/platform.yaml":    "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec: {externalSecrets: {version: 2.9.0}, enforcement: enforce, providers: {}}\n",
		"tenants/repo/tenants/web.yaml": "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: web}\nspec: {namespaces: {web: {}}}\n",
	})
	sources, _ := ReadSources([]string{filepath.Join(dir, "tenants", "repo")}, nil)
	if _, problems := Build(sources); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	// From above, the same files are in a folder of the tenant repo.
	sources, _ = ReadSources([]string{dir}, nil)
	if _, problems := Build(sources); problems.Errors() == 0 {
		t.Error("a Platform below tenants/ was taken")
	}
}
