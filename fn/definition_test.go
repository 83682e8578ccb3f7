package fn

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/schema"
)

// definitionFile tells catalogues of functions what ours are: one document per
// kind of functionConfig, as a CRD has one kind.
const definitionFile = "krmfunctiondefinition.yaml"

const definitionHeader = "# What a catalogue of KRM functions has to know of ours (KEP 2906). Written by a test from the schema; do not edit.\n"

// TestFunctionDefinition pins the file. UPDATE_GOLDEN=1 rewrites it.
func TestFunctionDefinition(t *testing.T) {
	got := definitionHeader
	for _, d := range []struct{ kind, tag, example, description string }{
		{schema.KindGenerator, "generator", "kustomize-generator", "Adds what a Platform and its Tenants, all in this one object, expand into: restricted service accounts, Roles, RoleBindings and SecretStores that fence External Secrets Operator."},
		{schema.KindTransformer, "mutator", "kustomize-transformer", "Replaces Platforms and Tenants among the resources by what they expand into, and leaves other resources as they are."},
		{schema.KindValidator, "validator", "kustomize-transformer", "Checks Platforms and Tenants among the resources, and changes nothing."},
	} {
		text, err := yaml.Marshal(definition(t, d.kind, d.tag, d.example, d.description))
		if err != nil {
			t.Fatal(err)
		}
		got += "---\n" + string(text)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		write(t, ".", map[string]string{definitionFile: got})
	}
	if diff := cmp.Diff(read(t, definitionFile), got); diff != "" {
		t.Errorf("UPDATE_GOLDEN=1 rewrites %s (-golden +got):\n%s", definitionFile, diff)
	}
}

func definition(t *testing.T, kind, tag, example, description string) map[string]any {
	t.Helper()
	const home = "https://github.com/eso-tenant/eso-tenant"
	group, version := path.Split(schema.APIVersion)
	group = strings.TrimSuffix(group, "/")
	return map[string]any{
		"apiVersion": framework.FunctionDefinitionGroupVersion,
		"kind":       framework.FunctionDefinitionKind,
		"metadata":   map[string]any{"name": strings.ToLower(kind) + "." + group},
		"spec": map[string]any{
			"group":       group,
			"names":       map[string]any{"kind": kind},
			"description": description,
			"publisher":   "eso-tenant",
			"home":        home,
			"maintainers": []string{"The eso-tenant authors"},
			"tags":        []string{tag, "external-secrets", "multi-tenancy", "rbac"},
			"versions": []any{map[string]any{
				"name":       version,
				"idempotent": true, // TestRunTwice, TestRunGeneratorTwice
				"usage":      home + "/blob/main/docs/kustomize.md",
				"examples":   []string{home + "/blob/main/examples/" + example + "/README.md"},
				"license":    "Apache-2.0",
				"runtime": map[string]any{
					"container": map[string]any{"image": "localhost/eso-tenant:dev"},
					"exec":      map[string]any{"path": "eso-tenant"},
				},
				"schema": map[string]any{"openAPIV3Schema": openAPI(t, kind)},
			}},
		},
	}
}

// openAPI is a kind's schema with all that it refers to written out, since a
// definition has no place for shared parts.
func openAPI(t *testing.T, kind string) any {
	t.Helper()
	text, err := schema.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	shared := document.Components.Schemas
	if shared[kind] == nil {
		t.Fatalf("there is no schema of %s", kind)
	}
	return writtenOut(shared[kind], shared)
}

func writtenOut(value any, shared map[string]any) any {
	switch value := value.(type) {
	case map[string]any:
		all := map[string]any{}
		if ref, ok := value["$ref"].(string); ok {
			target, _ := shared[path.Base(ref)].(map[string]any)
			value = maps.Clone(value)
			delete(value, "$ref")
			for key, inner := range target {
				all[key] = writtenOut(inner, shared)
			}
		}
		for key, inner := range value {
			all[key] = writtenOut(inner, shared)
		}
		return all
	case []any:
		all := make([]any, len(value))
		for i, inner := range value {
			all[i] = writtenOut(inner, shared)
		}
		return all
	}
	return value
}

// The definitions are what kyaml takes for such: no field is unknown to it, and
// it finds each kind's schema.
func TestFunctionDefinitionIsKyamls(t *testing.T) {
	documents := bytes.Split([]byte(read(t, definitionFile)), []byte("---\n"))[1:]
	kinds := []string{schema.KindGenerator, schema.KindTransformer, schema.KindValidator}
	if len(documents) != len(kinds) {
		t.Fatalf("%d documents for %d kinds", len(documents), len(kinds))
	}
	for i, kind := range kinds {
		var definition framework.KRMFunctionDefinition
		if err := yaml.UnmarshalStrict(documents[i], &definition); err != nil {
			t.Fatal(err)
		}
		runtime := definition.Spec.Versions[0].Runtime
		if runtime.Container.Image == "" || runtime.Exec.Path == "" {
			t.Errorf("%s says not how to run it: %+v", kind, runtime)
		}
		group, version := path.Split(schema.APIVersion)
		gvk := resid.NewGvk(strings.TrimSuffix(group, "/"), version, kind)
		found, err := framework.SchemaFromFunctionDefinition(gvk, string(documents[i]))
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Properties) < 3 || len(found.ExtraProps) > 0 {
			t.Errorf("the schema of %s has the properties %v, and unknown fields %v", kind, found.Properties, found.ExtraProps)
		}
		for _, word := range []string{"$ref", "#/components"} {
			if bytes.Contains(documents[i], []byte(word)) {
				t.Errorf("the schema of %s refers to something outside it: %s", kind, word)
			}
		}
	}
}
