package adopt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// failer is a test, or one draw of a property.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// read reads objects from YAML or JSON.
func read(t failer, texts ...string) []inventory.Object {
	t.Helper()
	var sources []inventory.Source
	for _, text := range texts {
		sources = append(sources, inventory.Source{File: "dump.yaml", Reader: strings.NewReader(text)})
	}
	set, problems := inventory.Read(slices.Values(sources), Kinds)
	if len(problems) > 0 {
		t.Fatal(problems[0].Line())
	}
	return set.Objects
}

// chartDump is a dump of a cluster with chart 0.20.4 and a dozen stores.
func chartDump(t *testing.T) []inventory.Object {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "chart-0.20.4.json"))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, string(data))
}

// made is what was made, which may not be nothing.
func made(t failer, in Input) (*Result, problem.List) {
	t.Helper()
	r, problems := Make(in)
	if r == nil {
		t.Fatal("nothing was made: ", lines(problems))
	}
	return r, problems
}

func lines(problems problem.List) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Line())
	}
	return strings.Join(all, "\n")
}

// rendered are the objects that a result's files render to.
func rendered(t failer, r *Result) []inventory.Object {
	t.Helper()
	var sources []schema.Source
	for _, f := range r.Specifications {
		sources = append(sources, schema.Source{File: f.Name, Data: f.Data, Tree: f.Name})
	}
	return built(t, sources...)
}

func built(t failer, sources ...schema.Source) []inventory.Object {
	t.Helper()
	rendering, problems := fn.Build(sources)
	if rendering == nil {
		t.Fatal(lines(problems))
	}
	objects, err := rendering.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// named is an object by kind and namespace/name.
func named(objects []inventory.Object, kind, name string) *inventory.Object {
	for i := range objects {
		if o := &objects[i]; o.Kind == kind && strings.TrimPrefix(o.Namespace+"/"+o.Name, "/") == name {
			return o
		}
	}
	return nil
}

// storeOf is what became of a store.
func storeOf(t *testing.T, r *Result, kind, name string) Store {
	t.Helper()
	i := slices.IndexFunc(r.Stores, func(s Store) bool { return s.Kind == kind && s.title() == name })
	if i < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	return r.Stores[i]
}

// specification is all that was written.
func specification(r *Result) string {
	var all []string
	for _, f := range r.Specifications {
		all = append(all, string(f.Data))
	}
	return strings.Join(all, "---\n")
}

// base is a cluster with ESO as its chart installs it, and no store.
const base = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: external-secrets
  namespace: external-secrets
  labels: {app.kubernetes.io/name: external-secrets, app.kubernetes.io/instance: external-secrets, helm.sh/chart: external-secrets-0.20.4, app.kubernetes.io/managed-by: Helm}
spec: {template: {spec: {serviceAccountName: external-secrets, containers: [{name: external-secrets, image: "external-secrets/external-secrets:v0.20.4", args: ["--concurrent=1"]}]}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: external-secrets, namespace: external-secrets}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: external-secrets-controller
  labels: {app.kubernetes.io/name: external-secrets, app.kubernetes.io/instance: external-secrets, helm.sh/chart: external-secrets-0.20.4, app.kubernetes.io/managed-by: Helm}
rules:
- {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: external-secrets-controller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: external-secrets-controller}
subjects: [{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}]
`

// account and vaultStore are text of a dump.
func account(namespace, name string) string {
	return "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n"
}

func vaultStore(namespace, name, role, serviceAccount string) string {
	return "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" +
		"spec: {provider: {vault: {server: \"https://vault.example.com\", path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes, role: " + role +
		", serviceAccountRef: {name: " + serviceAccount + ", audiences: [vault]}}}}}}\n"
}
