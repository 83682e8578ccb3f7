package fn

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	fieldpath "k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/schema"
)

// The order of documents, and of keys in them, is nobody's meaning.
func TestOrderOfInputIsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		want := streams(t, rendered(t, blockText(t, spec.docs())))
		shuffled := shuffledText(t, spec.docs())
		if diff := cmp.Diff(want, streams(t, rendered(t, shuffled))); diff != "" {
			t.Fatalf("another order gives other bytes (-block +shuffled):\n%s\n%s", diff, shuffled)
		}
	})
}

// What is added, changed or taken away of one tenant changes no byte of another's, nor of the Platform's.
func TestTenantsAreLocal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		name := rapid.SampledFrom(tenantPool).Draw(t, "tenant")
		others := slices.DeleteFunc(slices.Clone(spec.tenants), func(d doc) bool { return nameOf(d) == name })
		changed := append(slices.Clone(others), drawTenant(t, spec.shape, name))

		before := byTenant(t, blockText(t, spec.docs()))
		without := byTenant(t, blockText(t, slices.Concat(spec.platforms, others)))
		after := byTenant(t, blockText(t, slices.Concat(spec.platforms, changed)))
		for _, parts := range []map[string]string{before, after} {
			maps.DeleteFunc(parts, func(key, _ string) bool { return strings.HasSuffix(key, "/"+name) })
			if diff := cmp.Diff(without, parts); diff != "" {
				t.Fatalf("tenant %s changes what is not its own (-without +with):\n%s", name, diff)
			}
		}
	})
}

// byTenant renders, and sorts the documents by cluster and tenant label.
func byTenant(t *rapid.T, data []byte) map[string]string {
	parts := map[string]string{}
	for cluster, stream := range streams(t, rendered(t, data)) {
		all, err := manifestsOf(stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			parts[cluster+"/"+m.Labels[labelOfTenant]] += m.text
		}
	}
	return parts
}

// A tenant rendered alone has the bytes that it has among all.
func TestOneTenantAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := blockText(t, drawSpec(t).docs())
		r := rendered(t, data)
		for key, want := range byTenant(t, data) {
			cluster, tenant, _ := strings.Cut(key, "/")
			if tenant == "platform" {
				continue
			}
			got := strings.Join(documentsOf(streamOf(t, r, Selection{Clusters: []string{cluster}, Tenants: []string{tenant}})), "")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-among all +alone):\n%s", key, diff)
			}
		}
	})
}

// No tenant can do anything in another's namespaces, and ESO mints for nobody but the stores' service accounts.
func TestTenantsAreIsolated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		data := blockText(t, spec.docs())
		members, owned := claims(spec)
		for _, platform := range spec.platforms {
			cluster := nameOf(platform)
			f, err := newFence(streams(t, rendered(t, data))[cluster], owned)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range f.check(within(platform, "spec")["enforcement"] == "enforce", members) {
				t.Errorf("%s: %s", cluster, problem)
			}
			if t.Failed() {
				t.Fatalf("%s", data)
			}
		}
	})
}

// claims reads a specification by itself: which tenant each member and each namespace belongs to.
func claims(spec specification) (members, owned map[string]string) {
	members, owned = map[string]string{}, map[string]string{}
	for _, tenant := range spec.tenants {
		content := within(tenant, "spec")
		for namespace := range within(content, "namespaces") {
			owned[namespace] = nameOf(tenant)
		}
		list, _ := content["members"].([]doc)
		for _, m := range list {
			members[textIn(m, "kind")+" "+textIn(m, "namespace")+"/"+textIn(m, "name")] = nameOf(tenant)
		}
	}
	return members, owned
}

// hostile are values that a tenant might try where others belong.
var hostile = []any{
	"payments", "payments-prod", "web", "default", "kube-system", "flux-system", "external-secrets", "eso-system", "platform", "platform-shared",
	"*", "", ".", "..", "a/b", "{tenant}", "{namespace}", ".*", "system:masters", "system:serviceaccounts", "cluster-admin",
	"ServiceAccount", "external-secrets.io/allow", "app.kubernetes.io/managed-by", "local", "vault", "shared", strings.Repeat("a", 64), "a\n---\nb", "\u2028",
	true, 0, -1, 1e300, nil,
	[]any{},
	doc{},
	[]any{"*"},
	doc{"*": "*"},
	doc{"enforce": "privileged"},
}

