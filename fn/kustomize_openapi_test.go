package fn

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/schema"
)

const patchedTenant = `apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  members:
  - {kind: Group, name: web-dev, role: view}
  - {kind: ServiceAccount, name: ci, namespace: blue, role: edit}
  - {kind: ServiceAccount, name: ci, namespace: green, role: edit}
  clusters: [eu-1, eu-2]
  namespaces:
    web:
      limits:
      - {type: Container, default: {memory: 1Gi}}
      - {type: Pod, max: {memory: 4Gi}}
`

const patchTenant = `patches:
- patch: |
    apiVersion: eso-tenant.dev/v1alpha1
    kind: Tenant
    metadata: {name: web}
    spec:
      members:
      - {kind: Group, name: web-dev, role: edit}
      - {kind: User, name: web-dev, role: view}
      clusters: [us-1]
      namespaces:
        web:
          limits:
          - {type: Container, default: {cpu: "1"}}
`

const patchedDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: two}
spec:
  template:
    spec:
      containers:
      - {name: a, image: "a:1"}
      - {name: b, image: "b:1"}
`

const patchDeployment = `patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: two}
    spec:
      template:
        spec:
          containers:
          - {name: a, image: "a:2"}
`

// buildPatched builds one resource with patches, and with an OpenAPI file if there is one.
func buildPatched(t *testing.T, resource, patches string, openAPI []byte) any {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"resource.yaml": resource, "kustomization.yaml": "resources: [resource.yaml]\n" + patches}
	if openAPI != nil {
		files["openapi.json"] = string(openAPI)
		files["kustomization.yaml"] += "openapi: {path: openapi.json}\n"
	}
	write(t, dir, files)
	return parsed(t, build(t, dir))
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func kustomizeOpenAPI(t *testing.T) []byte {
	t.Helper()
	document, err := KustomizeOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestPatchesMergeLists: with the OpenAPI file, limits are found by their type; without it, they are replaced. Members
// and lists of texts are replaced in both.
func TestPatchesMergeLists(t *testing.T) {
	const same = `apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  members:
  - {kind: Group, name: web-dev, role: edit}
  - {kind: User, name: web-dev, role: view}
  clusters: [us-1]
  namespaces:
    web:
      limits:
`
	tests := map[string]struct {
		openAPI []byte
		limits  string
	}{
		"without": {nil, `
      - {type: Container, default: {cpu: "1"}}
`},
		"with": {kustomizeOpenAPI(t), `
      - {type: Container, default: {memory: 1Gi, cpu: "1"}}
      - {type: Pod, max: {memory: 4Gi}}
`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := buildPatched(t, patchedTenant, patchTenant, test.openAPI)
			if diff := cmp.Diff(parsed(t, same+test.limits), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPatchesRemoveItems: a limit is taken away by its type and $patch: delete; a patch of something else takes none away,
// and no member either, though two have the same name.
func TestPatchesRemoveItems(t *testing.T) {
	got := buildPatched(t, patchedTenant, `patches:
- patch: |
    apiVersion: eso-tenant.dev/v1alpha1
    kind: Tenant
    metadata: {name: web}
    spec:
      namespaces:
        web:
          limits:
          - {$patch: delete, type: Pod}
`, kustomizeOpenAPI(t))
	want := parsed(t, strings.Replace(patchedTenant, "      - {type: Pod, max: {memory: 4Gi}}\n", "", 1))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOpenAPIKeepsKubernetes: a patch over a Deployment does with the file what it does without; with only our own kinds
// in it, a container is lost, which is why Kubernetes' are there.
func TestOpenAPIKeepsKubernetes(t *testing.T) {
	without := buildPatched(t, patchedDeployment, patchDeployment, nil)
	if diff := cmp.Diff(without, buildPatched(t, patchedDeployment, patchDeployment, kustomizeOpenAPI(t))); diff != "" {
		t.Errorf("(-without +with the file):\n%s", diff)
	}
	ours, err := schema.KustomizeOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(without, buildPatched(t, patchedDeployment, patchDeployment, ours)) {
		t.Error("kustomize keeps its own schema beside a file's: KustomizeOpenAPI need not have it any more")
	}
}

// TestOpenAPIOfABaseCounts: an overlay that names no file builds with its base's.
func TestOpenAPIOfABaseCounts(t *testing.T) {
	ours, err := schema.KustomizeOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	overlay := func(openAPI []byte) any {
		dir := t.TempDir()
		write(t, dir, map[string]string{
			"base/resource.yaml":         patchedDeployment,
			"base/openapi.json":          string(openAPI),
			"base/kustomization.yaml":    "resources: [resource.yaml]\nopenapi: {path: openapi.json}\n",
			"overlay/kustomization.yaml": "resources: [../base]\n" + patchDeployment,
		})
		return parsed(t, build(t, filepath.Join(dir, "overlay")))
	}
	without := buildPatched(t, patchedDeployment, patchDeployment, nil)
	if cmp.Equal(without, overlay(ours)) {
		t.Error("a base's file has no effect on an overlay: docs/kustomize.md says that it has")
	}
	if diff := cmp.Diff(without, overlay(kustomizeOpenAPI(t))); diff != "" {
		t.Errorf("(-without +with the file in the base):\n%s", diff)
	}
}

// TestTenantSetPatchesMerge: the tenants of a TenantSet are merged as Tenants are.
func TestTenantSetPatchesMerge(t *testing.T) {
	got := buildPatched(t, `apiVersion: eso-tenant.dev/v1alpha1
kind: TenantSet
metadata: {name: all}
spec:
  tenants:
    web: {namespaces: {web: {limits: [{type: Pod}]}}}
`, `patches:
- patch: |
    apiVersion: eso-tenant.dev/v1alpha1
    kind: TenantSet
    metadata: {name: all}
    spec:
      tenants:
        web: {namespaces: {web: {limits: [{type: Container}]}}}
`, kustomizeOpenAPI(t))
	limits, _ := schema.Lookup(got.(map[string]any), "spec.tenants.web.namespaces.web.limits").([]any)
	if len(limits) != 2 {
		t.Errorf("limits are %v; want both", limits)
	}
}

func TestKustomizeOpenAPIIsStable(t *testing.T) {
	if !bytes.Equal(kustomizeOpenAPI(t), kustomizeOpenAPI(t)) {
		t.Error("two runs differ")
	}
}
