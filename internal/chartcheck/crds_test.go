package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

const (
	crdRelease  = "v0.20.4" // the latest of modules
	specRelease = "v2.9.0"  // what the golden inputs are written for
)

// TestStores holds every store that we make for crdRelease against ESO's own CRDs.
func TestStores(t *testing.T) {
	crds := mustCRDs(t)
	for input, want := range map[string][]string{
		"providers": {
			"SecretStore akeyless", "SecretStore aws-parameters", "SecretStore aws-secrets", "SecretStore azure",
			"SecretStore conjur", "SecretStore gcp", "SecretStore gcp-federated", "SecretStore hub", "SecretStore oracle",
			"SecretStore vault-iam", "SecretStore vault-jwt", "SecretStore vault-kubernetes",
		},
		"shared-stores": {
			"ClusterSecretStore certificates", "ClusterSecretStore registries", "SecretStore alerts", "SecretStore git",
		},
	} {
		spec := mustSpec(t, input, crdRelease)
		without(spec, keys(tooOld(t, spec)))
		stores := mustStores(t, spec)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(stores))); diff != "" {
			t.Errorf("%s: other stores (-want +got):\n%s", input, diff)
		}
		for name, store := range stores {
			for _, refusal := range crds[store.GetKind()].check(t, store) {
				t.Errorf("%s: %s: %s", input, name, refusal)
			}
		}
	}
}

// TestTooOld: what release-too-old keeps from being made for crdRelease is what its CRDs would have refused.
func TestTooOld(t *testing.T) {
	crds := mustCRDs(t)
	for _, input := range []string{"providers", "shared-stores"} {
		gone := tooOld(t, mustSpec(t, input, crdRelease))
		spec := mustSpec(t, input, specRelease)
		for provider := range gone {
			gone[provider] = false
		}
		for name, store := range mustStores(t, spec) {
			provider := providerOf(t, spec, store)
			if _, ok := gone[provider]; !ok {
				continue
			}
			gone[provider] = true
			if len(crds[store.GetKind()].check(t, store)) == 0 {
				t.Errorf("%s: the CRD of %s takes %s as it is", input, crdRelease, name)
			}
		}
		for provider, seen := range gone {
			if !seen {
				t.Errorf("%s: no store is of %s", input, provider)
			}
		}
	}
}

// TestMistakes: the validation sees what is wrong.
func TestMistakes(t *testing.T) {
	crds := mustCRDs(t)
	stores := map[string]*unstructured.Unstructured{}
	for _, input := range []string{"providers", "shared-stores"} {
		spec := mustSpec(t, input, crdRelease)
		without(spec, keys(tooOld(t, spec)))
		maps.Copy(stores, mustStores(t, spec))
	}
	vault := []string{"SecretStore vault-kubernetes", "ClusterSecretStore registries"}
	aws := []string{"SecretStore aws-secrets", "ClusterSecretStore certificates"}
	for name, tc := range map[string]struct {
		stores []string
		field  string
		value  any // nil: the field is removed
		want   string
	}{
		"unknown field":         {vault, "provider.vault.adress", "https://vault.example.com", "unknown field spec.provider.vault.adress"},
		"unknown field, deeper": {aws, "provider.aws.auth.jwt.serviceAccountRef.audience", "x", "unknown field spec.provider.aws.auth.jwt.serviceAccountRef.audience"},
		"unknown provider":      {vault, "provider.future", map[string]any{}, "unknown field spec.provider.future"},
		"unknown value":         {vault, "provider.vault.version", "v3", `Unsupported value: "v3"`},
		"missing field":         {aws, "provider.aws.region", nil, "spec.provider.aws.region: Required value"},
		"missing provider":      {aws, "provider", nil, "spec.provider: Required value"},
		"number for a string":   {vault, "provider.vault.server", int64(8200), "spec.provider.vault.server: Invalid value"},
		"string for an object":  {aws, "provider.aws.auth", "jwt", "spec.provider.aws.auth: Invalid value"},
		"two providers":         {aws, "provider.oracle", map[string]any{"region": "x", "vault": "y"}, "spec.provider: Too many"},
		"string for a list":     {vault, "provider.vault.auth.kubernetes.serviceAccountRef.audiences", "vault", "audiences: Invalid value"},
		"string for a number":   {vault, "refreshInterval", "1h", "spec.refreshInterval: Invalid value"},
	} {
		for _, key := range tc.stores {
			store := stores[key].DeepCopy()
			path := strings.Split("spec."+tc.field, ".")
			if tc.value == nil {
				unstructured.RemoveNestedField(store.Object, path...)
			} else if err := unstructured.SetNestedField(store.Object, tc.value, path...); err != nil {
				t.Fatal(err)
			}
			if got := crds[store.GetKind()].check(t, store); !strings.Contains(strings.Join(got, "\n"), tc.want) {
				t.Errorf("%s: %s: refused for %q, want %q", name, key, got, tc.want)
			}
		}
	}
}