// A tenant that puts anything anywhere is refused, or stays as fenced as any, and makes what the API server takes.
func TestHostileTenantsStayFenced(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		if len(spec.tenants) > 0 {
			spec.tenants[0] = perverted(t, plainDoc(t, spec.tenants[0]))
		}
		rendering, _ := Build([]schema.Source{{File: "spec.yaml", Data: blockText(t, spec.docs())}})
		if rendering == nil {
			return
		}
		accepted++
		members, owned := claimsOf(rendering)
		for _, cluster := range rendering.clusters {
			name := cluster.Platform.Name
			f, err := newFence(streams(t, rendering)[name], owned)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range f.check(cluster.Platform.Enforcement == schema.Enforce, members) {
				t.Errorf("%s: %s", name, problem)
			}
			for _, m := range f.all {
				checkObject(t, m)
			}
		}
		if t.Failed() {
			t.Fatalf("%s", blockText(t, spec.docs()))
		}
	})
	if accepted == 0 {
		t.Error("every specification was refused")
	}
}

// plainDoc copies a document into maps and lists of the plainest types.
func plainDoc(t *rapid.T, d doc) doc {
	var plain doc
	if err := yaml.Unmarshal(blockText(t, []doc{d}), &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

// perverted puts something hostile in the place of one value or key.
func perverted(t *rapid.T, d doc) doc {
	change := rapid.SampledFrom(hostile)
	for at := d; len(at) > 0; {
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(at))).Draw(t, "key")
		switch inner, _ := at[key].(doc); {
		case len(inner) > 0 && rapid.IntRange(0, 9).Draw(t, "deeper") > 0:
			at = inner
			continue
		case rapid.Bool().Draw(t, "rename"):
			if name, ok := change.Draw(t, "name").(string); ok {
				at[name] = at[key]
				delete(at, key)
			}
		default:
			at[key] = change.Draw(t, "value")
		}
		break
	}
	return d
}

// writtenOrder is the order of kinds in a file.
var writtenOrder = []string{
	"Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "CiliumNetworkPolicy", "ServiceAccount",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "SecretStore",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}

// Every object is one that the API server takes, is there once, and reads back as what it was written from.
func TestObjectsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, stream := range streams(t, rendered(t, blockText(t, drawSpec(t).docs()))) {
			all, err := manifestsOf(stream)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, m := range all {
				checkObject(t, m)
				if key := m.APIVersion + " " + m.String(); seen[key] {
					t.Fatalf("%s is there twice", key)
				} else {
					seen[key] = true
				}
			}
		}
	})
}

func checkObject(t *rapid.T, m manifest) {
	validName, namespaced := apivalidation.NameIsDNSSubdomain, true
	switch m.Kind {
	case "Namespace":
		validName, namespaced = apivalidation.NameIsDNSLabel, false
	case "ClusterRole", "ClusterRoleBinding":
		validName, namespaced = pathSegment, false
	case "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
		namespaced = false
	case "Role", "RoleBinding":
		validName = pathSegment
	}
	for _, err := range apivalidation.ValidateObjectMeta(&m.ObjectMeta, namespaced, validName, fieldpath.NewPath("metadata")) {
		t.Errorf("%s: %v", m, err)
	}
	if m.Labels["app.kubernetes.io/managed-by"] != "eso-tenant" || m.Labels[labelOfTenant] == "" {
		t.Errorf("%s has labels %v", m, m.Labels)
	}
	if binding, ok := m.body.(*rbacv1.RoleBinding); ok {
		checkBinding(t, m, binding)
	}
	again, err := appendYAML(nil, m.body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.text, string(again)); diff != "" {
		t.Errorf("%s is read as something else (-written +read):\n%s", m, diff)
	}
}

// checkBinding asks of references what the API server does.
func checkBinding(t *rapid.T, m manifest, binding *rbacv1.RoleBinding) {
	if errs := pathSegment(binding.RoleRef.Name, false); len(errs) > 0 {
		t.Errorf("%s: role %q: %q", m, binding.RoleRef.Name, errs)
	}
	for _, s := range binding.Subjects {
		if s.Name == "" || s.Kind == "ServiceAccount" && len(apivalidation.ValidateServiceAccountName(s.Name, false)) > 0 {
			t.Errorf("%s: subject %+v", m, s)
		}
	}
}

// pathSegment is what the API server asks of the names of RBAC's objects.
func pathSegment(name string, _ bool) []string {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%") {
		return []string{"it is no part of a path"}
	}
	return nil
}

// The folder has the objects of the stream, in the same order, and each kustomization lists the files beside it.
func TestFolderIsTheStream(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		r := rendered(t, blockText(t, drawSpec(t).docs()))
		if err := r.WriteFolder(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		for cluster, want := range streams(t, r) {
			root := filepath.Join(dir, cluster)
			got := objectsIn(t, filepath.Join(root, folderPlatform))
			for _, tenant := range foldersIn(t, filepath.Join(root, folderTenants)) {
				got = append(got, objectsIn(t, filepath.Join(root, folderTenants, tenant))...)
			}
			if diff := cmp.Diff(want, strings.Join(got, separator)); diff != "" {
				t.Fatalf("%s (-stream +folder):\n%s", cluster, diff)
			}
			if _, err := os.Stat(filepath.Join(root, folderFlux)); err == nil {
				checkFlux(t, root)
			}
		}
	})
}

