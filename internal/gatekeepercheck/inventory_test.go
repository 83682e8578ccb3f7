package gatekeepercheck

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// allRights binds a role with all rights to ESO.
func (c *cluster) allRights(t testing.TB) *cluster {
	t.Helper()
	c.add(t, parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: given}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`))
	c.add(t, parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: given}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: given}, subjects: [{kind: ServiceAccount, namespace: eso, name: blue-external-secrets}]}`))
	return c
}

// without leaves out what Gatekeeper would be told of.
func (c *cluster) without(unwanted func(*unstructured.Unstructured) bool) *cluster {
	c.others = slices.DeleteFunc(c.others, unwanted)
	return c
}

func everything(*unstructured.Unstructured) bool { return true }

// expect has rows of the table decided on otherwise: by name, the policy that
// refuses, or none, and what it says.
func expect(t *testing.T, c *cluster, want map[string][2]string) {
	t.Helper()
	engine := c.engine(t)
	for _, r := range rows(t) {
		if w, asked := want[r.Name]; asked {
			r.Policy, r.Says = w[0], w[1]
			r.check(t, c.judge(t, engine, r.Request), "deny")
			delete(want, r.Name)
		}
	}
	for name := range want {
		t.Errorf("no row is called %q", name)
	}
}

// TestAllRights: where ESO holds all rights it mints nothing, and no service
// account of the cluster seems fenced.
func TestAllRights(t *testing.T) {
	const byRights = "holds a role with all rights"
	expect(t, render(t).allRights(t), map[string][2]string{
		"one audience":                     {"mint", byRights},
		"another service account":          {"mint", byRights},
		"a member, for a fenced account":   {"", ""},
		"an administrator, for ESO's own":  {"minter", "only a kubelet"},
		"as ESO":                           {"", ""},
		"in kube-system":                   {"", ""},
		"ESO, in kube-system":              {"token-secret", "may not make"},
		"an administrator, in kube-system": {"", ""},
	})
}

// TestNothingKnown: without the inventory ESO mints nothing; in tenants'
// namespaces and its own every account is taken for fenced, and elsewhere none.
func TestNothingKnown(t *testing.T) {
	expect(t, render(t).without(everything), map[string][2]string{
		"one audience":                                {"mint", "may not mint tokens of"},
		"a member, for a fenced account":              {"minter", ""},
		"a member, for an account of their own":       {"minter", ""},
		"as another account":                          {"pod", "no pod runs as"},
		"as ESO":                                      {"", ""},
		"as a shared store's account":                 {"pod", ""},
		"an administrator, for ESO's own":             {"minter", "only a kubelet"},
		"blue-external-secrets's token for its pod":   {"", ""},
		"a shared store's account's Secret":           {"token-secret", ""},
		"in kube-system":                              {"", ""},
		"as an account of that name elsewhere":        {"", ""},
		"where the namespace is not ours":             {"", ""},
		"a member, where the namespace is not ours":   {"", ""},
		"an administrator, in kube-system":            {"", ""},
		"an administrator, a bootstrap token":         {"", ""},
		"a kubelet, for a pod":                        {"", ""},
		"the controller manager, for its controllers": {"", ""},
	})
}

// TestUnknownNamespace: a Namespace that is not told of is taken for a tenant's.
func TestUnknownNamespace(t *testing.T) {
	c := render(t)
	engine := c.engine(t)
	for _, r := range rows(t) {
		if r.Name != "an administrator, in kube-system" {
			continue
		}
		if all := review(t, engine, r.Request, nil); !slices.ContainsFunc(all, func(f refusal) bool { return strings.Contains(f.says, "are not made in tenants' namespaces") }) {
			t.Errorf("%v", all)
		}
		return
	}
	t.Error("there is no such row")
}

// TestWithoutTheRole: a service account is fenced by the Role that lets ESO mint.
func TestWithoutTheRole(t *testing.T) {
	c := render(t).without(func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Role" && o.GetNamespace() == "web" && o.GetName() == "eso-tenant-token-vault-access-sa"
	})
	expect(t, c, map[string][2]string{
		"one audience":                              {"mint", "may not mint tokens of"},
		"a member, for a fenced account":            {"", ""},
		"a member, where the namespace is not ours": {"minter", ""},
		"a member's pod as a fenced account":        {"", ""},
	})
}

// TestFeatures: what the Platform uses decides, as it does for the API server's policies.
func TestFeatures(t *testing.T) {
	expect(t, render(t, "features: [clusterSecretStores, pushSecrets]", "features: []", "sharedStores:", "retired: [old] #", "    everyone:", "    #"), map[string][2]string{
		"a push": {"reference", "this kind is not used here"},
	})
	expect(t, render(t, "maxTokenSeconds: 3600", "maxTokenSeconds: 3601"), map[string][2]string{"a second too long": {"", ""}})
}