// TestRules: crdRelease has no rules in CEL, so that one is added to see that they are looked at.
func TestRules(t *testing.T) {
	spec := mustSpec(t, "shared-stores", crdRelease)
	without(spec, keys(tooOld(t, spec)))
	for name, store := range mustStores(t, spec) {
		c := mustCRD(t, store.GetKind(), func(s *apiextensions.JSONSchemaProps) {
			s.XValidations = apiextensions.ValidationRules{{Rule: "!has(self.spec.provider.vault)", Message: "no vault"}}
		})
		got := strings.Join(c.check(t, store), "\n")
		_, isVault, err := unstructured.NestedMap(store.Object, "spec", "provider", "vault")
		if err != nil {
			t.Fatal(err)
		}
		if isVault != strings.Contains(got, "no vault") || !isVault && got != "" {
			t.Errorf("%s: vault %v, refused for %q", name, isVault, got)
		}
	}
}

// crd is a CRD's schema, in the forms that the API server has of it.
type crd struct {
	apiVersion string
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator // nil: none
}

// mustCRDs returns the CRDs of crdRelease by kind.
func mustCRDs(t *testing.T) map[string]*crd {
	t.Helper()
	crds := map[string]*crd{}
	for _, kind := range []string{"SecretStore", "ClusterSecretStore"} {
		crds[kind] = mustCRD(t, kind, func(*apiextensions.JSONSchemaProps) {})
	}
	return crds
}

// mustCRD reads a kind's CRD and edits its schema.
func mustCRD(t *testing.T, kind string, edit func(*apiextensions.JSONSchemaProps)) *crd {
	t.Helper()
	at := slices.IndexFunc(modules, func(m struct{ version, sum string }) bool { return m.version == crdRelease })
	folder := download(t, module, crdRelease, modules[at].sum)
	text, err := os.ReadFile(filepath.Join(folder, "config/crds/bases/external-secrets.io_"+strings.ToLower(kind)+"s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		t.Fatal(err)
	}
	version := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage })
	served := definition.Spec.Versions[version]
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(served.Schema.OpenAPIV3Schema, &props, nil); err != nil {
		t.Fatal(err)
	}
	edit(&props)
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		t.Fatal(err)
	}
	return &crd{
		apiVersion: definition.Spec.Group + "/" + served.Name,
		structural: structural,
		validator:  validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}
}