// foldersIn lists folders, sorted; none if there is no such folder.
func foldersIn(t fataler, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// objectsIn reads the files that a folder's kustomization lists, which have to be all that are there.
func objectsIn(t fataler, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var k types.Kustomization
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		t.Fatal(err)
	}
	listed := append(slices.Clone(k.Resources), "kustomization.yaml")
	if filepath.Base(dir) == folderPlatform && filepath.Base(filepath.Dir(dir)) != folderTenants {
		listed = append(listed, "values.yaml") // for Helm, and no object
	}
	slices.Sort(listed)
	if diff := cmp.Diff(listed, foldersIn(t, dir)); diff != "" {
		t.Fatalf("%s (-kustomization +folder):\n%s", dir, diff)
	}
	var objects []string
	for _, file := range k.Resources {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		documents, ours := strings.CutPrefix(string(content), header)
		if !ours {
			t.Fatalf("%s does not say whose it is", file)
		}
		checkRanks(t, documents)
		objects = append(objects, documents)
	}
	return objects
}

// checkRanks holds a file to the order of kinds, and of namespaces and names in a kind.
func checkRanks(t fataler, documents string) {
	t.Helper()
	var places []string
	for _, text := range documentsOf(documents) {
		var m struct {
			Kind     string
			Metadata struct{ Namespace, Name string }
		}
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		rank := slices.Index(writtenOrder, m.Kind)
		places = append(places, string(rune('a'+rank))+"\x00"+m.Metadata.Namespace+"\x00"+m.Metadata.Name)
	}
	if !slices.IsSorted(places) {
		t.Fatalf("out of order: %q", places)
	}
}

// checkFlux: one Kustomization for each folder, and no two of one name. With
// artifacts of their own, each has the source of its name, and the root is there.
func checkFlux(t fataler, root string) {
	t.Helper()
	var paths, names []string
	sources := map[string]string{} // by name, the part of the layout
	for text := range strings.SplitSeq(strings.Join(objectsIn(t, filepath.Join(root, folderFlux)), separator), separator) {
		var k fluxKustomization
		var o ociRepository
		if strings.Contains(text, "kind: OCIRepository\nmetadata:\n") {
			if err := yaml.UnmarshalStrict([]byte(text), &o); err != nil {
				t.Fatal(err)
			}
			_, sources[o.ObjectMeta.Name], _ = strings.Cut(o.Spec.URL, "/"+filepath.Base(root)+"/")
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(text), &k); err != nil {
			t.Fatal(err)
		}
		_, inside, _ := strings.Cut(k.Spec.Path, "/"+filepath.Base(root)+"/")
		if k.Spec.Path == "./" {
			inside = sources[k.Spec.SourceRef.Name]
		}
		paths, names = append(paths, inside), append(names, k.ObjectMeta.Name)
	}
	want := []string{folderPlatform}
	if len(sources) > 0 {
		want = []string{folderFlux, folderPlatform}
	}
	for _, tenant := range foldersIn(t, filepath.Join(root, folderTenants)) {
		want = append(want, folderTenants+"/"+tenant)
	}
	slices.Sort(paths)
	slices.Sort(names)
	if !slices.Equal(want, paths) || len(slices.Compact(names)) != len(want) || len(sources) != 0 && len(sources) != len(want) {
		t.Fatalf("Kustomizations %q for %q, want %q; sources %q", names, paths, want, sources)
	}
}

// A TenantSet is its Platform and its Tenants, written in one object.
func TestTenantSetIsItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpecOn(t, 1)
		platform := maps.Clone(within(spec.platforms[0], "spec"))
		platform["name"] = nameOf(spec.platforms[0])
		tenants := doc{}
		for _, tenant := range spec.tenants {
			tenants[nameOf(tenant)] = tenant["spec"]
		}
		set := envelope("TenantSet", "all", doc{"platform": platform, "tenants": tenants})
		want := streams(t, rendered(t, blockText(t, spec.docs())))
		if diff := cmp.Diff(want, streams(t, rendered(t, blockText(t, []doc{set})))); diff != "" {
			t.Fatalf("(-parts +set):\n%s", diff)
		}
	})
}

