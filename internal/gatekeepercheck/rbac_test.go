package gatekeepercheck

import (
	"fmt"
	"testing"
)

const fencing = `{apiGroups: [eso-tenant.dev], resources: [fencedserviceaccounts], resourceNames: [default, coredns, vault-access-sa, blue-external-secrets], verbs: [use]}`

// decoys are Roles and bindings that make nobody fenced, each for one reason.
var decoys = []string{
	roleOf("web", "verb", `{apiGroups: [eso-tenant.dev], resources: [fencedserviceaccounts], resourceNames: [default], verbs: [get]}`),
	toRole("web", "verb", `{kind: ServiceAccount, namespace: eso, name: blue-external-secrets}`),
	roleOf("web", "group", `{apiGroups: [""], resources: [fencedserviceaccounts], resourceNames: [default], verbs: [use]}`),
	toRole("web", "group", `{kind: ServiceAccount, namespace: eso, name: blue-external-secrets}`),
	roleOf("web", "resource", `{apiGroups: [eso-tenant.dev], resources: [others], resourceNames: [default], verbs: [use]}`),
	toRole("web", "resource", `{kind: ServiceAccount, namespace: eso, name: blue-external-secrets}`),
	roleOf("web", "subject", fencing),
	toRole("web", "subject", `{kind: User, namespace: eso, name: blue-external-secrets}`,
		`{kind: Group, name: "system:serviceaccount:eso:blue-external-secrets"}`, `{kind: User, name: "system:serviceaccounts:eso"}`,
		`{kind: User, name: alice}`, `{kind: Group, name: web-devs}`, `{kind: ServiceAccount, namespace: eso, name: external-secrets}`),
}

// granted makes more accounts fenced: by each way in which ESO may be named.
func (c *cluster) granted(t testing.TB) *cluster {
	t.Helper()
	for place, subject := range map[string]string{
		"web":         `{kind: User, name: "system:serviceaccount:eso:blue-external-secrets"}`,
		"somebody":    `{kind: Group, name: "system:serviceaccounts:eso"}`,
		"kube-system": `{kind: Group, name: "system:serviceaccounts"}`,
		"eso":         `{kind: Group, name: "system:authenticated"}`,
	} {
		c.add(t, parse(t, roleOf(place, "more", fencing)))
		c.add(t, parse(t, toRole(place, "more", subject)))
	}
	// A list without names is one of all.
	c.add(t, parse(t, roleOf("shop", "more", `{apiGroups: [eso-tenant.dev], resources: [fencedserviceaccounts], resourceNames: [], verbs: [use]}`)))
	c.add(t, parse(t, toRole("shop", "more", `{kind: ServiceAccount, namespace: eso, name: blue-external-secrets}`)))
	return c
}

// TestGranted: RBAC is read as the API server does.
func TestGranted(t *testing.T) {
	expect(t, render(t).granted(t), map[string][2]string{
		"as another account":                        {"pod", "no pod runs as default"},
		"as an account of that name elsewhere":      {"pod", "no pod runs as vault-access-sa"},
		"in kube-system":                            {"pod", "no pod runs as coredns"},
		"as ESO":                                    {"pod", "no pod runs as blue-external-secrets"},
		"a member, where the namespace is not ours": {"", ""},
	})
}

func roleOf(namespace, name, rule string) string {
	return fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: %s, name: %s}, rules: [%s]}`, namespace, name, rule)
}

func toRole(namespace, name string, subjects ...string) string {
	text := ""
	for _, s := range subjects {
		text += s + ","
	}
	return fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: %s, name: %s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}, subjects: [%s]}`, namespace, name, name, text)
}