// check does what the API server does with an object that is created, and returns why it would be refused. It is
// stricter in one thing: what the API server would drop without a word is refused too.
func (c *crd) check(t *testing.T, store *unstructured.Unstructured) []string {
	t.Helper()
	if store.GetAPIVersion() != c.apiVersion {
		return []string{"it is of " + store.GetAPIVersion() + ", the CRD of " + c.apiVersion}
	}
	object := runtime.DeepCopyJSON(store.Object)
	var refusals []string
	for _, field := range pruning.PruneWithOptions(object, c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		refusals = append(refusals, "unknown field "+field)
	}
	defaulting.Default(object, c.structural)
	errs := validation.ValidateCustomResource(nil, object, c.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
	broken, _ := c.rules.Validate(t.Context(), nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range append(errs, broken...) {
		refusals = append(refusals, err.Error())
	}
	return refusals
}

// mustSpec reads a golden input as if it were written for a release, without the custom providers, which no CRD has.
func mustSpec(t *testing.T, input, release string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile("../../golden/" + input + "/in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(specRelease)) {
		t.Fatalf("%s is not written for %s", input, specRelease)
	}
	spec := mustDocuments(t, bytes.ReplaceAll(text, []byte(specRelease), []byte(release)))
	var custom []string
	for _, document := range spec {
		for name, provider := range field(document, "spec", "providers") {
			if len(field(provider, "custom")) > 0 {
				custom = append(custom, name)
			}
		}
	}
	without(spec, custom)
	return spec
}

// tooOld returns the providers that the release of a specification lacks.
func tooOld(t *testing.T, spec []map[string]any) map[string]bool {
	t.Helper()
	_, problems := fn.Build(mustSources(t, spec))
	gone := map[string]bool{}
	for _, p := range problems {
		if rest, ok := strings.CutPrefix(p.Path, "spec.providers."); ok && p.Rule == problem.ReleaseTooOld {
			name, _, _ := strings.Cut(rest, ".")
			gone[name] = true
		}
	}
	if len(gone) == 0 {
		t.Fatal("the release lacks no provider")
	}
	return gone
}

// without takes providers out of a specification, with everything that names them.
func without(spec []map[string]any, providers []string) {
	dropStores := func(stores map[string]any) {
		maps.DeleteFunc(stores, func(_ string, store any) bool {
			provider, ok := store.(map[string]any)["provider"].(string)
			return ok && slices.Contains(providers, provider)
		})
	}
	for _, document := range spec {
		for _, name := range providers {
			delete(field(document, "spec", "providers"), name)
			delete(field(document, "spec", "tenantPolicy", "identities"), name)
		}
		dropStores(field(document, "spec", "sharedStores"))
		for _, namespace := range field(document, "spec", "namespaces") {
			dropStores(field(namespace, "stores"))
		}
	}
}

// providerOf returns the provider that a specification names for a store.
func providerOf(t *testing.T, spec []map[string]any, store *unstructured.Unstructured) string {
	t.Helper()
	for _, document := range spec {
		stores := field(document, "spec", "sharedStores")
		if store.GetNamespace() != "" {
			stores = field(document, "spec", "namespaces", store.GetNamespace(), "stores")
		}
		if provider, ok := field(stores, store.GetName())["provider"].(string); ok {
			return provider
		}
	}
	t.Fatalf("no provider of %s %s", store.GetKind(), store.GetName())
	return ""
}

// mustStores builds a specification and returns the stores of its output, as "Kind name".
func mustStores(t *testing.T, spec []map[string]any) map[string]*unstructured.Unstructured {
	t.Helper()
	rendering, problems := fn.Build(mustSources(t, spec))
	if rendering == nil {
		t.Fatalf("problems: %v", problems)
	}
	var stream bytes.Buffer
	if err := rendering.WriteStream(t.Context(), &stream); err != nil {
		t.Fatal(err)
	}
	stores := map[string]*unstructured.Unstructured{}
	for _, document := range mustDocuments(t, stream.Bytes()) {
		object := &unstructured.Unstructured{Object: document}
		if strings.HasPrefix(object.GetAPIVersion(), "external-secrets.io/") {
			stores[object.GetKind()+" "+object.GetName()] = object
		}
	}
	return stores
}

func mustSources(t *testing.T, spec []map[string]any) []schema.Source {
	t.Helper()
	var sources []schema.Source
	for _, document := range spec {
		data, err := yaml.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, schema.Source{File: "in.yaml", Data: data})
	}
	return sources
}

// mustDocuments reads a YAML stream with the types that the API server reads it with.
func mustDocuments(t *testing.T, stream []byte) []map[string]any {
	t.Helper()
	var documents []map[string]any
	for reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(stream))); ; {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents
		}
		if err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := kubeyaml.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		documents = append(documents, document)
	}
}

// field returns an object inside another; nil if there is none.
func field(object any, path ...string) map[string]any {
	at, _ := object.(map[string]any)
	for _, key := range path {
		at, _ = at[key].(map[string]any)
	}
	return at
}

func keys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