// What the laws above do not draw at random is fenced as well: shared stores, the Platform's own namespaces, every way
// of exchanging a token, and an upgrade. A store that is opened to all is seen.
func TestGoldensAreFenced(t *testing.T) {
	for name, owned := range map[string]map[string]string{
		"shared-stores": {"web-prod": "web", "web-test": "web", "payments": "payments", "flux-system": "platform", "monitoring": "platform"},
		"providers":     {"team-a": "team-a"},
		"upgrade":       {"web": "web"},
	} {
		stream := read(t, filepath.Join("..", "golden", name, "stream-eu-1.yaml"))
		f, err := newFence(stream, owned)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if problems := f.check(true, nil); len(problems) > 0 {
			t.Errorf("%s: %q", name, problems)
		}
	}
	shared := read(t, "../golden/shared-stores/stream-eu-1.yaml")
	for what, hole := range map[string][2]string{
		"no condition":     {"  conditions:\n  - namespaces:\n    - web-prod\n", "  conditions: []\n"},
		"another's tenant": {"    - web-prod\n", "    - elsewhere\n"},
		"another account":  {"            name: certificates\n            namespace: external-secrets\n", "            name: certificates\n            namespace: kube-system\n"},
	} {
		f, err := newFence(strings.ReplaceAll(shared, hole[0], hole[1]), map[string]string{"web-prod": "web", "web-test": "web", "payments": "payments", "flux-system": "platform", "monitoring": "platform"})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(f.check(true, nil)) == 0 {
			t.Errorf("%s is not seen", what)
		}
	}
}

// A planted hole is seen: the laws above are about something.
func TestFenceSeesHoles(t *testing.T) {
	const spec = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0}
  enforcement: enforce
  providers:
    vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}
    local: {sameCluster: true, secrets: [ca], kubernetes: {remoteNamespace: shared}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: a}
spec: {members: [{kind: Group, name: devs, role: view}], namespaces: {a: {stores: {vault: {provider: vault}, local: {provider: local}}}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: b}
spec: {namespaces: {b: {}}}
`
	whole := streamOf(t, rendered(t, []byte(spec)), Selection{})
	owned, members := map[string]string{"a": "a", "b": "b"}, map[string]string{"Group /devs": "a"}
	for what, hole := range map[string][2]string{
		"":                         {"", ""},
		"no names":                 {"  resourceNames:\n  - vault-access-sa\n  resources:\n  - serviceaccounts/token\n", "  resources:\n  - serviceaccounts/token\n"},
		"another's account":        {"  resourceNames:\n  - vault-access-sa\n  resources:\n  - serviceaccounts/token\n", "  resourceNames:\n  - vault-access-sa\n  - other\n  resources:\n  - serviceaccounts/token\n"},
		"in all namespaces":        {"  - serviceaccounts\n  - namespaces\n  verbs:\n", "  - serviceaccounts\n  - serviceaccounts/token\n  verbs:\n"},
		"a wildcard":               {"- apiGroups:\n  - \"\"\n  resources:\n  - secrets\n  verbs:\n", "- apiGroups:\n  - '*'\n  resources:\n  - secrets\n  verbs:\n"},
		"read any Secret":          {"  resourceNames:\n  - ca\n", ""},
		"another's Secret":         {"  namespace: shared\n", "  namespace: b\n"},
		"a stranger":               {"  name: devs\n", "  name: others\n"},
		"a pod's account":          {"automountServiceAccountToken: false\n", ""},
		"no such account":          {"          name: vault-access-sa\n", "          name: gone\n"},
		"a role elsewhere":         {"kind: Role\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: eso-tenant\n    eso-tenant.dev/tenant: a\n  name: eso-tenant-token-vault", "kind: Role\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: eso-tenant\n    eso-tenant.dev/tenant: a\n  name: vault"},
		"no policy":                {"  - pods\n", "  - pods/exec\n"},
		"a policy unbound":         {"  policyName: eso-tenant-external-secrets-pod\n", "  policyName: other\n"},
		"a policy ignored":         {"  failurePolicy: Fail\n", "  failurePolicy: Ignore\n"},
		"a policy that only warns": {"  - Deny\n", "  - Warn\n"},
		"nobody fenced":            {"  - fencedserviceaccounts\n", "  - others\n"},
		"no audience":              {"  - mintgrants\n", "  - others\n"},
		"any audience":             {"  resourceNames:\n  - vault-access-sa=vault\n", ""},
		"another's role":           {"name: eso-tenant-writes\n  namespace: a\n", "name: eso-tenant-writes\n  namespace: b\n"},
	} {
		stream := strings.ReplaceAll(whole, hole[0], hole[1])
		if what != "" && stream == whole {
			t.Errorf("%q plants nothing", what)
		}
		if what == "" {
			stream = whole
		}
		f, err := newFence(stream, owned)
		if err != nil {
			t.Errorf("%q: %v", what, err)
			continue
		}
		if problems := f.check(true, members); (len(problems) > 0) != (what != "") {
			t.Errorf("%q: %q", what, problems)
		}
	}
}
